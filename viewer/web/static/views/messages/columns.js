// The reader's own columns: their headings, their cells, and the menu that chooses them. Their values are
// fetched for the rows that are shown, a little after they appear.

import { ask } from "../../core/api.js";
import { addColumn, columns, removeColumn } from "../../core/columns.js";
import { element } from "../../core/dom.js";
import { onChange } from "../../core/state.js";
import { html, render } from "../../core/view.js";

const DELAY_MS = 250;
const MAX_AT_ONCE = 200;

// In rem: with columns of one's own the others keep their width, and the list is scrolled sideways.
const OTHER_COLUMNS = 46;
const OWN_COLUMN = 8;

const table = document.getElementById("messages");
const headings = document.querySelector("#messages thead tr");
const rows = document.getElementById("rows");
const firstOptional = () => headings.querySelector(".type");
const shortName = (name) => name.replace(/^(?:data|attr)\./, "");
let timer = null;

// Adds cells to a row that has just been made; their values follow.
export function addCells(row) {
  const names = columns();
  if (!names.length) return;
  row.querySelector(".text").after(...names.map(cell));
  timer ??= setTimeout(fill, DELAY_MS);
}

const cell = (name) =>
  element(
    "td",
    { class: "field", "data-name": shortName(name) },
    element("span", { class: "ellipsis", dir: "auto" }),
  );

async function fill() {
  timer = null;
  const names = columns();
  const empty = [...rows.querySelectorAll(".message:has(> .field):not([data-filled])")].slice(0, MAX_AT_ONCE);
  if (!empty.length || !names.length) return;
  for (const row of empty) row.dataset.filled = "";
  const query = new URLSearchParams({ names, seqs: empty.map((row) => row.dataset.seq) });
  const { messages } = await ask(`api/messages/fields?${query}`).catch(() => ({ messages: [] }));
  const found = new Map(messages.map((message) => [String(message.seq), message.fields]));
  for (const row of empty) {
    const fields = found.get(row.dataset.seq) ?? {};
    row.querySelectorAll(".field").forEach((place, at) => {
      place.firstChild.textContent = fields[names[at]] ?? "";
      place.title = fields[names[at]] ?? "";
    });
  }
  timer ??= setTimeout(fill, DELAY_MS);
}

const heading = (name) =>
  element(
    "th",
    { scope: "col", class: "field", title: name },
    element("span", { class: "ellipsis" }, shortName(name)),
  );

function draw() {
  for (const old of headings.querySelectorAll(".field")) old.remove();
  firstOptional().before(...columns().map(heading));
  const own = columns().length;
  table.style.minWidth = own ? `${OTHER_COLUMNS + own * OWN_COLUMN}rem` : "";
  for (const row of rows.querySelectorAll(".message")) {
    for (const old of row.querySelectorAll(".field")) old.remove();
    delete row.dataset.filled;
    addCells(row);
  }
  for (const gap of rows.querySelectorAll(".gap-row td")) gap.colSpan = columnCount();
}

export const columnCount = () => headings.childElementCount;

function add(event) {
  event.preventDefault();
  const name = event.target.elements.name.value.trim();
  if (name && !name.includes(",")) addColumn(name);
  event.target.reset();
}

// Fills the menu in which columns are chosen.
export function fillColumns(options) {
  const chosen = columns().map(
    (name) =>
      html`<p class="choice">
        <span class="ellipsis label">${name}</span>
        <button type="button" class="exclude" aria-label="remove the column ${name}" @click=${() => removeColumn(name)}>×</button>
      </p>`,
  );
  render(
    html`${chosen}
      <form class="adding" @submit=${add}>
        <input name="name" aria-label="field" placeholder="data.order.id, attr.tenant" autocomplete="off" />
        <button>Add a column</button>
      </form>`,
    options,
  );
}

export function startColumns() {
  onChange((now, before) => {
    if (now.cols !== before.cols) draw();
  });
  draw();
}
