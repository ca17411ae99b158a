// What can be done with a value of a message.

import { copy } from "../core/clipboard.js";
import { addToSearch } from "../core/search.js";
import { html, nothing } from "../core/view.js";

// A value that a click adds to the search.
export function searchButton(name, value) {
  const click = () => addToSearch(name, value);
  return html`<button class="plain" title="search for ${name}:${value}" @click=${click}>
    <bdi>${value}</bdi>
  </button>`;
}

// A bar with what can be done with the value that the reader has chosen: {value, path}.
export function valueActions({ value, path }) {
  const search = () => addToSearch(path, value);
  return html`<p class="value-actions">
    <code>${path}</code>
    <button class="plain" @click=${() => copy(value)}>copy value</button>
    <button class="plain" @click=${() => copy(path)}>copy path</button>
    ${path === "data" ? nothing : html`<button class="plain" @click=${search}>search for this value</button>`}
  </p>`;
}
