// Each message once and in order, whatever arrives twice or was missed.

import { ask } from "../core/api.js";
import { lastNumber } from "../core/arrivals.js";

const PAGE = 500;
const MAX_TO_FETCH = 2000; // of what was missed; more becomes a gap

export class InOrder {
  #query;
  #signal;
  #receive;
  #newest;
  #work = Promise.resolve(); // what arrives waits for what must be fetched before it

  // Calls `receive(item)` for each message after the number `after`, and for each gap, until `signal` aborts.
  constructor({ query, after, signal, receive }) {
    this.#query = query;
    this.#newest = after;
    this.#signal = signal;
    this.#receive = receive;
  }

  get newest() {
    return this.#newest;
  }

  // Takes what arrived; `previous` is the number after which nothing else comes before it.
  take(item, previous) {
    this.#enqueue(async () => {
      await this.#fetchUntil(previous).catch(() => {});
      const number = lastNumber(item);
      if (this.#signal.aborted || number <= this.#newest) return;
      this.#newest = number;
      this.#receive(item);
    });
  }

  // Fetches what is missing up to this number.
  catchUp(until) {
    if (until > this.#newest) this.#enqueue(() => this.#fetchUntil(until).catch(() => {}));
  }

  #enqueue(step) {
    this.#work = this.#work.then(step);
  }

  async #fetchUntil(until) {
    if (until - this.#newest > MAX_TO_FETCH) {
      this.#receive({ from: this.#newest + 1, to: until, count: null });
      this.#newest = until;
    }
    while (this.#newest < until) {
      const path = `api/messages?${this.#query}&after=${this.#newest}&limit=${PAGE}`;
      const { messages, cursor } = await ask(path, { signal: this.#signal });
      for (const message of messages.toReversed()) this.#receive(message);
      this.#newest = messages.length === PAGE ? cursor : Math.max(cursor, until);
    }
  }
}
