// One row of the list: a message, or a gap.

import { clock, localize } from "../../core/clock.js";
import { element } from "../../core/dom.js";
import { STATUS_LABELS, duration, number, visible } from "../../core/format.js";
import { address } from "../../core/state.js";
import { addCells, columnCount } from "./columns.js";
import { isSelected } from "./selection.js";

const template = document.getElementById("row"); // row.html, without a message

export function makeRow(message) {
  const row = template.content.firstElementChild.cloneNode(true);
  const fill = (name, text) => {
    row.querySelector(name).textContent = text;
  };
  row.dataset.seq = message.seq;
  row.querySelector("time").dateTime = message.time;
  fill(".text .ellipsis", visible(message.preview) || "(empty)");
  fill(".conflict", message.conflict_of ? "≠ conflict" : "");
  fill(".sequence", message.sequence === null ? "" : `#${message.sequence}`);
  fill(".type .ellipsis", message.type);
  fill(".source .ellipsis", message.source);
  fill(".latency", duration(message.latency_seconds));
  const box = row.querySelector("input");
  box.ariaLabel = `select ${message.preview}`;
  box.checked = isSelected(message.seq);
  markStatus(row, message);
  if (message.color) row.querySelector("circle").setAttribute("fill", message.color);
  addCells(row);
  return localizeRow(row);
}

const timeOf = (row) => Date.parse(row.querySelector("time").dateTime);

// Shows the time since the message below in the list; nothing if there is none, or not directly.
export function showGap(row, below) {
  const known = below?.dataset.seq;
  row.querySelector(".gap").textContent = known ? duration((timeOf(row) - timeOf(below)) / 1000, "+") : "";
}

export function markStatus(row, { status = null, tries = 1 } = {}) {
  const label = row.querySelector(".status");
  label.textContent = STATUS_LABELS[status] ?? "";
  label.dataset.status = status ?? "";
  row.querySelector(".tries").textContent = tries > 1 ? `×${tries}` : "";
}

// What the server cannot know of a row: the reader's time zone, and the rest of the address.
export function localizeRow(row) {
  localize(row.querySelector("time"));
  row.querySelector("a").href = address({ m: row.dataset.seq });
  return row;
}

// A row for {from, to, count}, between messages of these times; see older.js for its button.
export function makeGap({ from, to, count }, since, until) {
  const many = count === null ? "more" : `${number(count)} more`;
  const span = since && until ? ` between ${clock(since)} and ${clock(until)}` : "";
  const button = element("button", {}, `… ${many}${span} · show`);
  return element(
    "tr",
    { class: "gap-row", "data-from": from, "data-to": to, "data-count": count },
    element("td", { colspan: columnCount() }, button),
  );
}

export const gapOf = ({ dataset: { from, to, count } }) => ({
  from: Number(from),
  to: Number(to),
  count: count === undefined ? null : Number(count),
});
