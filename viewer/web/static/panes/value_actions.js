// What can be done with a value of a message.

import { copy } from "../core/clipboard.js";
import { addColumn } from "../core/columns.js";
import { addToSearch } from "../core/search.js";
import { html, nothing } from "../core/view.js";

// A value that a click adds to the search.
export function searchButton(name, value) {
  const click = () => addToSearch(name, value);
  return html`<button class="plain" title="search for ${name}:${value}" @click=${click}>
    <bdi>${value}</bdi>
  </button>`;
}

const button = (label, click) => html`<button class="plain" @click=${click}>${label}</button>`;

// A bar with what can be done with the value that the reader has chosen: {value, path}.
export function valueActions({ value, path }) {
  return html`<p class="value-actions">
    <code>${path}</code>
    ${button("copy value", () => copy(value))} ${button("copy path", () => copy(path))}
    ${
      path === "data"
        ? nothing
        : [
            button("search for this value", () => addToSearch(path, value)),
            button("show as a column", () => addColumn(path)),
          ]
    }
  </p>`;
}
