// Messages that the list does not hold, fetched when the reader asks for them: older than its last, or of a
// gap.

import { toast } from "../../core/toast.js";
import { fetchPage, grow } from "./list.js";
import { gapOf, makeGap, makeRow } from "./rows.js";

const MAX_OF_GAP = 200; // at once
const rows = document.getElementById("rows");
const scroller = document.getElementById("list");
const older = document.getElementById("older");

export function startOlder() {
  rows.addEventListener("click", ({ target }) => {
    const button = target.closest(".gap-row button");
    if (button) once(button, () => fillGap(button.closest(".gap-row")));
  });
  const show = () => once(older, showOlder);
  older.addEventListener("click", show);
  // Reached by scrolling, not merely visible because the list is short.
  const reached = ([entry]) => {
    if (entry.isIntersecting && scroller.scrollTop > 0) show();
  };
  new IntersectionObserver(reached, { root: scroller }).observe(older);
}

async function once(button, work) {
  if (button.disabled) return;
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    toast(error.message);
  } finally {
    button.disabled = false;
  }
}

async function fillGap(row) {
  const { from, to, count } = gapOf(row);
  const found = await fetchPage(`&after=${from - 1}&before=${to + 1}`, MAX_OF_GAP);
  if (!found) return;
  const added = found.messages.map(makeRow);
  const left = count === null ? null : count - added.length;
  if (added.length === MAX_OF_GAP && left !== 0) {
    added.push(makeGap({ from, to: found.messages.at(-1).seq - 1, count: left }));
  }
  grow(() => row.replaceWith(...added));
}

async function showOlder() {
  const { dataset } = rows.lastElementChild;
  const found = await fetchPage(`&before=${dataset.from ?? dataset.seq}`);
  if (found) grow(() => rows.append(...found.messages.map(makeRow)), found.messages.length);
}
