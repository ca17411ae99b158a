// Finding text in a message. Meanwhile it is shown whole and unfolded, so that nothing is hidden from the
// search. Matches are marked by ranges beside the text, which cost little even in a megabyte.

import { element } from "../../core/dom.js";
import { number } from "../../core/format.js";
import { TOKEN, dataOf, decode, parse } from "../../core/json.js";

const MAX_MARKED = 1000; // around the one looked at
const BLOCK_LINES = 200;
const MAX_INDENT = 40;

const box = element("input", {
  "aria-label": "Find in the message",
  placeholder: "Find in the message",
  input: search,
  keydown: move,
});
const count = element("output", {});
const tool = (label, title, text, click) =>
  element("button", { class: "tool", "aria-label": label, title, click }, text);

// Shown while something is looked for: the bar, and instead of the pane the whole text.
export const bar = element(
  "p",
  { class: "find", hidden: true },
  box,
  count,
  tool("previous match", "Shift+Enter", "↑", () => step(-1)),
  tool("next match", "Enter", "↓", () => step(1)),
  tool("close the search", "Esc", "×", closeFind),
);
export const page = element("div", {});

let draw = () => {};
let blocks = []; // {from, node}: the text in parts; the browser lays out only those in sight
let whole = ""; // the text that is laid out
let shown = null; // the {body, raw} that is shown, if it can be searched
let laid = null; // the one of which the text is laid out
let places = []; // [begin, end] of each match
let at = 0;

export const isFinding = () => !bar.hidden && Boolean(box.value) && Boolean(shown);

// Says what is shown: the body of a message, whole (`raw`) or its data; null if that cannot be searched.
export function searchIn(body, raw) {
  if (shown?.body === body && shown?.raw === raw) return;
  shown = body === null ? null : { body, raw };
  laid = null;
  if (bar.hidden) return;
  if (shown) queueMicrotask(search);
  else bar.hidden = true;
}

export function openFind() {
  bar.hidden = false;
  box.select();
  search();
}

function closeFind() {
  bar.hidden = true;
  mark([]);
  draw();
}

function search() {
  draw();
  if (!isFinding()) {
    count.textContent = "";
    return;
  }
  if (laid !== shown) lay(searchable(shown));
  laid = shown;
  const words = box.value.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  const matches = whole.matchAll(new RegExp(words, "giu"));
  places = Array.from(matches, ({ 0: found, index }) => [index, index + found.length]);
  at = 0;
  showMatch();
}

// The text to be searched: the data of the message, or its whole body in the raw pane.
function searchable({ body, raw }) {
  const root = raw ? null : parse(body);
  const data = root && dataOf(root);
  if (!data) return root ? "" : body;
  return data.kind === "string" ? decode(data.text) : indented(body.slice(data.start, data.end));
}

// Returns this JSON with one value a line and its strings decoded.
function indented(text) {
  const lines = [];
  let line = "";
  let depth = 0;
  const wrap = () => {
    lines.push(line);
    line = "  ".repeat(Math.min(depth, MAX_INDENT));
  };
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const [, sign, string, scalar] = TOKEN.exec(text);
    const closes = sign === "}" || sign === "]";
    depth += (sign === "{" || sign === "[") - closes;
    if (closes && line.trim()) wrap();
    else if (closes) line = lines.pop(); // empty
    line += string ? `"${decode(string)}"` : (sign ?? scalar);
    if (sign === ":") line += " ";
    else if (sign && !closes) wrap();
  }
  return [...lines, line].join("\n");
}

function lay(all) {
  const lines = all.split("\n");
  whole = all;
  blocks = [];
  for (let line = 0, from = 0; line < lines.length; line += BLOCK_LINES) {
    const part = lines.slice(line, line + BLOCK_LINES).join("\n");
    blocks.push({ from, node: new Text(part) });
    from += part.length + 1;
  }
  page.replaceChildren(...blocks.map(({ node }) => element("pre", { class: "block" }, node)));
}

function rangeOf([begin, end]) {
  const { from, node } = blocks.findLast((block) => block.from <= begin);
  const range = new Range();
  range.setStart(node, begin - from);
  range.setEnd(node, end - from);
  return range;
}

function step(by) {
  if (!places.length) return;
  at = (at + by + places.length) % places.length;
  showMatch();
}

function showMatch() {
  count.textContent = places.length ? `${number(at + 1)} of ${number(places.length)}` : "none";
  const first = Math.max(0, at - MAX_MARKED / 2);
  const ranges = places.slice(first, first + MAX_MARKED).map(rangeOf);
  const here = ranges[at - first];
  mark(ranges, here);
  if (!here) return;
  const content = page.parentElement;
  const center = () => {
    const above = here.getBoundingClientRect().top - content.getBoundingClientRect().top;
    content.scrollTop += above - content.clientHeight / 2;
  };
  center();
  requestAnimationFrame(center); // again, once the blocks in sight have their true height
}

function mark(ranges, here) {
  if (!globalThis.Highlight) return;
  CSS.highlights.set("found", new Highlight(...ranges));
  CSS.highlights.set("here", new Highlight(...(here ? [here] : [])));
}

function move(event) {
  if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
}

// Esc closes the search before the keys of the page see it, for which it leaves the message.
function closeByKey(event) {
  if (bar.hidden || event.key !== "Escape") return;
  event.stopPropagation();
  event.preventDefault();
  closeFind();
}

// `redraw()` is called when what should be shown changes between the pane and the whole text.
export function startFind(redraw) {
  draw = redraw;
  document.addEventListener("keydown", closeByKey, { capture: true });
}
