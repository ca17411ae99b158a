// What can be done with a value of a message.

import { copy } from "../core/clipboard.js";
import { element } from "../core/dom.js";
import { addToSearch } from "../core/search.js";

// A value that a click adds to the search.
export function searchButton(name, value) {
  const click = () => addToSearch(name, value);
  return element("button", { class: "plain", title: `search for ${name}:${value}`, click }, value);
}

const action = (label, click) => element("button", { class: "plain", click }, label);

// Shows, in this bar, what can be done with the value that the reader has chosen.
export function showValueActions(bar, value, path) {
  bar.replaceChildren(
    element("code", {}, path),
    action("copy value", () => copy(value)),
    action("copy path", () => copy(path)),
    ...(path === "data" ? [] : [action("search for this value", () => addToSearch(path, value))]),
  );
  bar.hidden = false;
}
