// JSON for reading. The text is cut into tokens and never goes through JSON.parse: integers of 64 bits, the
// order of keys and repeated keys stay as they were published. Nothing here recurses: text may nest ten thousand
// deep, so what is folded is made when it is opened.

import { element, number } from "./words.js";

export const TOKEN = /\s*(?:([{}[\],:])|("(?:[^"\\]|\\[^])*")|(-?\d[\d.eE+-]*|true|false|null)|([^]))/y;
const OPENED_DEPTH = 3;
const MOST_OPENED = 300; // nodes; beyond, only the first level stands open
const CHILDREN_AT_ONCE = 100;

// Returns the root node, or null if the text is not JSON. A text that was cut off is read as far as it goes.
export function parse(text, cut = false) {
  const root = { children: [] };
  const stack = [root];
  let key = null;
  let count = 0;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const [, sign, string, scalar, wrong] = TOKEN.exec(text);
    const at = TOKEN.lastIndex;
    const parent = stack.at(-1);
    if (wrong) {
      if (cut || !text.slice(at - 1).trim()) break;
      return null;
    }
    if (sign === "{" || sign === "[") {
      const node = { key, kind: sign, children: [], start: at - 1, end: text.length };
      parent.children.push(node);
      stack.push(node);
      key = null;
      count += 1;
    } else if (sign === "}" || sign === "]") {
      if (stack.length === 1 || parent.kind !== (sign === "}" ? "{" : "[")) return null;
      stack.pop().end = at;
    } else if (string && parent.kind === "{" && key === null) {
      key = decode(string);
    } else if (string || scalar) {
      parent.children.push({ key, kind: string ? "string" : "scalar", text: string ?? scalar, start: at - (string ?? scalar).length, end: at });
      key = null;
      count += 1;
    }
  }
  if (!cut && stack.length > 1) return null;
  return finish(root, count);
}

function finish(root, count) {
  if (root.children.length !== 1) return null;
  return Object.assign(root.children[0], { count });
}

export function decode(string) {
  if (!string.includes("\\")) return string.slice(1, -1); // nearly always, and there may be very many
  try {
    return JSON.parse(string);
  } catch {
    return string;
  }
}

// Draws the node; `pick(node, path)` is called when the reader chooses a value.
export function drawJson(root, path, pick) {
  const openedDepth = (root.count ?? 0) > MOST_OPENED ? 1 : OPENED_DEPTH;
  return drawNode(root, path, 0);

  function drawNode(node, at, depth) {
    const key = node.key === null || depth === 0 ? null : element("span", { class: "key" }, node.key);
    const colon = key && element("span", { class: "sign" }, ": ");
    if (!node.children) return drawLeaf(node, at, key, colon);
    const [open, close] = node.kind === "{" ? ["{", "}"] : ["[", "]"];
    if (!node.children.length) return element("div", { class: "leaf" }, key ?? "", colon ?? "", open + close);
    const inner = element("div", { class: "inner" });
    const details = element("details", {},
      element("summary", {}, key ?? "", colon ?? "", element("span", { class: "sign" }, open),
        element("span", { class: "folded" }, ` ${number(node.children.length)} … ${close}`)),
      inner, element("div", { class: "sign" }, close));
    const fill = () => { if (!inner.childElementCount) drawChildren(node, at, depth, inner, 0); };
    details.addEventListener("toggle", fill);
    if (depth < openedDepth) {
      details.open = true;
      fill();
    }
    return details;
  }

  function drawChildren(node, at, depth, inner, from) {
    const next = from + CHILDREN_AT_ONCE;
    inner.append(...node.children.slice(from, next).map((child) =>
      drawNode(child, node.kind === "{" ? `${at}.${child.key}` : at, depth + 1)));
    const left = node.children.length - next;
    if (left <= 0) return;
    const more = element("button", { class: "plain", click: () => { more.remove(); drawChildren(node, at, depth, inner, next); } },
      `${number(left)} more · show`);
    inner.append(more);
  }

  function drawLeaf(node, at, key, colon) {
    const text = node.kind === "string" ? decode(node.text) : node.text;
    // Isolated, so that right-to-left marks in a value turn nothing around.
    const value = element("bdi", { class: node.kind }, node.kind === "string" ? `"${text}"` : text);
    const link = /^https?:\/\/\S+$/.test(text)
      ? element("a", { class: "out", href: text, target: "_blank", rel: "noreferrer", title: "open in a new tab" }, " ↗") : "";
    return element("div", { class: "leaf", click: () => pick(text, at) }, key ?? "", colon ?? "", value, link);
  }
}
