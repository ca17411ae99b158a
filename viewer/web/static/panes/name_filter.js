// Narrows a view to what has these characters in its name, as the address says them.

import { go, state } from "../core/state.js";
import { html } from "../core/view.js";

export const nameFilter = (placeholder) =>
  html`<p class="actions">
  <label for="name-filter">Show</label>
  <input
    id="name-filter"
    type="search"
    size="28"
    maxlength="256"
    placeholder=${placeholder}
    .value=${state.names}
    @input=${(event) => go({ names: event.target.value }, { replace: true })}
  />
</p>`;
