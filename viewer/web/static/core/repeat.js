// Repeating something while the page is visible.

// Calls `work` again and again, `delay()` milliseconds after it ended, so never twice at a time. Pauses while
// the page is hidden and goes on as soon as it is visible. Returns `now()`, to call it without delay, and
// `stop()`.
export function repeat(work, delay, { atOnce = true } = {}) {
  let timer = null;
  let running = false;
  let again = false;
  let stopped = false;

  async function run() {
    clearTimeout(timer);
    if (stopped || document.hidden) return;
    again = running;
    if (running) return;
    running = true;
    try {
      await work();
    } finally {
      running = false;
      if (!stopped) timer = setTimeout(run, again ? 0 : delay());
    }
  }

  document.addEventListener("visibilitychange", run);
  if (atOnce) run();
  else timer = setTimeout(run, delay());
  return {
    now: run,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", run);
    },
  };
}
