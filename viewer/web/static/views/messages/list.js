// The list: newest first, bounded, drawn once a frame. While the reader looks further down, what arrives is
// counted and kept back, never lost.

import { ask } from "../../core/api.js";
import { firstNumber, isGap, lastNumber, messageCount } from "../../core/arrivals.js";
import { clock } from "../../core/clock.js";
import { number } from "../../core/format.js";
import { localizeRow, makeGap, makeRow, showGap } from "./rows.js";
import { clearSelection, isSelecting, startSelection } from "./selection.js";

// In the page; the store has all, and older ones come as the reader scrolls. Each frame moves, and paints, all.
const MAX_ROWS = 100;
const MAX_WAITING = 200; // to be drawn
const MAX_ANIMATED = 5; // at once; more would only flicker
const MAX_IN_FRAME = 30;
const HIDDEN_DRAW_MS = 250;
const AT_TOP_PIXELS = 8;
// Classes of the table, and of which messages it gets them.
const OPTIONAL = {
  numbered: (message) => Number.isInteger(message.sequence),
  colored: (message) => Boolean(message.color),
  dated: (message) => message.time && clock(message.time).length > "00:00:00".length,
};

const table = document.getElementById("messages");
const rows = document.getElementById("rows");
const scroller = document.getElementById("list");
const empty = document.getElementById("empty");
const older = document.getElementById("older");
const news = document.getElementById("news");
const pageSize = Number(table.dataset.page);

let query = new URLSearchParams();
let waiting = []; // received, not drawn, oldest first: messages and gaps
let maxRows = MAX_ROWS; // more, once the reader has asked for older ones
let held = false; // on purpose
let reading = false; // the reader has opened a message
let drawing = false;

export const list = {
  get newest() {
    return Number(table.dataset.newest);
  },
  get held() {
    return held;
  },
  // While the reader reads a message that they have opened, the list stays as it is.
  set reading(on) {
    reading = on;
    if (!on) schedule();
  },
  get query() {
    return query;
  },
  rows: () => [...rows.querySelectorAll(".message")],
  row: (seq) => rows.querySelector(`.message[data-seq="${seq}"]`),
  chosen: () => rows.querySelector(".chosen")?.dataset.seq,
  select(seq) {
    for (const row of [rows.querySelector(".chosen"), list.row(seq)]) {
      if (!row) continue;
      const chosen = row.dataset.seq === seq;
      row.classList.toggle("chosen", chosen);
      row.querySelector("a").ariaCurrent = chosen ? "true" : null;
    }
  },
};

// ---- what arrives

// Reading a message, looking further down, selecting messages or text, or pausing keeps the list as it is.
export function isHeld() {
  const selection = getSelection();
  const selecting = !selection.isCollapsed && scroller.contains(selection.anchorNode);
  return held || reading || isSelecting() || scroller.scrollTop > AT_TOP_PIXELS || selecting;
}

export function receive(item) {
  waiting.push(item);
  if (waiting.length > MAX_WAITING) foldOldest();
  schedule();
}

// A hidden tab has no animation frames, but should be up to date when it is looked at.
function schedule() {
  if (drawing) return;
  drawing = true;
  if (document.hidden) setTimeout(draw, HIDDEN_DRAW_MS);
  else requestAnimationFrame(draw);
}

const countIn = (items) => items.reduce((sum, item) => sum + messageCount(item), 0);

// More is waiting than a person would look at: the older half becomes a gap.
function foldOldest() {
  const folded = waiting.splice(0, MAX_WAITING / 2);
  const [from, to] = [firstNumber(folded[0]), lastNumber(folded.at(-1))];
  waiting.unshift({ from, to, count: countIn(folded) });
}

