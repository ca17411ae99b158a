// Following without the stream: one request after the other, each answered as soon as there is something to tell.

import { ask } from "./words.js";

const RETRY_MS = 2000;

export async function poll({ query, after, signal, pass, tell }) {
  let last = after;
  while (!signal.aborted) {
    try {
      const { messages, cursor } = await ask(`api/messages?${query}&after=${last}&wait=25&limit=200`, { signal });
      tell("live", "by long polling: something between here and the viewer holds the stream back");
      messages.reverse().forEach(pass);
      last = cursor;
    } catch {
      if (signal.aborted) return;
      tell("reconnecting");
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
