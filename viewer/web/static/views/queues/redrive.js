// Sending the messages of any dead-letter queue back to where they died, once its name is typed.

import { toast } from "../../core/toast.js";
import { html } from "../../core/view.js";
import { MAX_PER_SECOND } from "../../panes/redrive.js";

// `redrive` is that of the queue; `began()` is called once it runs. Names are offered by the view's list of queues.
export function redriveForm({ redrive, began }) {
  const { queue, queues: own } = redrive.waiting;
  const target = own.length ? own.join(" or ") : "name of a queue";

  async function submit(event) {
    event.preventDefault();
    const form = event.target;
    const { confirmed, to, rate } = form.elements;
    if (confirmed.value !== queue) {
      toast(`Not redriven: ${confirmed.value} is not ${queue}`);
      return;
    }
    const body = { all: true, to: to.value || null, per_second: Number(rate.value) || null };
    if (!(await redrive.begin(body))) return;
    form.reset();
    began();
  }

  return html`<details class="purge">
    <summary>Redrive these dead letters</summary>
    <form @submit=${submit}>
      <p class="actions">
        <label for="redrive-to">Send all of them to</label>
        <input
          id="redrive-to"
          name="to"
          list="queues"
          size="28"
          maxlength="80"
          placeholder=${target}
          ?required=${!own.length}
        />
        <label for="redrive-rate">Max per second</label>
        <input id="redrive-rate" name="rate" type="number" min="1" max=${MAX_PER_SECOND} placeholder="unlimited" />
      </p>
      <p class="actions">
        <label for="redrive-name">Type the name of the dead-letter queue to confirm:</label>
        <input id="redrive-name" name="confirmed" required autocomplete="off" size="28" placeholder=${queue} />
        <button>Redrive</button>
      </p>
    </form>
  </details>`;
}
