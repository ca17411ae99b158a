// The pane that most readers look at: the data of a message.

import { element, size, styled } from "./words.js";
import { decode, drawJson, parse } from "./json.js";
import { content, picked, say } from "./detail.js";

export const LARGEST_SHOWN = 256 * 1024; // characters, until more is asked for

function drawData(message, all = false) {
  const cut = !all && message.body.length > LARGEST_SHOWN;
  const text = cut ? message.body.slice(0, LARGEST_SHOWN) : message.body;
  const root = parse(text, cut);
  const parts = [];
  if (cut) {
    parts.push(element("p", { class: "note" }, `${size(message.size)}; this is the beginning. `,
      element("button", { class: "plain", click: () => content.replaceChildren(...drawData(message, true)) }, "show all"),
      " · ", element("a", { href: `api/messages/${message.seq}/body`, download: "" }, "download")));
  }
  if (!root) return [...parts, element("pre", {}, element("bdi", {}, text)), hexButton(message.body)];
  const data = dataOf(root);
  if (!data) return [...parts, element("p", { class: "note" }, "This event carries no data.")];
  if (data.kind === "string") return [...parts, element("pre", {}, element("bdi", {}, decode(data.text)))];
  return [...parts, element("div", { class: "json" }, drawJson(Object.assign(data, { count: root.count }), "data", pick))];
}

export function dataOf(root) {
  const event = root.children?.some((node) => node.key === "specversion");
  return event ? root.children.find((node) => node.key === "data") : root;
}

// Another message, or pane, may be drawn before what can be done with the value is there.
function pick(value, path) {
  const { firstChild } = content;
  later(import("./picked.js"), ({ offer }) => { if (content.firstChild === firstChild) offer(picked, value, path); });
}

const later = (fetched, use) => Promise.all([fetched, styled()])
  .then(([module]) => use(module)).catch((error) => say(error.message));

export function hexButton(text) {
  const button = element("button", { class: "plain", click: () => later(import("./hex.js"), ({ hex }) => button.replaceWith(hex(text))) }, "as hex");
  return button;
}

export const PANES = { data: drawData };
