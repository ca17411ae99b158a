// What a message says of itself, what SNS and SQS say of it, and its attributes with their types.

import { decode, eventFields, parse } from "../core/json.js";
import { visible } from "../core/format.js";
import { html, nothing } from "../core/view.js";
import { MAX_SHOWN } from "./data.js";
import { searchButton } from "./value_actions.js";

const SEARCHED = ["id", "source", "type"];
const PUBLISHED = ["topic", "queue", "subject"];
const SHOWN_ALREADY = [...SEARCHED, "time", "data"];

export function attributesPane(message) {
  const names = [...SEARCHED, "time"];
  const searchName = (name) => (SEARCHED.includes(name) ? name : null);
  return html`<h3>Message</h3>
    ${table([...names.map((name) => [name, message[name]]), ...extensions(message)], searchName)}
    ${publicationTables(message, delivery(message))}`;
}

// What SNS and SQS say of a message or a dead letter, with what is known `beside` that, and its attributes.
export const publicationTables = (message, beside = {}) =>
  html`<h3>SNS and SQS</h3>
    ${table(known({ ...publication(message), ...beside }), (name) => (PUBLISHED.includes(name) ? name : null))}
    <h3>Message attributes</h3>
    ${attributesTable(message)}`;

const known = (values) => Object.entries(values).filter(([, value]) => value !== undefined && value !== null);

// How it was published, as far as that is known.
const publication = (message) => ({
  topic: message.topic,
  queue: message.queue,
  subject: message.subject,
  "SNS message id": message.sns_message_id,
  group: message.group_id,
  "deduplication id": message.deduplication_id,
  "sequence number": message.sequence_number,
});

function attributesTable({ attributes, attribute_types: types }) {
  const names = Object.keys(attributes);
  if (!names.length) return html`<p class="note">none</p>`;
  return html`<table class="pairs">
      <tbody>
        ${names.map((name) => attributeRow(name, attributes[name], types?.[name]))}
      </tbody>
    </table>
    ${types ? nothing : html`<p class="note">Stored by an older release: their types are not known.</p>`}`;
}

const attributeRow = (name, value, type) =>
  html`<tr>
    <th scope="row">${visible(name)}</th>
    <td>${isLost(type, value) ? LOST : searchButton(`attr.${name}`, value)}</td>
    <td class="attribute-type">${type ? visible(type) : nothing}</td>
  </tr>`;

// The only values that are empty: SNS and SQS refuse them.
const isLost = (type, value) => type?.startsWith("Binary") && value === "";
const LOST = html`<span class="note">no value: MiniStack loses those of type Binary</span>`;

// What SQS says of the delivery that stored it, or of the last one.
function delivery({ deliveries }) {
  const one = deliveries.find(({ stored_at: storedAt }) => storedAt) ?? deliveries.at(-1);
  if (!one) return {};
  return {
    "SQS message id": one.message_id,
    "receive count": one.receive_count,
    sent: one.sent_at,
    received: one.received_at,
  };
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
    const text = String(value);
    const content = searched ? searchButton(searched, text) : html`<bdi>${visible(text)}</bdi>`;
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
