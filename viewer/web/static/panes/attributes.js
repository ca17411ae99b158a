// What a message says of itself, and its SNS attributes.

import { element } from "../core/dom.js";
import { decode, eventFields, parse } from "../core/json.js";
import { MAX_SHOWN } from "./limits.js";
import { searchButton } from "./search_button.js";

const SEARCHED = ["id", "source", "type"];
const SHOWN_ALREADY = [...SEARCHED, "time", "data"];

export function drawAttributes(place, message) {
  const names = [...SEARCHED, "time"];
  const searchName = (name) => (SEARCHED.includes(name) ? name : null);
  const attributes = Object.entries(message.attributes);
  place.replaceChildren(
    element("h3", {}, "Message"),
    table([...names.map((name) => [name, message[name]]), ...extensions(message)], searchName),
    element("h3", {}, "SNS attributes"),
    attributes.length ? table(attributes, (name) => `attr.${name}`) : element("p", { class: "note" }, "none"),
  );
}

// The other members of a CloudEvent.
function extensions({ body }) {
  const fields = eventFields(parse(body.slice(0, MAX_SHOWN), body.length > MAX_SHOWN)) ?? [];
  return fields
    .filter((node) => node.text && !SHOWN_ALREADY.includes(node.key))
    .map((node) => [node.key, node.kind === "string" ? decode(node.text) : node.text]);
}

// `searchName(name)` returns how a search names it, if it can.
function table(entries, searchName) {
  const row = ([name, value]) => {
    const searched = searchName(name);
    const content = searched ? searchButton(searched, value) : element("bdi", {}, value);
    return element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, content));
  };
  return element("table", { class: "pairs" }, element("tbody", {}, ...entries.map(row)));
}
