// Sending dead letters back to their queue: beginning it, the bar that shows how far it has got, and its outcome.

import { canWrite, send } from "../core/api.js";
import { number } from "../core/format.js";
import { toast } from "../core/toast.js";
import { html, nothing } from "../core/view.js";

export const MAX_PER_SECOND = 500;

export class Redrive {
  #now = null; // the redrive that is running, or the last one
  #began = false; // one was begun here, and is not known to have ended
  #changed;
  #path;

  // Of this dead-letter queue, else of that of the pipeline's queue. Calls `changed()` when it should be drawn
  // again.
  constructor(changed, queue = "") {
    this.#changed = changed;
    this.#path = `api/dead-letters/redrive?${new URLSearchParams(queue && { queue })}`;
  }

  waiting = { queue: "", count: 0, queues: [] }; // about how many it holds, and the queues that they belong to

  get running() {
    return this.#began || ["running", "cancelling"].includes(this.#now?.status);
  }

  // Asks how far it has got.
  async poll() {
    const before = this.running;
    const answer = await this.#request("GET").catch(() => ({}));
    const { redrive, from = "", waiting = 0, queues = [] } = answer;
    this.waiting = { queue: from, count: waiting, queues };
    this.#now = redrive ?? null;
    this.#began = false;
    if (before && !this.running && this.#now) toast(outcome(this.#now));
    this.#changed();
  }

  // Asks the reader, then sends `{message_ids}` or `{all: true}`. Returns whether it began.
  async ask(what, perSecond) {
    try {
      const { from, to, waiting } = await this.#request("GET");
      const many = what.all ? waiting : what.message_ids.length;
      const letters = `${number(many)} dead ${many === 1 ? "letter" : "letters"}`;
      const speed = perSecond ? ` at ${number(perSecond)} per second` : "";
      if (!confirm(`Send ${letters} from ${from} back to ${to}${speed}? They are tried again at once.`))
        return false;
    } catch (error) {
      toast(`Not redriven: ${error.message}`);
      return false;
    }
    return this.begin({ ...what, per_second: perSecond });
  }

  // Returns whether it began.
  async begin(body) {
    try {
      await this.#request("POST", body);
      this.#began = true;
      return true;
    } catch (error) {
      toast(`Not redriven: ${error.message}`);
      return false;
    }
  }

  // What the last one did, in words; "" if none is known.
  get outcome() {
    return this.#now && !this.running ? outcome(this.#now) : "";
  }

  #request(method, body) {
    return send(method, this.#path, body && JSON.stringify(body));
  }

  #cancel = () => this.#request("DELETE").catch((error) => toast(`Not cancelled: ${error.message}`));

  progressBar() {
    if (!this.running || !this.#now) return nothing;
    const { moved, total, status } = this.#now;
    return html`<p class="actions">
      <progress aria-label="sent back" max=${Math.max(1, total)} .value=${moved}></progress>
      <span role="status">${number(moved)} of ${number(total)} sent back</span>
      ${
        canWrite
          ? html`<button class="second" ?disabled=${status === "cancelling"} @click=${this.#cancel}>Cancel</button>`
          : nothing
      }
    </p>`;
  }
}

function outcome({ moved, total, status, reason, to }) {
  const where = to ? `to ${to}` : "to the queue";
  const how = status === "completed" ? "" : `, then ${status}`;
  const many = moved < total ? `${number(moved)} of ${number(total)}` : number(moved);
  return `${many} sent back ${where}${how}${reason ? `: ${reason}` : ""}`;
}
