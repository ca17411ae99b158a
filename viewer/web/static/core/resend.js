// Publishing a copy of a message, as it is or edited.

import { send } from "./api.js";
import { storeDraft } from "./drafts.js";
import { parse } from "./json.js";
import { go } from "./state.js";
import { toast } from "./toast.js";

const PIPELINE_ATTRIBUTES = ["type", "source", "fanout-original-id"]; // set anew when the copy is published

// The server does it: what is shown may be masked.
export async function resend(message) {
  await send("POST", `api/messages/${message.seq}/copies`);
  toast("Copy published");
}

// Opens the Publish tab with a copy of this message.
export function edit(message) {
  storeDraft(draftOf(message));
  go({ tab: "publish", m: "" });
}

const draftOf = (message) => ({
  isCopy: true,
  text: copyOf(message),
  attributes: Object.entries(message.attributes)
    .filter(([name]) => !PIPELINE_ATTRIBUTES.includes(name))
    .map(([name, value]) => ({ name, type: "String", value })),
});

// The text of a copy: an event that names its original, with an id of its own, because the store keeps one
// message of each id. It is edited as text, so that nothing else changes. What is no event becomes the data
// of one.
function copyOf({ body, source, id, type }) {
  const original = JSON.stringify(`${source} ${id}`);
  const fields = parse(body)?.children ?? [];
  const field = (name) => fields.find((node) => node.key === name);
  if (!field("specversion") || !field("id")?.text) {
    const data = parse(body) ? body : JSON.stringify(body);
    return (
      `{"specversion":"1.0","id":"{{uuid}}","source":${JSON.stringify(source)},` +
      `"type":${JSON.stringify(type)},"time":"{{now}}","fanoutcopyof":${original},"data":${data}}`
    );
  }
  const values = { id: '"{{uuid}}"', time: '"{{now}}"', fanoutcopyof: original };
  if (!field("fanoutcopyof")) values.id += `,"fanoutcopyof":${original}`;
  return fields
    .filter((node) => node.key in values)
    .reduceRight((text, node) => text.slice(0, node.start) + values[node.key] + text.slice(node.end), body);
}
