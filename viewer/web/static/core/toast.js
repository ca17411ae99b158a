// A short note at the bottom of the page, which disappears by itself.

import { element } from "./dom.js";

const SHOWN_MS = 2500;
const SHOWN_WITH_ACTION_MS = 10_000;
const place = document.getElementById("toast");
let timer = null;

// `action`, if there is one, is {label, act}: a button in the note.
export function toast(text, action) {
  place.replaceChildren(text);
  if (action) place.append(" ", element("button", { class: "plain", click: action.act }, action.label));
  place.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(
    () => {
      place.hidden = true;
    },
    action ? SHOWN_WITH_ACTION_MS : SHOWN_MS,
  );
}
