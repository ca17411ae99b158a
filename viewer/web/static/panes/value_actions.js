// What can be done with a value of the message that the reader has chosen.

import { copy } from "../core/clipboard.js";
import { element } from "../core/dom.js";
import { addToSearch } from "../core/search.js";

const action = (label, click) => element("button", { class: "plain", click }, label);

export function showValueActions(bar, value, path) {
  bar.replaceChildren(
    element("code", {}, path),
    action("copy value", () => copy(value)),
    action("copy path", () => copy(path)),
    ...(path === "data" ? [] : [action("search for this value", () => addToSearch(path, value))]),
  );
  bar.hidden = false;
}
