// The connection of the tab that leads: the stream, opened again when it was refused, or long polling where
// the stream does not get through.

import { lastNumber } from "../core/arrivals.js";
import { longPoll } from "./long_poll.js";
import { openStream } from "./stream.js";

const RETRY_MS = 2000;
const MAX_RETRY_MS = 60_000;

export class Connection {
  #options;
  #last; // the number of the last item that came, or after which it began
  #close = null;
  #retryMs = RETRY_MS; // longer each time that the stream is refused

  // Begins after the number that `newest()` returns. Calls `pass(item, previous)` with the number of the item
  // before it, and `tell(state, why)`, until `signal` aborts.
  constructor({ query, newest, signal, pass, tell }) {
    this.#options = { query, newest, signal, pass, tell };
    signal.addEventListener("abort", () => this.#close?.());
  }

  open() {
    const { query, newest, signal, tell } = this.#options;
    if (signal.aborted) return;
    this.#last = newest();
    this.#close = openStream(`api/stream?${query}&after=${this.#last}&gaps=1`, {
      item: (item) => this.#pass(item),
      ready: () => {
        this.#retryMs = RETRY_MS;
        tell("live");
      },
      reconnecting: () => tell("reconnecting"),
      refused: () => this.#retry(),
      failed: (why) => tell("stopped", why),
      silent: () => this.#poll(),
    });
  }

  #pass(item) {
    const previous = this.#last;
    this.#last = lastNumber(item);
    this.#options.pass(item, previous);
  }

  #retry() {
    this.#options.tell("reconnecting");
    setTimeout(() => this.open(), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
  }

  #poll() {
    const { query, signal, tell } = this.#options;
    longPoll({ query, after: this.#last, signal, tell, pass: (item) => this.#pass(item) });
  }
}
