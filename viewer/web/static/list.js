// The list: newest first, bounded, drawn once a frame. While the reader is elsewhere in it, what arrives is
// counted and kept back, never lost.

import { FATES, ask, clock, duration, element, localize, number } from "./words.js";
import { address } from "./state.js";

const LONGEST = 200; // rows in the page; the store has all
const MOST_ANIMATED = 5; // at once; more would only flicker
const MOST_IN_FRAME = 60; // each frame moves, and paints, all others too
const REVIEW_MS = 3000;

const table = document.getElementById("messages");
const rows = document.getElementById("rows");
const scroller = document.getElementById("list");
const template = document.getElementById("row");
const empty = document.getElementById("empty");
const older = document.getElementById("older");
const news = document.getElementById("news");
export const page = Number(table.dataset.page);

let query = "";
let waiting = []; // received, not drawn, oldest first: messages and gaps
let longest = LONGEST; // more, once the reader has asked for older ones
let held = false; // on purpose
let drawing = false;

export const list = {
  get newest() { return Number(table.dataset.newest); },
  get held() { return held; },
  rows: () => [...rows.querySelectorAll(".message")],
  row: (seq) => rows.querySelector(`.message[data-seq="${seq}"]`),
  select(seq) {
    for (const row of [rows.querySelector(".chosen"), list.row(seq)]) {
      if (!row) continue;
      const chosen = row.dataset.seq === seq;
      row.classList.toggle("chosen", chosen);
      row.querySelector("a").ariaCurrent = chosen ? "true" : null;
    }
  },
};

// ---- one row

export function makeRow(message) {
  const row = template.content.firstElementChild.cloneNode(true);
  const fill = (name, text) => { row.querySelector(name).textContent = text; };
  row.dataset.seq = message.seq;
  row.querySelector("time").dateTime = message.time;
  fill(".gap", duration(message.since_previous_seconds, "+"));
  fill(".text .words", message.preview || "(empty)");
  fill(".sequence", message.sequence === null ? "" : `#${message.sequence}`);
  fill(".type .words", message.type);
  fill(".source .words", message.source);
  fill(".latency", duration(message.latency_seconds));
  mark(row, message);
  if (message.color) row.querySelector("circle").setAttribute("fill", message.color);
  return dress(row);
}

function mark(row, { status, tries } = {}) {
  if (!row) return;
  const [fate, times] = [row.querySelector(".fate"), row.querySelector(".tries")];
  fate.textContent = FATES[status] ?? "";
  fate.dataset.status = status ?? "";
  times.textContent = tries > 1 ? `×${tries}` : "";
}

// What the server leaves to the browser: the reader's zone and place.
function dress(row) {
  localize(row.querySelector("time"));
  row.querySelector("a").href = address({ m: row.dataset.seq });
  return row;
}

export function makeGap(gap, [since, until]) {
  const count = gap.count === null ? "more" : `${number(gap.count)} more`;
  const span = since && until ? ` between ${clock(since)} and ${clock(until)}` : "";
  const button = element("button", { click: () => fetchOlder(button, ({ fillGap }) => fillGap(row, gap)) }, `… ${count}${span} · show`);
  const row = element("tr", { class: "passed", "data-from": gap.from, "data-to": gap.to },
    element("td", { colspan: 8 }, button));
  return row;
}

async function fetchOlder(button, work) {
  if (button.disabled) return;
  button.disabled = true;
  try {
    await work(await import("./older.js"));
  } finally {
    button.disabled = false;
  }
}

// ---- what arrives

// Looking further down, selecting text or holding on purpose keeps the list as it is.
function isHeld() {
  const selection = getSelection();
  return held || scroller.scrollTop > 8 || (!selection.isCollapsed && scroller.contains(selection.anchorNode));
}

export function receive(item) {
  waiting.push(item);
  if (waiting.length > LONGEST) foldOldest();
  schedule();
}

// A hidden tab has no animation frames, but should be up to date when it is looked at.
function schedule() {
  if (drawing) return;
  drawing = true;
  if (document.hidden) setTimeout(draw, 250);
  else requestAnimationFrame(draw);
}

const messagesIn = (items) => items.reduce((sum, item) => sum + (item.from === undefined ? 1 : item.count ?? 0), 0);

