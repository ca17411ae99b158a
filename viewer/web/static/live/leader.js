// One of the tabs: of all tabs of this browser that ask for the same name, one at a time leads.

// Calls `lead()` once this tab leads, which it does until `signal` aborts or the tab is closed; then another
// one does.
export function whenLeading(name, signal, lead) {
  // Locks need a secure context (https, or localhost); without them each tab leads itself.
  if (!navigator.locks) {
    lead();
    return;
  }
  const ended = new Promise((resolve) => signal.addEventListener("abort", resolve));
  const work = () => {
    lead();
    return ended;
  };
  navigator.locks.request(name, { signal }, work).catch((error) => {
    if (!signal.aborted) throw error;
  });
}
