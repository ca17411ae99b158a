// What the list does not hold: messages older than its last, and those of a gap, fetched when the reader asks for
// them; and those that it finds now, though nothing new has arrived.

import { fetchPage, grow, list, makeGap, makeRow, page, replace } from "./list.js";

const MOST_OF_GAP = 200; // at once

export async function fillGap(row, { from, to, count }) {
  const found = await fetchPage(`&after=${from - 1}&before=${to + 1}`, MOST_OF_GAP);
  if (!found) return;
  const added = found.messages.map(makeRow);
  const left = count === null ? null : count - added.length;
  if (added.length === MOST_OF_GAP && left !== 0) {
    added.push(makeGap({ from, to: found.messages.at(-1).seq - 1, count: left }, []));
  }
  grow(() => row.replaceWith(...added));
}

export async function showOlder(rows) {
  const last = rows.lastElementChild;
  const found = await fetchPage(`&before=${last.dataset.from ?? last.dataset.seq}`);
  if (found) grow(() => rows.append(...found.messages.map(makeRow)), found.messages.length);
}

export async function renew(rows) {
  if (rows.contains(document.activeElement)) return;
  const found = await fetchPage();
  if (!found) return;
  const shown = list.rows().slice(0, page).map((row) => row.dataset.seq);
  if (shown.join() === found.messages.map(({ seq }) => seq).join()) return;
  const chosen = rows.querySelector(".chosen")?.dataset.seq;
  replace(found.messages);
  list.select(chosen);
}
