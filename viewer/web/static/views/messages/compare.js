// Comparing the message that is shown with another one, which the address names: ?m=12&with=8.

import { ask } from "../../core/api.js";
import { compare, go, state } from "../../core/state.js";
import { html, nothing } from "../../core/view.js";
import { startSelecting } from "./selection.js";

let other = null; // {seq, message} or {seq, reason}
let pane = null; // what draws the differences, once it is loaded

// Loaded a moment after the page.
export async function loadDiff() {
  pane = await import("../../panes/diff.js");
}

// Whether the address asks for it.
export const isComparing = () => Boolean(state.with);

// Fetches the other message, and calls `draw()` once it is there or known to be missing.
export async function fetchOther(draw) {
  const { with: seq } = state;
  if (!seq || other?.seq === seq) return;
  other = { seq };
  try {
    const [message] = await Promise.all([ask(`api/messages/${seq}`), loadDiff()]);
    other = { seq, message };
  } catch (error) {
    other = { seq, reason: error.message };
  }
  if (seq === state.with) draw();
}

export const comparison = (message) =>
  html`<p class="note">
      <button type="button" class="plain" @click=${() => go({ with: "" })}>back to the message</button>
    </p>
    ${other?.seq === state.with ? found(message) : nothing}`;

function found(message) {
  if (other.reason) return html`<p class="problem">${other.reason}</p>`;
  if (!other.message) return nothing;
  return pane.diffPane(...[message, other.message].toSorted((one, two) => one.seq - two.seq));
}

function choice(label, work) {
  const click = (event) => {
    event.target.closest("details").open = false;
    work();
  };
  return html`<p class="choice"><button type="button" @click=${click}>${label}</button></p>`;
}

// The menu of a message: those that it belongs to, and any other.
export function compareMenu(message) {
  const { copy_of: original, copies, conflict_of: first, conflicts } = message;
  const related = [
    ["its original", original?.seq],
    ...copies.map((seq) => ["its copy", seq]),
    ["the first with its id", first],
    ...conflicts.map((seq) => ["the same id", seq]),
  ].filter(([, seq]) => seq);
  return html`<details class="menu">
    <summary>compare</summary>
    <div class="options">
      ${related.map(([what, seq]) => choice(`with ${what}, message ${seq}`, () => compare(message.seq, seq)))}
      ${choice("with another message …", () => chooseFromList(message.seq))}
    </div>
  </details>`;
}

// On a phone the message covers the list.
function chooseFromList(seq) {
  if (getComputedStyle(document.getElementById("detail")).position === "fixed") go({ m: "" });
  startSelecting(seq);
}
