// JSON as a tree that folds. What is folded shows its beginning, and is drawn when it is opened: JSON may nest
// ten thousand levels deep.

import { element } from "../core/dom.js";
import { number, visible } from "../core/format.js";
import { decode } from "../core/json.js";

const OPENED_DEPTH = 3;
const MAX_OPENED = 300; // nodes; of more, only the first level is open
const MAX_OPENED_AT_ONCE = 1000;
const CHILDREN_AT_ONCE = 100;
const PREVIEW_LENGTH = 80;
const PREVIEW_MEMBERS = 4;

const fills = new WeakMap(); // of each <details>: draws what is inside

// Draws the node of this text; calls `pick(value, path)` when the reader chooses a value. Indexes of arrays are
// no part of a path, as in a search; they follow as a third argument, which has them.
export function drawJson(root, text, path, pick) {
  const openedDepth = (root.count ?? 0) > MAX_OPENED ? 1 : OPENED_DEPTH;
  const tree = drawNode(root, null, path, path, 0);
  return root.children?.some((child) => child.children) ? [expandAll(tree), tree] : tree;

  function drawNode(node, label, at, exact, depth) {
    if (!node.children?.length) return drawLeaf(node, label, at, exact);
    const [open, close] = brackets(node);
    const inner = element("div", { class: "inner" });
    const choose = (event) => {
      event.preventDefault(); // it does not fold
      pick(text.slice(node.start, node.end), at, exact);
    };
    const details = element(
      "details",
      {},
      element(
        "summary",
        {},
        ...(label ? [element("span", { class: "branch", title: "choose", click: choose }, ...label)] : []),
        element("span", { class: "sign" }, open),
        element(
          "span",
          { class: "folded" },
          node.kind === "[" ? ` ${number(node.children.length)}: ` : " ",
          element("bdi", {}, preview(node)),
          ` ${close}`,
        ),
      ),
      inner,
      element("div", { class: "sign" }, close),
    );
    const fill = () => {
      if (!inner.childElementCount) drawChildren(node, at, exact, depth, inner, 0);
    };
    fills.set(details, fill);
    details.addEventListener("toggle", fill);
    if (depth < openedDepth) {
      details.open = true;
      fill();
    }
    return details;
  }

  function drawChildren(node, at, exact, depth, inner, from) {
    const next = from + CHILDREN_AT_ONCE;
    const isObject = node.kind === "{";
    inner.append(
      ...node.children.slice(from, next).map((child, place) => {
        const index = from + place;
        return isObject
          ? drawNode(child, keyLabel(child.key), `${at}.${child.key}`, `${exact}.${child.key}`, depth + 1)
          : drawNode(child, indexLabel(index), at, `${exact}[${index}]`, depth + 1);
      }),
    );
    const left = node.children.length - next;
    if (left <= 0) return;
    const show = () => {
      more.remove();
      drawChildren(node, at, exact, depth, inner, next);
    };
    const more = element("button", { class: "plain", click: show }, `${number(left)} more · show`);
    inner.append(more);
  }

  function drawLeaf(node, label, at, exact) {
    const value = node.kind === "string" ? decode(node.text) : (node.text ?? brackets(node).join(""));
    const link = /^https?:\/\/\S+$/.test(value)
      ? [
          element(
            "a",
            { class: "out", href: value, target: "_blank", rel: "noreferrer", title: "open in a new tab" },
            " ↗",
          ),
        ]
      : [];
    return element(
      "div",
      { class: "leaf", click: () => pick(value, at, exact) },
      ...(label ?? []),
      ...scalar(node, value),
      ...link,
    );
  }
}

const brackets = ({ kind }) => (kind === "{" ? ["{", "}"] : ["[", "]"]);
const sign = (text) => element("span", { class: "sign" }, text);
const keyLabel = (key) => [element("span", { class: "key" }, visible(key)), sign(": ")];
const indexLabel = (index) => [element("span", { class: "index" }, number(index)), sign(": ")];

// The value, isolated: right-to-left text in it does not move the quotes around it.
function scalar({ kind }, value) {
  const content = element("bdi", {}, visible(value));
  const quote = kind === "string" ? ['"'] : [];
  return [element("span", { class: kind === "string" ? "string" : "scalar" }, ...quote, content, ...quote)];
}

// The beginning of what is inside: the first members of an object, the first items of an array.
function preview({ children, kind }) {
  const parts = children.slice(0, PREVIEW_MEMBERS).map((child) => {
    const value = child.children ? `${brackets(child).join("…")}` : child.text.slice(0, PREVIEW_LENGTH);
    return kind === "{" ? `${child.key}: ${value}` : value;
  });
  const more = children.length > PREVIEW_MEMBERS ? ", …" : "";
  return visible(`${parts.join(", ").slice(0, PREVIEW_LENGTH)}${more}`);
}

function expandAll(tree) {
  const expand = () => {
    for (let opened = 0; opened < MAX_OPENED_AT_ONCE; opened += 1) {
      const folded = tree.matches("details:not([open])") ? tree : tree.querySelector("details:not([open])");
      if (!folded) return;
      folded.open = true;
      fills.get(folded)();
    }
  };
  return element("button", { class: "plain expand", click: expand }, "expand all");
}
