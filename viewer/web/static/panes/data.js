// The data of a message: JSON as a tree, anything else as text.

import { size, visible } from "../core/format.js";
import { dataOf, decode, parse } from "../core/json.js";
import { guard, html, nothing } from "../core/view.js";
import { fromBase64, hex, hexButton } from "./hex.js";
import { drawJson } from "./json_tree.js";

export const MAX_SHOWN = 256 * 1024; // characters at once, until the reader asks for all

// Calls `pick(value, path)` when the reader chooses a value, and `showAll()` when asked for all of a long
// message, which is shown if `all`.
export function dataPane(message, { pick, all, showAll }) {
  const cut = !all && message.body.length > MAX_SHOWN;
  const text = cut ? message.body.slice(0, MAX_SHOWN) : message.body;
  return html`${cut ? cutNote(message, showAll) : nothing}
  ${guard([message.seq, all], () => drawText(message, text, cut, pick))}`;
}

const cutNote = (message, showAll) =>
  html`<p class="note">
    ${size(message.size)}; only the beginning is shown.
    <button class="plain" @click=${showAll}>show all</button> ·
    <a href="api/messages/${message.seq}/body" download>download</a>
  </p>`;

function drawText(message, text, cut, pick) {
  if (message.data_base64) return hex(fromBase64(message.data_base64));
  const root = parse(text, cut);
  if (!root) return [plainText(text), hexButton(message.body)];
  const data = dataOf(root);
  if (!data) return html`<p class="note">This event has no data.</p>`;
  if (data.kind === "string") return plainText(decode(data.text));
  return html`<div class="json">${drawJson({ ...data, count: root.count }, text, "data", pick)}</div>`;
}

const plainText = (text) => html`<pre><bdi>${visible(text)}</bdi></pre>`;
