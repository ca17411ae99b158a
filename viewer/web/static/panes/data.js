// The data of a message: JSON as a tree, anything else as text.

import { element } from "../core/dom.js";
import { size } from "../core/format.js";
import { dataOf, decode, parse } from "../core/json.js";
import { fromBase64, hex, hexButton } from "./hex.js";
import { drawJson } from "./json_tree.js";

export const MAX_SHOWN = 256 * 1024; // characters at once, until the reader asks for all

// Draws into `place`; calls `pick(value, path)` when the reader chooses a value.
export function drawData(place, message, pick, all = false) {
  const cut = !all && message.body.length > MAX_SHOWN;
  const text = cut ? message.body.slice(0, MAX_SHOWN) : message.body;
  const showAll = () => drawData(place, message, pick, true);
  place.replaceChildren(...(cut ? [cutNote(message, showAll)] : []), ...drawText(message, text, cut, pick));
}

function cutNote(message, showAll) {
  return element(
    "p",
    { class: "note" },
    `${size(message.size)}; only the beginning is shown. `,
    element("button", { class: "plain", click: showAll }, "show all"),
    " · ",
    element("a", { href: `api/messages/${message.seq}/body`, download: "" }, "download"),
  );
}

function drawText(message, text, cut, pick) {
  if (message.data_base64) return [hex(fromBase64(message.data_base64))];
  const root = parse(text, cut);
  if (!root) return [plainText(text), hexButton(message.body)];
  const data = dataOf(root);
  if (!data) return [element("p", { class: "note" }, "This event has no data.")];
  if (data.kind === "string") return [plainText(decode(data.text))];
  return [element("div", { class: "json" }, drawJson({ ...data, count: root.count }, "data", pick))];
}

const plainText = (text) => element("pre", {}, element("bdi", {}, text));
