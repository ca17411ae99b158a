// The keyboard shortcuts there are, and the switch that turns them off.

import { element } from "../core/dom.js";
import { keysAreOff, turnKeys } from "../core/keys.js";

const KEYS = {
  "/": "search",
  "j  k": "next, previous message",
  Enter: "open",
  Esc: "back",
  Space: "pause",
  "g m": "messages",
  "g d": "dead letters",
  "g w": "waiting",
  "g s": "metrics",
  p: "publish",
  f: "find in the message",
  y: "copy the message",
  l: "copy a link",
  t: "UTC or local time",
  "?": "this help",
};

export function openHelp(dialog) {
  const box = element("input", { id: "keys-off", type: "checkbox", change: () => turnKeys(!box.checked) });
  box.checked = keysAreOff();
  const rows = Object.entries(KEYS).flatMap(([key, what]) => [
    element("dt", {}, element("kbd", {}, key)),
    element("dd", {}, what),
  ]);
  dialog.replaceChildren(
    element("h2", {}, "Keyboard shortcuts"),
    element("dl", {}, ...rows),
    element("p", {}, box, element("label", { for: "keys-off" }, " turn them off")),
    element("form", { method: "dialog" }, element("button", {}, "Close")),
  );
  if (!dialog.open) dialog.showModal();
}
