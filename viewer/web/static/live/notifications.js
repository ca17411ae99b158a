// Notifications about what saved searches find while nobody looks at the page. One tab at a time asks for all
// of them, one request at a time: a browser opens six connections to a server, and the stream is one already.

import { ask } from "../core/api.js";
import { number } from "../core/format.js";
import { go } from "../core/state.js";
import { whenLeading } from "./leader.js";

const QUIET_MS = 10_000; // between two notifications of one search
const WAIT_SECONDS = 10;
const MAX_AT_ONCE = 500;
const RETRY_MS = 1000;

// Throws an Error for the reader if this browser will not show notifications.
export async function askPermission() {
  if (!isSecureContext || !globalThis.Notification) {
    throw new Error("Notifications need https, or localhost.");
  }
  if ((await Notification.requestPermission()) !== "granted") {
    throw new Error(
      "The browser blocks notifications from this page. Allow them in its settings for this site.",
    );
  }
}

let watching = false;

// Watches, from now on, whenever nobody looks; `searches()` returns those to watch.
export function watch(searches) {
  if (watching) return;
  watching = true;
  let end = null;
  const look = () => {
    const away = document.hidden || !document.hasFocus();
    if (away === Boolean(end)) return;
    end?.abort();
    end = away ? new AbortController() : null;
    if (!end) return;
    const { signal } = end;
    whenLeading(`fanout notifications ${location.pathname}`, signal, () => findNew(searches, signal));
  };
  for (const name of ["blur", "focus"]) addEventListener(name, look);
  document.addEventListener("visibilitychange", look);
  look();
}

async function findNew(searches, signal) {
  const cursors = new Map(); // of each search
  const quietUntil = new Map();
  let begin = null;
  while (!signal.aborted) {
    const due = searches().filter((q) => !(quietUntil.get(q) > Date.now()));
    try {
      begin ??= (await find({ after: "now", limit: 1 }, signal)).cursor;
      for (const q of due) {
        const wait = Math.max(1, Math.floor(WAIT_SECONDS / due.length));
        const after = cursors.get(q) ?? begin;
        const { messages, cursor } = await find({ q, wait, after, limit: MAX_AT_ONCE }, signal);
        cursors.set(q, cursor);
        if (!messages.length || signal.aborted) continue;
        quietUntil.set(q, Date.now() + QUIET_MS);
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
  const notification = new Notification(title, { body: newest.preview, tag: `fanout ${q}`, renotify: true });
  notification.addEventListener("click", () => {
    notification.close();
    focus();
    go({ q, m: newest.seq, tab: "messages" });
  });
}
