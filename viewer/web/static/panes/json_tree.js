// JSON as a tree that folds. What is folded is drawn when it is opened: JSON may nest ten thousand levels
// deep.

import { element } from "../core/dom.js";
import { number } from "../core/format.js";
import { decode } from "../core/json.js";

const OPENED_DEPTH = 3;
const MAX_OPENED = 300; // nodes; of more, only the first level is open
const CHILDREN_AT_ONCE = 100;

// Draws the node; calls `pick(value, path)` when the reader chooses a value.
export function drawJson(root, path, pick) {
  const openedDepth = (root.count ?? 0) > MAX_OPENED ? 1 : OPENED_DEPTH;
  return drawNode(root, path, 0);

  function drawNode(node, at, depth) {
    const key = node.key === null || depth === 0 ? null : element("span", { class: "key" }, node.key);
    const colon = key && element("span", { class: "sign" }, ": ");
    if (!node.children) return drawLeaf(node, at, key, colon);
    const [open, close] = node.kind === "{" ? ["{", "}"] : ["[", "]"];
    if (!node.children.length) return element("div", { class: "leaf" }, key ?? "", colon ?? "", open + close);
    const inner = element("div", { class: "inner" });
    const details = element(
      "details",
      {},
      element(
        "summary",
        {},
        key ?? "",
        colon ?? "",
        element("span", { class: "sign" }, open),
        element("span", { class: "folded" }, ` ${number(node.children.length)} … ${close}`),
      ),
      inner,
      element("div", { class: "sign" }, close),
    );
    const fill = () => {
      if (!inner.childElementCount) drawChildren(node, at, depth, inner, 0);
    };
    details.addEventListener("toggle", fill);
    if (depth < openedDepth) {
      details.open = true;
      fill();
    }
    return details;
  }

  function drawChildren(node, at, depth, inner, from) {
    const next = from + CHILDREN_AT_ONCE;
    inner.append(
      ...node.children
        .slice(from, next)
        .map((child) => drawNode(child, node.kind === "{" ? `${at}.${child.key}` : at, depth + 1)),
    );
    const left = node.children.length - next;
    if (left <= 0) return;
    const more = element(
      "button",
      {
        class: "plain",
        click: () => {
          more.remove();
          drawChildren(node, at, depth, inner, next);
        },
      },
      `${number(left)} more · show`,
    );
    inner.append(more);
  }

  function drawLeaf(node, at, key, colon) {
    const text = node.kind === "string" ? decode(node.text) : node.text;
    // Isolated, so that right-to-left marks in a value do not affect what is around it.
    const value = element("bdi", { class: node.kind }, node.kind === "string" ? `"${text}"` : text);
    const link = /^https?:\/\/\S+$/.test(text)
      ? element(
          "a",
          { class: "out", href: text, target: "_blank", rel: "noreferrer", title: "open in a new tab" },
          " ↗",
        )
      : "";
    return element(
      "div",
      { class: "leaf", click: () => pick(text, at) },
      key ?? "",
      colon ?? "",
      value,
      link,
    );
  }
}
