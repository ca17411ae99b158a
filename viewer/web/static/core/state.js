// What is shown, as the address says it: search (q), message (m), pane, tab, window of the charts, dead letter,
// columns, the message that m is compared with, the queue that is looked into, a part of the names of the topics
// and queues that are listed, their order. So every view can be linked to, and the browser's back button works.

const DEFAULTS = {
  q: "",
  m: "",
  pane: "data",
  tab: "messages",
  window: "5m",
  letter: "",
  cols: "",
  with: "",
  queue: "",
  names: "",
  sort: "",
};
const OLD_TABS = { waiting: "queues" };
const listeners = new Set();

export let state = read();

function read() {
  const query = new URLSearchParams(location.search);
  const found = Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, value]) => [name, query.get(name) ?? value]),
  );
  found.tab = OLD_TABS[found.tab] ?? found.tab;
  // They become part of the address of a request.
  for (const name of ["m", "with"]) if (!/^\d+$/.test(found[name])) found[name] = DEFAULTS[name];
  return found;
}

// Returns the address of what is shown, with these changes. Another message is compared with none.
export function address(changes = {}) {
  const query = new URLSearchParams();
  const compared = "m" in changes ? { with: "" } : {};
  for (const [name, value] of Object.entries({ ...state, ...compared, ...changes })) {
    if (String(value) !== DEFAULTS[name]) query.set(name, value);
  }
  return `${location.pathname}${query.size ? `?${query}` : ""}`;
}

// With `replace`, the back button does not return to what was shown before.
export function go(changes, { replace = false } = {}) {
  const target = address(changes);
  if (target === `${location.pathname}${location.search}`) return;
  history[replace ? "replaceState" : "pushState"](null, "", target);
  changed();
}

// Shows what differs between two messages.
export const compare = (m, other) => go({ tab: "messages", m, with: other });

function changed() {
  const before = state;
  state = read();
  for (const listener of listeners) listener(state, before);
}

// Calls `listener(now, before)` after each change. Returns a function that ends that.
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

addEventListener("popstate", changed);
