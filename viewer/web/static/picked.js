// What can be done with a value of the message that the reader has chosen.

import { element } from "./words.js";
import { addToSearch, copy } from "./detail.js";

const action = (words, click) => element("button", { class: "plain", click }, words);

export function offer(bar, value, path) {
  bar.replaceChildren(element("code", {}, path),
    action("copy value", () => copy(value)), action("copy path", () => copy(path)),
    ...(path === "data" ? [] : [action("search for it", () => addToSearch(path, value))]));
  bar.hidden = false;
}
