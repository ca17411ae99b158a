// A value that a click adds to the search.

import { element } from "../core/dom.js";
import { addToSearch } from "../core/search.js";

export function searchButton(name, value) {
  const click = () => addToSearch(name, value);
  return element("button", { class: "plain", title: `search for ${name}:${value}`, click }, value);
}
