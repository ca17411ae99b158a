// The body of a message, exactly as published.

import { copy } from "../core/clipboard.js";
import { element } from "../core/dom.js";
import { size } from "../core/format.js";
import { hexButton } from "./hex.js";
import { MAX_SHOWN } from "./limits.js";

export function drawRaw(place, message) {
  const text = message.body.slice(0, MAX_SHOWN);
  const cut = text.length < message.body.length ? "; only the beginning is shown" : "";
  place.replaceChildren(
    element(
      "p",
      { class: "note" },
      `${size(message.size)} as published${cut} · `,
      element("button", { class: "plain", click: () => copy(message.body) }, "copy"),
      " · ",
      element("a", { href: `api/messages/${message.seq}/body`, download: "" }, "download"),
    ),
    element("pre", {}, element("bdi", {}, text)),
    hexButton(message.body),
  );
}