// More waits than the list would show: the older half becomes a gap that can be opened.
function foldOldest() {
  const folded = waiting.splice(0, LONGEST / 2);
  const count = messagesIn(folded);
  const [first, last] = [folded[0], folded.at(-1)];
  waiting.unshift({ from: first.from ?? first.seq, to: last.to ?? last.seq, count });
}

export function draw() {
  drawing = false;
  if (isHeld()) return showNews();
  const taken = waiting.splice(0, MOST_IN_FRAME);
  const batch = taken.filter((item) => !list.row(item.seq)); // see renew in older.js
  const fresh = batch.map((item, at) => item.from === undefined
    ? makeRow(item)
    : makeGap(item, [batch[at - 1]?.time ?? rows.querySelector("time")?.dateTime, (batch[at + 1] ?? waiting[0])?.time]));
  if (fresh.length <= MOST_ANIMATED) for (const row of fresh) row.classList.add("fresh");
  rows.prepend(...fresh.reverse());
  while (rows.childElementCount > longest) rows.lastElementChild.remove();
  showWhatIsThere();
  showNews();
  if (waiting.length) schedule();
}

function showNews() {
  const count = messagesIn(waiting);
  news.hidden = !count || !isHeld();
  news.textContent = `▲ ${number(count)} new${held ? " (paused)" : ""}`;
}

export function hold(on) {
  held = on;
  if (!held) toNewest();
}

export function toNewest() {
  held = false;
  getSelection().removeAllRanges();
  scroller.scrollTop = 0;
  longest = LONGEST;
  draw();
}

news.addEventListener("click", toNewest);
scroller.addEventListener("scroll", () => { if (scroller.scrollTop <= 8 && waiting.length) draw(); }, { passive: true });

// ---- what is there

// Returns nothing if the reader has searched for something else meanwhile.
export async function fetchPage(more = "", limit = page) {
  const asked = query;
  const answer = await ask(`api/messages?${asked}&limit=${limit}${more}`);
  return asked === query ? answer : null;
}

// What the reader has asked for stays, however long the list becomes; `fetched` is the size of an older page.
export function grow(add, fetched) {
  add();
  longest = Math.max(longest, rows.childElementCount);
  if (fetched !== undefined) showWhatIsThere(fetched === page);
}

// Returns whether it is still what the reader searches for.
export async function load(q) {
  query = new URLSearchParams(q && { q });
  const found = await fetchPage();
  if (!found) return false;
  waiting = [];
  longest = LONGEST;
  table.dataset.newest = found.cursor;
  scroller.scrollTop = 0;
  replace(found.messages);
  showNews();
  return true;
}

export function replace(messages) {
  rows.replaceChildren(...messages.map(makeRow));
  showWhatIsThere(messages.length === page);
}

export function adopt(q) {
  query = new URLSearchParams(q && { q });
  for (const row of list.rows()) dress(row);
  showWhatIsThere(rows.childElementCount === page);
}

function showWhatIsThere(more = !older.hidden || rows.childElementCount >= page) {
  empty.hidden = rows.childElementCount > 0;
  empty.dataset.why = query.size ? "search" : "store";
  older.hidden = !more;
}

// ---- what becomes of them

async function review() {
  if (document.hidden || document.body.dataset.tab !== "messages") return;
  // A search by status finds others without a new message.
  if (/\bstatus:/i.test(query.get("q")) && !isHeld()) await (await import("./older.js")).renew(rows);
  const seqs = list.rows().map((row) => Number(row.dataset.seq));
  if (!seqs.length) return;
  const range = new URLSearchParams({ after: Math.max(0, Math.min(...seqs) - 1), before: Math.max(...seqs) + 1 });
  const { from, statuses } = await ask(`api/messages/statuses?${query}&${range}`);
  const known = new Map(statuses.map((one) => [one.seq, one]));
  for (const seq of seqs) if (seq >= from) mark(list.row(seq), known.get(seq));
}

setInterval(() => review().catch(() => {}), REVIEW_MS);

const showOlder = () => fetchOlder(older, (module) => module.showOlder(rows));

older.addEventListener("click", showOlder);
// Reached by scrolling, not merely in sight because the list is short.
new IntersectionObserver(([entry]) => { if (entry.isIntersecting && scroller.scrollTop > 0) showOlder(); }, { root: scroller })
  .observe(older);
