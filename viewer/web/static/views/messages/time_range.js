// The menu in which the reader chooses a range of time: one that ends now, or one of their own.

import { toInput, toIso } from "../../core/clock.js";
import { boundOf, searchBetween } from "../../core/search.js";
import { html, render } from "../../core/view.js";

const AGES = { "5m": "last 5 minutes", "1h": "last hour", "1d": "last day", "": "any time" };

function choose(event) {
  event.preventDefault();
  const { after, before } = event.target.elements;
  searchBetween(toIso(after.value), toIso(before.value));
}

const age = ([after, label]) =>
  html`<p class="choice"><button type="button" @click=${() => searchBetween(after, "")}>${label}</button></p>`;

const field = (name, label) =>
  html`<label>
    ${label} <input name=${name} type="datetime-local" step="1" .value=${toInput(boundOf(name))} />
  </label>`;

export function fillTimes(options) {
  render(
    html`${Object.entries(AGES).map(age)}
      <form class="range" @submit=${choose}>
        ${field("after", "from")} ${field("before", "to")}
        <button>Show this range</button>
      </form>`,
    options,
  );
}
