// The keys that there are, and the switch that turns them off.

import { element, styled } from "./words.js";
import { off } from "./keys.js";

const KEYS = [
  ["/", "search"], ["j  k", "next, previous message"], ["Enter", "open"], ["Esc", "back"], ["Space", "pause"],
  ["g m", "messages"], ["g d", "dead letters"], ["g w", "waiting"], ["g s", "metrics"], ["p", "publish"],
  ["f", "find in the message"], ["y", "copy the message"], ["l", "copy a link"], ["t", "UTC or your zone"], ["?", "this"],
];

export async function open(dialog) {
  await styled();
  const box = element("input", { id: "keys-off", type: "checkbox", change: () => localStorage.setItem("keys", box.checked ? "off" : "on") });
  box.checked = off();
  dialog.replaceChildren(element("h2", {}, "Keys"),
    element("dl", {}, ...KEYS.flatMap(([key, words]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, words)])),
    element("p", {}, box, element("label", { for: "keys-off" }, " switch them off")),
    element("form", { method: "dialog" }, element("button", {}, "Close")));
  if (!dialog.open) dialog.showModal();
}
