// Links from a message, or a dead letter, to its original and its copies, and to those in conflict with it.

import { opensElsewhere } from "../core/dom.js";
import { address, go } from "../core/state.js";
import { html, nothing } from "../core/view.js";

export function copyLinks({ copy_of: original, copies }) {
  const label = copies.length === 1 ? "Copy:" : "Copies:";
  const links = copies.map((seq) => toMessage(seq));
  return [
    original ? html`<span>Copy of ${toOriginal(original)}</span>` : nothing,
    links.length ? html`<span>${label} ${links.map((one) => [one, " "])}</span>` : nothing,
  ];
}

// The first message with this source and id, and others whose body is another one.
export function conflictLinks({ conflict_of: first, conflicts }) {
  const links = conflicts.map((seq) => toMessage(seq));
  return [
    first ? html`<span class="conflict">≠ Same source and id as ${toMessage(first)}</span>` : nothing,
    links.length
      ? html`<span class="conflict">≠ In conflict: ${links.map((one) => [one, " "])}</span>`
      : nothing,
  ];
}

const toMessage = (seq) => link({ tab: "messages", m: seq }, `message ${seq}`);

function toOriginal({ source, id, seq, dead_letter: letter }) {
  const name = `${source} ${id}`;
  if (seq) return link({ tab: "messages", m: seq }, name);
  return letter ? link({ tab: "dead", m: "", letter }, name) : html`<bdi>${name}</bdi>`;
}

// A link to another view of the page.
export function link(changes, text) {
  const click = (event) => {
    if (opensElsewhere(event)) return;
    event.preventDefault();
    go(changes);
  };
  return html`<a href=${address(changes)} @click=${click}>${text}</a>`;
}
