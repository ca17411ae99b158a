// Notifications of what saved searches find while nobody looks at the page. There is one request at a time for
// all of them, in one tab: a browser opens six connections to a server, and the stream is one already.

import { ask, number } from "./words.js";
import { go } from "./state.js";

const QUIET_MS = 10000; // between two notifications of one search
const WAIT_SECONDS = 10;
const RETRY_MS = 1000;

// Throws, in words for the reader, where there can be no notifications.
export async function askPermission() {
  if (!isSecureContext || !globalThis.Notification) throw new Error("This browser notifies only by https, or on localhost.");
  if (await Notification.requestPermission() !== "granted") {
    throw new Error("The browser blocks notifications of this page: its settings for this site allow them.");
  }
}

let begun = false;

// Watches, from now on, whenever nobody looks; `searches()` returns those to watch.
export function watch(searches) {
  if (begun) return;
  begun = true;
  let end = null;
  const look = () => {
    const away = document.hidden || !document.hasFocus();
    if (away === Boolean(end)) return;
    end?.abort();
    end = away ? new AbortController() : null;
    if (end) alone(end.signal, () => follow(searches, end.signal));
  };
  for (const name of ["blur", "focus"]) addEventListener(name, look);
  document.addEventListener("visibilitychange", look);
  look();
}

function alone(signal, work) {
  if (!navigator.locks) return work();
  return navigator.locks.request(`fanout notifications ${location.pathname}`, { signal }, work).catch(() => {});
}

async function follow(searches, signal) {
  const seen = new Map(); // the cursor of each search
  const quiet = new Map(); // until when
  let begin = null;
  while (!signal.aborted) {
    const due = searches().filter((q) => !(quiet.get(q) > Date.now()));
    try {
      begin ??= (await find({ after: "now", limit: 1 }, signal)).cursor;
      for (const q of due) {
        const wait = Math.max(1, Math.floor(WAIT_SECONDS / due.length));
        const { messages, cursor } = await find({ q, wait, after: seen.get(q) ?? begin, limit: 500 }, signal);
        seen.set(q, cursor);
        if (!messages.length || signal.aborted) continue;
        quiet.set(q, Date.now() + QUIET_MS);
        notify(q, messages);
      }
      if (!due.length) await pause();
    } catch {
      await pause();
    }
  }
}

const find = (query, signal) => ask(`api/messages?${new URLSearchParams(query)}`, { signal });
const pause = () => new Promise((resolve) => setTimeout(resolve, RETRY_MS));

function notify(q, messages) {
  const [newest] = messages;
  const title = messages.length === 1 ? q : `${number(messages.length)} messages: ${q}`;
  const shown = new Notification(title, { body: newest.preview, tag: `fanout ${q}`, renotify: true });
  shown.onclick = () => {
    shown.close();
    focus();
    go({ q, m: newest.seq, tab: "messages" });
  };
}
