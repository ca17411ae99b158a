// What the list does not hold, fetched when the reader asks for it: messages older than its last, and those of a gap.

import { fetchPage, grow, makeGap, makeRow } from "./list.js";

const MOST_OF_GAP = 200; // at once

export async function fillGap(row, { from, to, count }) {
  const { messages } = await fetchPage(`&after=${from - 1}&before=${to + 1}`, MOST_OF_GAP);
  const found = messages.map(makeRow);
  const left = count === null ? null : count - found.length;
  if (found.length === MOST_OF_GAP && left !== 0) {
    found.push(makeGap({ from, to: messages.at(-1).seq - 1, count: left }, []));
  }
  grow(() => row.replaceWith(...found));
}

export async function showOlder(rows) {
  const last = rows.lastElementChild;
  const { messages } = await fetchPage(`&before=${last.dataset.from ?? last.dataset.seq}`);
  grow(() => rows.append(...messages.map(makeRow)), messages.length);
}
