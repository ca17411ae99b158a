// Keys, for those who would rather not reach for the mouse; off while typing, and for good if that is wanted.

import { switchZone } from "./words.js";
import { go, state } from "./state.js";
import { say } from "./detail.js";

const TABS = { m: "messages", d: "dead", w: "waiting", s: "metrics" };
export const off = () => localStorage.getItem("keys") === "off";
const dialog = document.getElementById("help");
let after = ""; // the first key of two

// `actions` maps a key to what the page does: see viewer.js.
export function listen(actions) {
  const all = {
    "/": () => document.getElementById("q").focus(),
    Escape: back,
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

function back() {
  const menu = document.querySelector(".menu[open]");
  if (menu) menu.open = false;
  else if (dialog.open) dialog.close();
  else go(state.m ? { m: "" } : { tab: "messages" });
}

const showHelp = () => import("./help.js").then(({ open }) => open(dialog)).catch((error) => say(error.message));

document.getElementById("help-button").addEventListener("click", showHelp);
