// What can be done with a value of a message.

import { copy } from "../core/clipboard.js";
import { addColumn } from "../core/columns.js";
import { addToSearch } from "../core/search.js";
import { visible } from "../core/format.js";
import { html, nothing } from "../core/view.js";

// A value that a click adds to the search.
export function searchButton(name, value) {
  const click = () => addToSearch(name, value);
  return html`<button class="plain" title="search for ${name}:${value}" @click=${click}>
    <bdi>${visible(value)}</bdi>
  </button>`;
}

const button = (label, click) => html`<button class="plain" @click=${click}>${label}</button>`;

const MAX_SEARCHED = 500; // characters of a value

// A bar with what can be done with the value that the reader has chosen: {value, path, exact}. The exact path has
// the indexes of arrays, which a search does not know.
export function valueActions({ value, path, exact }) {
  return html`<p class="value-actions">
    <code>${exact}</code>
    ${button("copy value", () => copy(value))} ${button("copy path", () => copy(exact))}
    ${
      path === "data" || value.length > MAX_SEARCHED
        ? nothing
        : [
            button("search for this value", () => addToSearch(path, value)),
            button("show as a column", () => addColumn(path)),
          ]
    }
  </p>`;
}
