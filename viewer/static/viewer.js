// The page's wiring: the server has painted what is stored; this adds what arrives, and lets the reader move.

import { number } from "./words.js";
import { address, go, onChange, state } from "./state.js";
import { follow } from "./live.js";
import { adopt, hold, list, load, receive, toNewest } from "./list.js";
import { copy, current, say, show } from "./detail.js";
import { listen } from "./keys.js";
import "./overview.js";
import "./tabs.js";

const HIDDEN_MS = 30000;
const wide = matchMedia("(min-width: 64rem)");
const connection = document.getElementById("connection");
const byId = (id) => document.getElementById(id);

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

function select(row, { replace = false, focus = false } = {}) {
  if (!row) return;
  go({ m: row.dataset.seq }, { replace });
  if (focus) row.querySelector("a").focus({ preventScroll: false });
}

byId("rows").addEventListener("click", (event) => {
  const row = event.target.closest(".message");
  if (!row || event.ctrlKey || event.metaKey || event.shiftKey || !getSelection().isCollapsed) return;
  event.preventDefault();
  select(row);
});

byId("close").addEventListener("click", () => go({ m: "" }));

function move(step) {
  const rows = list.rows();
  const at = rows.findIndex((row) => row.dataset.seq === state.m);
  select(rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + step))], { replace: true, focus: true });
}

// On a wide screen the newest message is readable at once, without being asked for.
function preselect() {
  const [first] = list.rows();
  if (!state.m && wide.matches && first && state.tab === "messages") {
    show(first.dataset.seq);
    list.select(first.dataset.seq);
  }
}

// ---- the search

const form = byId("search");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go({ q: form.elements.q.value.trim(), m: "" });
});
form.elements.q.addEventListener("search", () => { if (!form.elements.q.value) go({ q: "", m: "" }); });

const problem = byId("search-problem");

// A search that means nothing finds nothing: what is there stays, and no stream is asked for.
function refuse(why) {
  problem.textContent = why;
  form.elements.q.setAttribute("aria-invalid", "true");
  stop?.();
  showConnection("idle", why);
}

async function search() {
  form.elements.q.value = state.q;
  problem.textContent = "";
  form.elements.q.removeAttribute("aria-invalid");
  for (const menu of document.querySelectorAll(".menu")) menu.open = false;
  try {
    await load(state.q);
  } catch (error) {
    refuse(error.message);
    return;
  }
  seen = list.newest;
  connect();
  preselect();
}

for (const menu of document.querySelectorAll(".menu[data-facet]")) {
  menu.addEventListener("toggle", () => { if (menu.open) import("./facets.js").then(({ fill }) => fill(menu)).catch((error) => say(error.message)); });
}

for (const button of document.querySelectorAll("[data-search]")) {
  button.addEventListener("click", () => {
    const [name, value] = button.dataset.search.split(":");
    const others = state.q.split(" ").filter((word) => word && !word.startsWith(`${name}:`));
    go({ q: [...others, ...(value ? [button.dataset.search] : [])].join(" ") });
  });
}
document.addEventListener("click", ({ target }) => {
  for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(target)) menu.open = false;
});

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

byId("more").addEventListener("toggle", () => import("./searches.js").then(({ draw }) => draw()).catch((error) => say(error.message)));
if (localStorage.getItem("notified")) import("./searches.js"); // which watches what they find

// ---- what is done with the message; what is rarely done is fetched when it is

const later = {
  find: () => import("./find.js").then(({ open }) => open()),
  resend: () => import("./publish.js").then(({ resend }) => resend(current())).then(() => {
    say("published again, as a message of its own");
    toNewest();
  }),
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
  if (now.m !== before.m) {
    show(now.m);
    list.select(now.m);
  }
});
adopt(state.q);
if (problem.textContent) refuse(problem.textContent);
else connect();
if (state.m) {
  show(state.m);
  list.select(state.m);
} else preselect();
document.documentElement.dataset.ready = "";
