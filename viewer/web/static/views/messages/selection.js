// The messages that the reader has selected, to delete or to compare them: with their boxes, a range of them
// with Shift, or with keys. While there are some the list is held, so that no row moves under the pointer.

import { canWrite } from "../../core/api.js";
import { deleteMessages } from "../../core/deleting.js";
import { number } from "../../core/format.js";
import { compare } from "../../core/state.js";
import { html, nothing, render } from "../../core/view.js";

const table = document.getElementById("messages");
const rows = document.getElementById("rows");
const place = document.getElementById("selection");

const selected = new Set(); // seqs, as text
let selecting = false; // the boxes are shown, and the list is held
let comparing = false; // the next one is what the first one is compared with
let last = null; // the row that was toggled last
let released = () => {};

export const isSelecting = () => selecting;
export const isSelected = (seq) => selected.has(String(seq));

const boxOf = (row) => row.querySelector(".pick input");
const messages = () => [...rows.querySelectorAll(".message")];

function set(row, on) {
  boxOf(row).checked = on;
  selected[on ? "add" : "delete"](row.dataset.seq);
}

// With `range`, all from the row that was toggled last to this one.
function toggle(row, on, range = false) {
  const all = messages();
  const [from, to] = [all.indexOf(row), range ? all.indexOf(last) : -1];
  const some = to < 0 ? [row] : all.slice(Math.min(from, to), Math.max(from, to) + 1);
  for (const one of some) set(one, on);
  last = row;
  if (comparing && selected.size === 2) compareSelected();
  else draw();
}

// Selects the message that has the focus, or else the one that is shown; or no longer.
export function toggleCurrent(range = false) {
  const row = document.activeElement.closest(".message") ?? rows.querySelector(".chosen");
  if (row) toggle(row, range || !isSelected(row.dataset.seq), range);
}

export function clearSelection() {
  if (!selecting) return;
  selecting = comparing = false;
  selected.clear();
  for (const row of messages()) boxOf(row).checked = false;
  draw();
  released();
}

// Shows the boxes; the next message that is selected is compared with this one, if there is one.
export function startSelecting(seq = null) {
  clearSelection();
  selecting = true;
  comparing = Boolean(seq);
  if (seq) selected.add(String(seq));
  for (const row of messages()) boxOf(row).checked = isSelected(row.dataset.seq);
  draw();
}

export function compareSelected() {
  if (selected.size !== 2) return;
  const [older, newer] = [...selected].toSorted((one, other) => one - other);
  clearSelection();
  compare(newer, older);
}

// Returns whether any are selected.
export function deleteSelected() {
  if (selected.size) deleteMessages([...selected]);
  return selected.size > 0;
}

function draw() {
  selecting ||= selected.size > 0;
  table.classList.toggle("selecting", selecting);
  render(selecting ? bar() : nothing, place);
}

function bar() {
  const said = comparing ? "Select a message to compare with" : `${number(selected.size)} selected`;
  return html`<div class="selection">
    <b role="status">${said}</b>
    ${comparing ? nothing : actions()}
    <button type="button" class="plain" @click=${clearSelection}>cancel</button>
  </div>`;
}

const actions = () => html`
  <button type="button" class="plain" @click=${selectAll}>all shown</button>
  <button type="button" class="plain" ?disabled=${selected.size !== 2} title="two messages" @click=${compareSelected}>
    compare
  </button>
  ${
    canWrite
      ? html`<button
        type="button"
        class="plain"
        ?disabled=${!selected.size}
        @click=${deleteSelected}
      >
        delete
      </button>`
      : nothing
  }
`;

function selectAll() {
  for (const row of messages()) set(row, true);
  draw();
}

// Calls `given()` when the list need not be held any more.
export function startSelection(given) {
  released = given;
  rows.addEventListener("click", (event) => {
    if (event.target.matches(".pick input"))
      toggle(event.target.closest(".message"), event.target.checked, event.shiftKey);
  });
  document.getElementById("select").addEventListener("click", ({ target }) => {
    target.closest("details").open = false;
    startSelecting();
  });
}
