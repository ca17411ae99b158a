// Publishing a copy of a message: exactly, as a new event, or edited.

import { send } from "./api.js";
import { storeDraft } from "./drafts.js";
import { parse } from "./json.js";
import { go } from "./state.js";
import { toast } from "./toast.js";

const SET_BY_FANOUT = "fanout-original-id";
const OWN = { id: "{{uuid}}", time: "{{now}}" }; // what a copy of an event has instead

// The server does it, from what is stored: what is shown may be masked. `identity` is "new" or "same".
export async function resend(message, identity) {
  const { topic } = await send("POST", `api/messages/${message.seq}/copies?identity=${identity}`);
  toast(`Copy published to ${topic}`);
}

// Opens the Publish tab with a copy of this message.
export function edit(message) {
  storeDraft(draftOf(message));
  go({ tab: "publish", m: "" });
}

function draftOf(message) {
  const { source, id, body, subject, topic, group_id: groupId, attribute_types: types } = message;
  const text = newEvent(message);
  const attributes = Object.entries(message.attributes)
    .filter(([name]) => name !== SET_BY_FANOUT)
    .map(([name, value]) => ({ name, type: types?.[name] ?? "String", value }));
  const isBinaryMode = text === null && attributes.some(isBinaryModeOf("specversion"));
  return {
    isCopy: true,
    isNewEvent: text !== null || isBinaryMode,
    exact: true,
    text: text ?? body,
    original: body.includes("\r") ? (text ?? body) : undefined,
    attributes: isBinaryMode ? attributes.map(withOwnIdentity) : attributes,
    subject: subject ?? "",
    topic,
    groupId,
    copyOf: { source, id },
  };
}

const isBinaryModeOf =
  (part) =>
  ({ name }) =>
    [`ce-${part}`, `ce_${part}`].includes(name.toLowerCase());

function withOwnIdentity(attribute) {
  const part = Object.keys(OWN).find((one) => isBinaryModeOf(one)(attribute));
  return part ? { ...attribute, value: OWN[part] } : attribute;
}

// The text of an event in structured mode with an id of its own, which names its original; null if it is none.
// It is edited as text, so that nothing else changes.
function newEvent({ body, source, id }) {
  const original = JSON.stringify(`${source} ${id}`);
  const fields = parse(body)?.children ?? [];
  const field = (name) => fields.find((node) => node.key === name);
  if (!field("specversion") || !field("id")?.text) return null;
  const values = { id: `"${OWN.id}"`, time: `"${OWN.time}"`, fanoutcopyof: original };
  if (!field("fanoutcopyof")) values.id += `,"fanoutcopyof":${original}`;
  return fields
    .filter((node) => node.key in values)
    .reduceRight((text, node) => text.slice(0, node.start) + values[node.key] + text.slice(node.end), body);
}
