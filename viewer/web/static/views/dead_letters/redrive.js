// Sending dead letters back to the queue: the buttons that begin it, and the bar that shows how far it has got.

import { canWrite, send } from "../../core/api.js";
import { number } from "../../core/format.js";
import { toast } from "../../core/toast.js";
import { html, nothing } from "../../core/view.js";

const MAX_PER_SECOND = 500;
const request = (method, body) => send(method, "api/dead-letters/redrive", body && JSON.stringify(body));

export class Redrive {
  #now = null; // the redrive that is running, or the last one
  #began = false; // one was begun here, and is not known to have ended
  #changed;

  // Calls `changed()` when it should be drawn again.
  constructor(changed) {
    this.#changed = changed;
  }

  waiting = { queue: "", count: 0 }; // about how many the dead-letter queue holds

  get running() {
    return this.#began || ["running", "cancelling"].includes(this.#now?.status);
  }

  // Asks how far it has got.
  async poll() {
    const before = this.running;
    const { redrive, from = "", waiting = 0 } = await request("GET").catch(() => ({}));
    this.waiting = { queue: from, count: waiting };
    this.#now = redrive ?? null;
    this.#began = false;
    if (before && !this.running && this.#now) toast(outcome(this.#now));
    this.#changed();
  }

  // Asks the reader, then sends `{message_ids}` or `{all: true}`. Returns whether it began.
  async begin(what, perSecond) {
    try {
      const { from, to, waiting } = await request("GET");
      const many = what.all ? waiting : what.message_ids.length;
      const letters = `${number(many)} dead ${many === 1 ? "letter" : "letters"}`;
      const speed = perSecond ? ` at ${number(perSecond)} per second` : "";
      if (!confirm(`Send ${letters} from ${from} back to ${to}${speed}? They are tried again at once.`))
        return false;
      await request("POST", { ...what, per_second: perSecond });
      this.#began = true;
      return true;
    } catch (error) {
      toast(`Not redriven: ${error.message}`);
      return false;
    }
  }

  progressBar() {
    if (!this.running || !this.#now) return nothing;
    const { moved, total, status } = this.#now;
    return html`<p class="actions">
      <progress aria-label="sent back" max=${Math.max(1, total)} .value=${moved}></progress>
      <span role="status">${number(moved)} of ${number(total)} sent back</span>
      ${
        canWrite
          ? html`<button class="second" ?disabled=${status === "cancelling"} @click=${cancel}>Cancel</button>`
          : nothing
      }
    </p>`;
  }
}

const cancel = () => request("DELETE").catch((error) => toast(`Not cancelled: ${error.message}`));

// The buttons, and the field of the rate; `begin(what, perSecond)` is called with what should be sent back.
export function redriveForm({ selected, running, begin }) {
  const redrive = (what) => (event) => {
    const { rate } = event.target.form.elements;
    if (rate.reportValidity()) begin(what, Number(rate.value) || null);
  };
  return html`<form class="actions" @submit=${(event) => event.preventDefault()}>
    <button
      type="button"
      ?disabled=${!selected.length || running}
      @click=${redrive({ message_ids: selected })}
    >
      ${selected.length ? `Redrive ${number(selected.length)}` : "Redrive selected"}
    </button>
    <button type="button" class="second" ?disabled=${running} @click=${redrive({ all: true })}>Redrive all</button>
    <label for="per-second">Max per second</label>
    <input id="per-second" name="rate" type="number" min="1" max=${MAX_PER_SECOND} placeholder="unlimited" />
  </form>`;
}

function outcome({ moved, status, reason }) {
  const how = status === "completed" ? "" : `, then ${status}`;
  return `${number(moved)} sent back to the queue${how}${reason ? `: ${reason}` : ""}`;
}
