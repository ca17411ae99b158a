// The buttons that begin a redrive, of all dead letters or of those selected; or delete those selected.

import { number } from "../../core/format.js";
import { html } from "../../core/view.js";
import { MAX_PER_SECOND } from "../../panes/redrive.js";

// The buttons, and the field of the rate; `begin(what, perSecond)` is called with what should be sent back,
// `discard()` to delete those selected.
export function redriveForm({ selected, running, begin, discard }) {
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
    <button type="button" class="second" ?disabled=${!selected.length || running} @click=${discard}>
      ${selected.length ? `Delete ${number(selected.length)}` : "Delete selected"}
    </button>
  </form>`;
}
