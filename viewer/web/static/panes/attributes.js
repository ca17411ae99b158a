// What a message says of itself, and its SNS attributes.

import { decode, eventFields, parse } from "../core/json.js";
import { visible } from "../core/format.js";
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
    <h3>SQS</h3>
    ${table(delivery(message), () => null)}
    <h3>SNS attributes</h3>
    ${attributes.length ? table(attributes, (name) => `attr.${name}`) : html`<p class="note">none</p>`}`;
}

// What SQS says of the delivery that stored it, or of the last one.
function delivery({ deliveries, queue }) {
  const one = deliveries.find(({ stored_at: storedAt }) => storedAt) ?? deliveries.at(-1);
  if (!one) return [];
  const known = {
    queue,
    "message id": one.message_id,
    "receive count": one.receive_count,
    sent: one.sent_at,
    received: one.received_at,
  };
  return Object.entries(known).filter(([, value]) => value !== undefined);
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
    const content = searched ? searchButton(searched, value) : html`<bdi>${visible(String(value))}</bdi>`;
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
