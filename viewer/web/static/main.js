// The wiring of the page: the server has rendered what is stored; this adds what arrives, and lets the reader
// move.

import { canWrite } from "./core/api.js";
import { lastNumber, messageCount } from "./core/arrivals.js";
import { copy } from "./core/clipboard.js";
import { switchZone } from "./core/clock.js";
import { deleteFound, deleteMessage, onDeleted } from "./core/deleting.js";
import { opensElsewhere } from "./core/dom.js";
import { listen } from "./core/keys.js";
import { go, onChange, state } from "./core/state.js";
import { startTabs } from "./core/tabs.js";
import { switchTheme } from "./core/theme.js";
import { toast } from "./core/toast.js";
import { countNew, startCounting } from "./core/unread.js";
import { follow } from "./live/follow.js";
import { recallColumns } from "./core/columns.js";
import { startColumns } from "./views/messages/columns.js";
import { loadDiff } from "./views/messages/compare.js";
import { countAgain, countArrived, startCount } from "./views/messages/count.js";
import { copyLink, current, find, loadCommands, show, startDetail } from "./views/messages/detail.js";
import { hold, list, load, receive, startList, toNewest } from "./views/messages/list.js";
import { startOlder } from "./views/messages/older.js";
import { notifyingSearches, startSavedSearches } from "./views/messages/saved_searches.js";
import {
  closeOpenMenu,
  focusSearch,
  searchProblem,
  showSearch,
  showSearchProblem,
  startSearchForm,
} from "./views/messages/search_form.js";
import { compareSelected, deleteSelected, toggleCurrent } from "./views/messages/selection.js";
import { startStatuses } from "./views/messages/statuses.js";
import { startPipelineStrip } from "./views/pipeline/strip.js";

const HIDDEN_MS = 30_000;
const wide = matchMedia("(min-width: 64rem)");
const byId = (id) => document.getElementById(id);
const onClick = (id, listener) => byId(id)?.addEventListener("click", listener);

// ---- the live stream

let disconnect = null;
let seen = list.newest;

function connect() {
  disconnect?.();
  disconnect = follow({ q: state.q, after: seen, receive: accept, show: showConnection });
}

function accept(item) {
  seen = lastNumber(item);
  receive(item);
  countNew(messageCount(item));
  countArrived(messageCount(item));
}

let connection = ["connecting", ""]; // its state, and why
let away = null; // what is, as the overview tells

function shownConnection() {
  const [words] = connection;
  if (words === "live" && ["viewer", "database"].includes(away))
    return ["broken", `no ${away}`, "nothing new arrives"];
  if (words === "live" && list.held) return ["paused", "paused", "new messages are counted, not shown"];
  return [words, words, connection[1] ?? ""];
}

function showConnection(...now) {
  connection = now;
  const place = byId("connection");
  const [status, words, why] = shownConnection();
  place.dataset.state = status;
  place.textContent = words;
  place.title = why;
  if (status === "stopped") showSearchProblem(why); // by the viewer: the search costs too much
}

// A page that nobody sees gives its connection back after a while, and continues where it was when it is seen
// again.
let leaving = null;
document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (!document.hidden) {
    if (!disconnect && !searchProblem()) connect();
    return;
  }
  leaving = setTimeout(() => {
    disconnect?.();
    disconnect = null;
  }, HIDDEN_MS);
});

// ---- the search

// An invalid search finds nothing: the list stays as it is, and no stream is asked for.
function refuse(why) {
  showSearchProblem(why);
  disconnect?.();
  showConnection("idle", why);
}

async function search() {
  const { q } = state;
  showSearch(q);
  countAgain();
  try {
    if (!(await load(q))) return;
  } catch (error) {
    if (q === state.q) refuse(error.message);
    return;
  }
  seen = list.newest;
  connect();
  preselect();
}

// ---- the list and the message beside it

byId("rows").addEventListener("click", (event) => {
  const row = event.target.closest(".message");
  if (!row || event.target.closest(".pick") || opensElsewhere(event) || !getSelection().isCollapsed) return;
  event.preventDefault();
  go({ m: row.dataset.seq });
});

function move(step) {
  const rows = list.rows();
  const at = rows.findIndex((row) => row.dataset.seq === state.m);
  const row = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + step))];
  if (!row) return;
  go({ m: row.dataset.seq }, { replace: true });
  row.querySelector("a").focus();
}

