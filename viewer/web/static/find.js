// Finding in a message. Its text stands there whole and unfolded meanwhile, so that nothing is hidden from the
// search; marks are ranges beside the text, which cost little even in a megabyte.

import { element, number, styled } from "./words.js";
import { state, go } from "./state.js";
import { TOKEN, decode, parse } from "./json.js";
import { dataOf } from "./data.js";
import { content, draw, onDraw, shown } from "./detail.js";

const MOST_MARKED = 1000; // around the one looked at
const BLOCK_LINES = 200;
const DEEPEST_INDENT = 40;
const PANES = ["data", "raw"];

const box = element("input", { "aria-label": "Find in the message", placeholder: "Find in the message", input: search, keydown: move });
const count = element("output", {});
const bar = element("p", { class: "find", hidden: true }, box, count,
  element("button", { class: "tool", "aria-label": "previous match", title: "Shift+Enter", click: () => step(-1) }, "↑"),
  element("button", { class: "tool", "aria-label": "next match", title: "Enter", click: () => step(1) }, "↓"),
  element("button", { class: "tool", "aria-label": "close the search", title: "Esc", click: close }, "×"));
const sheet = element("div", {});
let blocks = []; // {from, node}: the text in parts, of which the browser lays out those in sight
let whole = "";
let places = []; // [begin, end] of each match
let at = 0;

content.before(bar);

export async function open() {
  await styled();
  bar.hidden = false;
  if (!PANES.includes(state.pane)) go({ pane: "data" });
  box.select();
  search();
}

function close() {
  bar.hidden = true;
  mark([]);
  draw();
}

function search() {
  const words = box.value.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  if (!words) {
    count.textContent = "";
    if (sheet.isConnected) draw();
    return;
  }
  if (!sheet.isConnected) lay(searchable());
  places = Array.from(whole.matchAll(new RegExp(words, "giu")), (found) => [found.index, found.index + found[0].length]);
  at = 0;
  show();
}

// The message as text to be searched: its data, or all of it where that is looked at.
function searchable() {
  const { body } = shown;
  const root = state.pane === "raw" ? null : parse(body);
  const data = root && dataOf(root);
  if (!data) return root ? "" : body;
  return data.kind === "string" ? decode(data.text) : indented(body.slice(data.start, data.end));
}

// Returns JSON, which the text is, laid out a value a line, its strings readable.
function indented(text) {
  const lines = [];
  let line = "";
  let depth = 0;
  const wrap = () => {
    lines.push(line);
    line = "  ".repeat(Math.min(depth, DEEPEST_INDENT));
  };
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const [, sign, string, scalar] = TOKEN.exec(text);
    const closes = sign === "}" || sign === "]";
    depth += (sign === "{" || sign === "[") - closes;
    if (closes && line.trim()) wrap();
    else if (closes) line = lines.pop(); // empty
    line += string ? `"${decode(string)}"` : sign ?? scalar;
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
  sheet.replaceChildren(...blocks.map(({ node }) => element("pre", { class: "block" }, node)));
  content.replaceChildren(sheet);
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
  show();
}

function show() {
  count.textContent = places.length ? `${number(at + 1)} of ${number(places.length)}` : "none";
  const first = Math.max(0, at - MOST_MARKED / 2);
  const ranges = places.slice(first, first + MOST_MARKED).map(rangeOf);
  const here = ranges[at - first];
  mark(ranges, here);
  if (!here) return;
  const center = () => { content.scrollTop += here.getBoundingClientRect().top - content.getBoundingClientRect().top - content.clientHeight / 2; };
  center();
  requestAnimationFrame(center); // when the blocks in sight have their true height
}

function mark(ranges, here) {
  if (!globalThis.Highlight) return;
  CSS.highlights.set("found", new Highlight(...ranges));
  CSS.highlights.set("here", new Highlight(...(here ? [here] : [])));
}

function move(event) {
  if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
}

// Before the keys of the page, for which Esc leaves the message.
document.addEventListener("keydown", (event) => {
  if (bar.hidden || event.key !== "Escape") return;
  event.stopPropagation();
  event.preventDefault();
  close();
}, { capture: true });

onDraw(() => {
  if (bar.hidden) return;
  if (PANES.includes(state.pane)) search();
  else bar.hidden = true;
});
