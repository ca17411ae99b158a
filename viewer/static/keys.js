// Keys, for those who would rather not reach for the mouse; off while typing, and for good if that is wanted.

import { element, switchZone } from "./words.js";
import { go, state } from "./state.js";
import { say } from "./detail.js";

const TABS = { m: "messages", d: "dead", w: "waiting", s: "metrics" };
const HELP = [
  ["/", "search"], ["j  k", "next, previous message"], ["Enter", "open"], ["Esc", "back"], ["Space", "pause"],
  ["g m", "messages"], ["g d", "dead letters"], ["g w", "waiting"], ["g s", "metrics"], ["p", "publish"],
  ["y", "copy the message"], ["l", "copy a link"], ["t", "UTC or your zone"], ["?", "this"],
];
const off = () => localStorage.getItem("keys") === "off";
const dialog = document.getElementById("help");
let after = ""; // the first key of two

// `actions` maps a key to what the page does: see viewer.js.
export function listen(actions) {
  const all = {
    "/": () => document.getElementById("q").focus(),
    Escape: () => (dialog.open ? dialog.close() : go(state.m ? { m: "" } : { tab: "messages" })),
    p: () => go({ tab: "publish", m: "" }),
    t: () => say(switchZone()),
    "?": showHelp,
    ...actions,
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (typing && event.key === "Escape") typing.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || (off() && event.key !== "?")) return;
    if (event.key === " " && event.target.closest("button, summary, a, [role=tabpanel]")) return;
    const second = after === "g" ? TABS[event.key] : null;
    after = event.key;
    if (second) go({ tab: second, m: "" });
    else if (all[event.key]) all[event.key]();
    else return;
    event.preventDefault();
  });
}

function showHelp() {
  const box = element("input", { id: "keys-off", type: "checkbox", change: () => localStorage.setItem("keys", box.checked ? "off" : "on") });
  box.checked = off();
  dialog.replaceChildren(element("h2", {}, "Keys"),
    element("dl", {}, ...HELP.flatMap(([key, words]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, words)])),
    element("p", {}, box, element("label", { for: "keys-off" }, " switch them off")),
    element("form", { method: "dialog" }, element("button", {}, "Close")));
  dialog.showModal();
}

document.getElementById("help-button").addEventListener("click", showHelp);