function choose(seq) {
  document.body.toggleAttribute("data-reading", Boolean(state.m)); // and is printed alone
  show(seq);
  list.select(seq);
}

// On a wide screen the newest message can be read at once, without being chosen.
function preselect() {
  const [first] = list.rows();
  if (!state.m && wide.matches && first && state.tab === "messages") choose(first.dataset.seq);
}

// ---- what can be done with the message

const orToast =
  (work) =>
  async (...given) => {
    try {
      await work(...given);
    } catch (error) {
      toast(`Not done: ${error.message}`);
    }
  };

function copyMessage() {
  const message = current();
  if (message) copy(message.body);
}

// What is selected, or else the message that is shown.
function deleteChosen() {
  const message = current();
  if (canWrite && !deleteSelected() && message) deleteMessage(message);
}

onClick("delete-found", orToast(deleteFound));
onDeleted(search);
onClick("copy-command", () => copy(byId("command").textContent));

// ---- pausing, theme, help

function showPaused() {
  byId("pause").setAttribute("aria-pressed", list.held);
  showConnection(...connection);
}

function togglePause() {
  hold(!list.held);
  showPaused();
}

// Loaded a moment after the page.
const loadHelp = () => import("./views/help.js");
const loadNotifications = () => import("./live/notifications.js");
const loadResend = () => import("./core/resend.js");

const showHelp = orToast(async () => (await loadHelp()).openHelp(byId("help")));

onClick("pause", togglePause);
onClick("theme", () => toast(`theme: ${switchTheme()}`));
onClick("help-button", showHelp);

// ---- keys

function back() {
  if (closeOpenMenu()) return;
  if (byId("help").open) byId("help").close();
  else go(state.m ? { m: "" } : state.queue ? { queue: "" } : { tab: "messages" });
}

const openTab = (tab) => () => go({ tab, m: "", queue: "" });

listen({
  "/": focusSearch,
  Escape: back,
  j: () => move(1),
  k: () => move(-1),
  " ": togglePause,
  "g m": openTab("messages"),
  "g t": openTab("topics"),
  "g d": openTab("dead"),
  "g q": openTab("queues"),
  "g w": openTab("queues"), // as it was
  "g s": openTab("metrics"),
  p: openTab("publish"),
  f: find,
  x: () => toggleCurrent(),
  X: () => toggleCurrent(true),
  c: compareSelected,
  d: deleteChosen,
  y: copyMessage,
  l: copyLink,
  t: () => toast(switchZone()),
  "?": showHelp,
});

// ---- start

onChange((now, before) => {
  if (now.q !== before.q) search();
  if (now.m !== before.m) {
    list.reading = Boolean(now.m);
    choose(now.m);
  }
});
recallColumns();
startColumns();
startCount();
startList(state.q);
onClick("news", showPaused); // it ends a pause
startOlder();
startStatuses();
startDetail({
  edit: orToast(async (message) => (await loadResend()).edit(message)),
  resend: orToast(async (message, identity) => {
    await (await loadResend()).resend(message, identity);
    toNewest();
  }),
});
startSearchForm();
startSavedSearches({
  askPermission: async () => (await loadNotifications()).askPermission(),
  watch: orToast(async () => (await loadNotifications()).watch(notifyingSearches)),
});
startCounting();
startPipelineStrip((outage) => {
  away = outage?.what;
  showConnection(...connection);
});
const loadTabs = {
  topics: () => import("./views/topics/view.js"),
  dead: () => import("./views/dead_letters/view.js"),
  queues: () => import("./views/queues/view.js"),
  metrics: () => import("./views/metrics/view.js"),
  replay: () => import("./views/replay/view.js"),
  ...(canWrite ? { publish: () => import("./views/publish/view.js") } : {}),
};
startTabs(loadTabs, [loadHelp, loadDiff, loadCommands, loadNotifications, loadResend]);
// An older page is what readers without scripts go to.
if (new URLSearchParams(location.search).has("before")) search();
else if (searchProblem()) refuse(searchProblem());
else connect();
if (state.m) {
  list.reading = true;
  choose(state.m);
} else {
  preselect();
}
document.documentElement.dataset.ready = "";
