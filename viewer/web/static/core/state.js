// What is shown, as the address says it: search (q), message (m), pane, tab, window of the charts, dead
// letter, columns. So every view can be linked to, and the browser's back button works.

const DEFAULTS = { q: "", m: "", pane: "data", tab: "messages", window: "5m", letter: "", cols: "" };
const listeners = new Set();

export let state = read();

function read() {
  const query = new URLSearchParams(location.search);
  const found = Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, value]) => [name, query.get(name) ?? value]),
  );
  // It becomes part of the address of a request.
  if (!/^\d+$/.test(found.m)) found.m = DEFAULTS.m;
  return found;
}

// Returns the address of what is shown, with these changes.
export function address(changes = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...state, ...changes })) {
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
