// What a message says of itself, and its SNS attributes.

import { decode, eventFields, parse } from "../core/json.js";
import { html } from "../core/view.js";
import { MAX_SHOWN } from "./data.js";
import { searchButton } from "./value_actions.js";

const SEARCHED = ["id", "source", "type"];
const SHOWN_ALREADY = [...SEARCHED, "time", "data"];

export function attributesPane(message) {
  const names = [...SEARCHED, "time"];
  const searchName = (name) => (SEARCHED.includes(name) ? name : null);
  const attributes = Object.entries(message.attributes);
  return html`<h3>Message</h3>
    ${table([...names.map((name) => [name, message[name]]), ...extensions(message)], searchName)}
    <h3>SNS attributes</h3>
    ${attributes.length ? table(attributes, (name) => `attr.${name}`) : html`<p class="note">none</p>`}`;
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
    const content = searched ? searchButton(searched, value) : html`<bdi>${value}</bdi>`;
    return html`<tr>
      <th scope="row">${name}</th>
      <td>${content}</td>
    </tr>`;
  };
  return html`<table class="pairs">
    <tbody>
      ${entries.map(row)}
    </tbody>
  </table>`;
}
