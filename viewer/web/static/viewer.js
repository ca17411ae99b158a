// The page's wiring: the server has painted what is stored; this adds what arrives, and lets the reader move.

import { number, styled } from "./words.js";
import { address, go, onChange, state } from "./state.js";
import { follow } from "./live.js";
import { adopt, hold, list, load, receive, toNewest } from "./list.js";
import { copy, current, prepare, say, show } from "./detail.js";
import { listen } from "./keys.js";
import "./overview.js";
import "./tabs.js";

const HIDDEN_MS = 30000;
const wide = matchMedia("(min-width: 64rem)");
const byId = (id) => document.getElementById(id);
const connection = byId("connection");

// ---- the stream

let stop = null;
let seen = list.newest;

function connect() {
  stop?.();
  stop = follow({ q: state.q, after: seen, receive: accept, show: showConnection });
}

function accept(item) {
  seen = item.to ?? item.seq;
  receive(item);
  announce(item.from === undefined ? 1 : item.count ?? 0);
}

function showConnection(words, why) {
  connection.dataset.state = words;
  connection.textContent = words;
  connection.title = why;
}

// A tab that nobody sees gives its connection back, and resumes where it was.
let leaving = null;
document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (document.hidden) leaving = setTimeout(() => { stop?.(); stop = null; }, HIDDEN_MS);
  else {
    unread = 0;
    showUnread();
    if (!stop && !problem.textContent) connect();
  }
});

// ---- what is new, for those who do not look, and for those who cannot see

let unread = 0;
let unsaid = 0;

function announce(count) {
  unsaid += count;
  if (!document.hidden) return;
  unread += count;
  showUnread();
}

function showUnread() {
  document.title = unread ? `(${number(unread)}) Fanout` : "Fanout";
  byId("icon").href = byId("icon").href.replace(/icon\w*\.svg/, unread ? "icon_unread.svg" : "icon.svg");
}

setInterval(() => {
  if (unsaid) byId("announcer").textContent = `${number(unsaid)} new ${unsaid === 1 ? "message" : "messages"}`;
  unsaid = 0;
}, 10000);

// ---- the list and the message beside it

byId("rows").addEventListener("click", (event) => {
  const row = event.target.closest(".message");
  if (!row || event.ctrlKey || event.metaKey || event.shiftKey || !getSelection().isCollapsed) return;
  event.preventDefault();
  go({ m: row.dataset.seq });
});

byId("rows").addEventListener("pointerover", () => prepare().catch(() => {}), { once: true }); // before the click
byId("close").addEventListener("click", () => go({ m: "" }));

function move(step) {
  const rows = list.rows();
  const at = rows.findIndex((row) => row.dataset.seq === state.m);
  const row = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + step))];
  if (!row) return;
  go({ m: row.dataset.seq }, { replace: true });
  row.querySelector("a").focus();
}

function choose(seq) {
  show(seq);
  list.select(seq);
}

// On a wide screen the newest message is readable at once, without being asked for.
function preselect() {
  const [first] = list.rows();
  if (!state.m && wide.matches && first && state.tab === "messages") choose(first.dataset.seq);
}

// ---- the search

const form = byId("search");
const box = byId("q");
const problem = byId("search-problem");
const menus = document.querySelectorAll(".menu");

function closeMenus(except = null) {
  for (const menu of menus) if (!menu.contains(except)) menu.open = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go({ q: box.value.trim(), m: "" });
});
box.addEventListener("search", () => { if (!box.value) go({ q: "", m: "" }); });

// A search that means nothing finds nothing: what is there stays, and no stream is asked for.
function refuse(why) {
  problem.textContent = why;
  box.setAttribute("aria-invalid", "true");
  stop?.();
  showConnection("idle", why);
}

async function search() {
  const { q } = state;
  box.value = q;
  problem.textContent = "";
  box.removeAttribute("aria-invalid");
  closeMenus();
  try {
    if (!await load(q)) return;
  } catch (error) {
    if (q === state.q) refuse(error.message);
    return;
  }
  seen = list.newest;
  connect();
  preselect();
}

// What a menu holds is fetched when it is opened, and shown when it is there.
for (const menu of menus) {
  const options = menu.querySelector(".options");
  options.hidden = true;
  menu.addEventListener("toggle", async () => {
    if (!menu.open) return;
    try {
      const [{ fill }] = await Promise.all([menu.dataset.facet ? import("./facets.js") : import("./searches.js"), styled()]);
      options.hidden = false;
      await fill(menu);
    } catch (error) {
      say(error.message);
    }
  });
}
document.addEventListener("click", ({ target }) => closeMenus(target));

// ---- holding, theme

const pause = byId("pause");

function togglePause() {
  hold(!list.held);
  pause.setAttribute("aria-pressed", list.held);
}

pause.addEventListener("click", togglePause);
byId("news").addEventListener("click", () => pause.setAttribute("aria-pressed", "false"));

byId("theme").addEventListener("click", () => {
  const themes = ["auto", "light", "dark"];
  const next = themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length];
  document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
  say(`theme: ${next}`);
});

// ---- saved searches

// Which watches what they find, if one was chosen for it, here or in another tab.
const watchSearches = () => localStorage.getItem("notified") && import("./searches.js");
addEventListener("storage", watchSearches);
watchSearches();

// ---- what is done with the message; what is rarely done is fetched when it is

const later = {
  find: () => import("./find.js").then(({ open }) => open()),
  resend: () => import("./publish.js").then(({ resend }) => resend(current())).then(toNewest),
  edit: () => import("./publish.js").then(({ edit }) => edit(current())),
};
const act = (name) => current() && later[name]().catch((error) => say(`Not done: ${error.message}`));
const copyMessage = () => current() && copy(current().body);
const copyLink = () => copy(new URL(address(), location.href).href);

for (const name of Object.keys(later)) byId(name)?.addEventListener("click", () => act(name));
byId("copy").addEventListener("click", copyMessage);
byId("link").addEventListener("click", copyLink);
byId("copy-command").addEventListener("click", () => copy(byId("command").textContent));

// ---- keys

listen({
  j: () => move(1),
  k: () => move(-1),
  " ": togglePause,
  f: () => act("find"),
  y: copyMessage,
  l: copyLink,
});

// ---- start

onChange((now, before) => {
  if (now.q !== before.q) search();
  if (now.m !== before.m) choose(now.m);
});
adopt(state.q);
if (problem.textContent) refuse(problem.textContent);
else connect();
if (state.m) choose(state.m);
else preselect();
document.documentElement.dataset.ready = "";