function draw() {
  drawing = false;
  if (isHeld()) {
    showNews();
    return;
  }
  const taken = waiting.splice(0, MAX_IN_FRAME);
  const items = taken.filter((item) => !list.row(item.seq)); // a refreshed list may have it already
  const fresh = items.map((item, at) => (isGap(item) ? gapAmong(items, at) : makeRow(item)));
  if (fresh.length <= MAX_ANIMATED) for (const row of fresh) row.classList.add("fresh");
  rows.prepend(...fresh.toReversed());
  for (const row of fresh) if (row.dataset.seq) showGap(row, row.nextElementSibling);
  markOptional(items);
  while (rows.childElementCount > maxRows) rows.lastElementChild.remove();
  showEmptyAndOlder();
  showNews();
  if (waiting.length) schedule();
}

function gapAmong(items, at) {
  const before = items[at - 1]?.time ?? rows.querySelector("time")?.dateTime;
  return makeGap(items[at], before, (items[at + 1] ?? waiting[0])?.time);
}

function showNews() {
  const count = countIn(waiting);
  news.hidden = !count || !isHeld();
  news.textContent = `▲ ${number(count)} new${held ? " (paused)" : ""}`;
}

export function hold(on) {
  held = on;
  if (!held) toNewest();
}

export function toNewest() {
  held = false;
  reading = false;
  clearSelection();
  getSelection().removeAllRanges();
  scroller.scrollTop = 0;
  maxRows = MAX_ROWS;
  draw();
}

// ---- what is stored

// Returns nothing if the reader has searched for something else in the meantime.
export async function fetchPage(more = "", limit = pageSize) {
  const asked = query;
  const answer = await ask(`api/messages?${asked}&limit=${limit}${more}`);
  return asked === query ? answer : null;
}

// What the reader has asked for stays, however long the list becomes; `fetched` is the size of an older page.
export function grow(add, fetched) {
  add();
  showGaps();
  maxRows = Math.max(maxRows, rows.childElementCount);
  if (fetched !== undefined) showEmptyAndOlder(fetched === pageSize);
}

// Returns whether it is still what the reader searches for.
export async function load(q) {
  query = new URLSearchParams(q && { q });
  const found = await fetchPage();
  if (!found) return false;
  waiting = [];
  clearSelection();
  maxRows = MAX_ROWS;
  table.dataset.newest = found.cursor;
  scroller.scrollTop = 0;
  replace(found.messages);
  showNews();
  return true;
}

function replace(messages) {
  rows.replaceChildren(...messages.map(makeRow));
  showGaps();
  for (const name of Object.keys(OPTIONAL)) table.classList.remove(name);
  markOptional(messages);
  showEmptyAndOlder(messages.length === pageSize);
}

// Shows what the same search finds now, where that differs, without disturbing the reader.
export async function refresh() {
  if (rows.contains(document.activeElement)) return;
  const found = await fetchPage();
  if (!found) return;
  const shown = list.rows().slice(0, pageSize);
  if (shown.map((row) => row.dataset.seq).join() === found.messages.map(({ seq }) => seq).join()) return;
  const chosen = list.chosen();
  replace(found.messages);
  list.select(chosen);
}

function showGaps() {
  for (const row of list.rows()) showGap(row, row.nextElementSibling);
}

// Shows a column only if a message has something to show there.
function markOptional(messages) {
  for (const [name, shown] of Object.entries(OPTIONAL)) {
    if (!table.classList.contains(name) && messages.some(shown)) table.classList.add(name);
  }
}

function showEmptyAndOlder(more = !older.hidden || rows.childElementCount >= pageSize) {
  empty.hidden = rows.childElementCount > 0;
  empty.dataset.why = query.size ? "search" : "store";
  older.hidden = !more;
}

// Takes over the list that the server has rendered for this search.
export function startList(q) {
  query = new URLSearchParams(q && { q });
  for (const row of list.rows()) localizeRow(row);
  markOptional(list.rows().map((row) => ({ time: row.querySelector("time").dateTime })));
  showEmptyAndOlder(rows.childElementCount === pageSize);
  news.addEventListener("click", toNewest);
  startSelection(schedule);
  const drawAtTop = () => {
    if (scroller.scrollTop <= AT_TOP_PIXELS && waiting.length) draw();
  };
  scroller.addEventListener("scroll", drawAtTop, { passive: true });
}
