// The body of a message, exactly as published.

import { copy } from "../core/clipboard.js";
import { size, visible } from "../core/format.js";
import { guard, html } from "../core/view.js";
import { MAX_SHOWN } from "./data.js";
import { hexButton } from "./hex.js";

export function rawPane(message) {
  const text = message.body.slice(0, MAX_SHOWN);
  const cut = text.length < message.body.length ? "; only the beginning is shown" : "";
  return html`<p class="note">
      ${size(message.size)} as published${cut} ·
      <button class="plain" @click=${() => copy(message.body)}>copy</button> ·
      <a href="api/messages/${message.seq}/body" download>download</a>
    </p>
    <pre><bdi>${visible(text)}</bdi></pre>
    ${guard([message.seq], () => hexButton(message.body))}`;
}
