// What is shown, as the address says it: search (q), message (m), pane, tab, dead letter. Every view can be linked to and
// gone back from.

const DEFAULTS = { q: "", m: "", pane: "data", tab: "messages", window: "5m", letter: "" };
const listeners = [];

export let state = read();

function read() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, query.get(name) ?? value]));
}

export function address(changes = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...state, ...changes })) {
    if (String(value) !== DEFAULTS[name]) query.set(name, value);
  }
  return `${location.pathname}${query.size ? `?${query}` : ""}`;
}

// `replace` leaves no step to go back to: for what the reader did not choose.
export function go(changes, { replace = false } = {}) {
  const target = address(changes);
  if (target === `${location.pathname}${location.search}`) return;
  history[replace ? "replaceState" : "pushState"](null, "", target);
  changed();
}

function changed() {
  const before = state;
  state = read();
  for (const listener of listeners) listener(state, before);
}

export function onChange(listener) {
  listeners.push(listener);
}

addEventListener("popstate", changed);
