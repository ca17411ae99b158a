// Following without the stream: one request after another, each answered as soon as there is something new.

import { ask } from "../core/api.js";

const WAIT_SECONDS = 25;
const MAX_AT_ONCE = 200;
const RETRY_MS = 2000;
const WHY = "using long polling: something between here and the viewer holds the stream back";

// Calls `pass(item)` for each message after the number `after`, and `tell(state, why)`, until `signal`
// aborts.
export async function longPoll({ query, after, signal, pass, tell }) {
  let last = after;
  while (!signal.aborted) {
    try {
      const page = `after=${last}&wait=${WAIT_SECONDS}&limit=${MAX_AT_ONCE}`;
      const { messages, cursor } = await ask(`api/messages?${query}&${page}`, { signal });
      tell("live", WHY);
      messages.toReversed().forEach((message) => pass(message));
      last = cursor;
    } catch {
      if (signal.aborted) return;
      tell("reconnecting");
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
