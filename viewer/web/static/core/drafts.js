// Messages to be published. A draft is {text, attributes: [{name, type, value}], exact, subject}, with types as
// SNS has them. If it is exact, the text is published as it is, not as a CloudEvent, to a topic or a queue (topic,
// queue, groupId, deduplicationId, delay). Of a copy (isCopy, original, copyOf) nothing is filled, whatever looks like a template in it, but the id and the time of a
// new event (isNewEvent).

import { send } from "./api.js";
import { decode, parse } from "./json.js";

const MAX_RECENT = 10;

const FIRST_DRAFT = { text: "Hello world", attributes: [] };

export const readDraft = () => JSON.parse(sessionStorage.getItem("draft")) ?? FIRST_DRAFT;
export const storeDraft = (draft) => sessionStorage.setItem("draft", JSON.stringify(draft));

// The drafts published last, newest first.
export const recentDrafts = () => JSON.parse(localStorage.getItem("sent") ?? "[]");

export function storeRecent(draft) {
  const others = recentDrafts().filter((one) => JSON.stringify(one) !== JSON.stringify(draft));
  localStorage.setItem("sent", JSON.stringify([draft, ...others].slice(0, MAX_RECENT)));
}

// Publishes the draft as the copy with this number. Returns a function that tells whether a message is it.
export async function publish(draft, n) {
  const text = filledText(draft, asWritten(draft.text, draft.original), n);
  const attributes = attributesOf(draft, n);
  if (draft.exact) {
    const sent = { body: text, attributes, ...sentBeside(draft, n) };
    await send("POST", "api/messages/exact", JSON.stringify(sent));
    return ({ body }) => body === text;
  }
  // A CloudEvent is sent as it is written: long integers stay exact.
  const message = isEvent(text) ? text : JSON.stringify({ text });
  const body = draft.attributes.length
    ? `{"message":${message},"attributes":${JSON.stringify(attributes)}}`
    : message;
  const { id, source } = await send("POST", "api/messages", body);
  return (one) => one.id === id && one.source === source;
}

// Returns what the first copy would be, to ask where it would go. Its identity is made when it is published.
export function preview(draft) {
  const text = filledText(draft, asWritten(draft.text, draft.original), 1);
  const attributes = attributesOf(draft, 1);
  if (draft.exact) return { body: text, attributes };
  const own = { specversion: "1.0", source: "/viewer", type: "fanout.text", data: { text } };
  const event = isEvent(text) ? JSON.parse(text) : own;
  for (const name of ["type", "source"]) attributes[name] = { type: "String", value: String(event[name]) };
  return { body: event === own ? JSON.stringify(own) : text, attributes };
}

const attributesOf = (draft, n) =>
  Object.fromEntries(
    draft.attributes.map((one) => [one.name, { type: one.type, value: filledValue(draft, one, n) }]),
  );

function sentBeside({ subject, topic, queue, groupId, deduplicationId, delay, copyOf, isCopy }, n) {
  const once = isCopy ? deduplicationId : fill(deduplicationId ?? "", n);
  return {
    ...(subject && !queue ? { subject } : {}),
    ...(queue ? { queue } : topic ? { topic } : {}),
    ...(groupId ? { group_id: groupId } : {}),
    ...(once ? { deduplication_id: once } : {}),
    ...(delay ? { delay_seconds: Number(delay) } : {}),
    ...(copyOf ? { copy_of: copyOf } : {}),
  };
}

// A text area turns every end of a line into a line feed: what it was before, it becomes again.
function asWritten(text, original = text) {
  const plain = original.replaceAll(/\r\n?/g, "\n");
  if (text === plain) return original;
  const isWindows = original.includes("\r\n") && original.replaceAll("\r\n", "\n") === plain;
  const isEvery = isWindows && original.split("\n").length === original.split("\r\n").length;
  return isEvery ? text.replaceAll("\n", "\r\n") : text;
}

// Why the text is no JSON, and where, if it looks as if it should be; else "".
export function jsonProblem(text) {
  if (!/^\s*[{[]/.test(text)) return "";
  try {
    JSON.parse(fill(text, 1));
    return "";
  } catch (error) {
    return `Not JSON: ${error.message}`;
  }
}

// Browsers have randomUUID only in a secure context (https, or localhost).
const uuid = () => globalThis.crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;

// {{n}} becomes the number of the copy; {{uuid}} and {{now}} are new in each.
function fill(text, n) {
  return text
    .replaceAll("{{n}}", n)
    .replaceAll("{{uuid}}", uuid)
    .replaceAll("{{now}}", () => new Date().toISOString());
}

const filledText = ({ isCopy, isNewEvent }, text, n) => {
  if (!isCopy) return fill(text, n);
  return isNewEvent ? fillCopy(text) : text;
};

// In binary mode an event has its id and its time in attributes.
function filledValue({ isCopy, isNewEvent }, { name, value }, n) {
  if (!isCopy) return fill(value, n);
  return isNewEvent && /^ce[-_](?:id|time)$/i.test(name) && isTemplate(value) ? fill(value) : value;
}

const isTemplate = (text) => text === "{{uuid}}" || text === "{{now}}";

const fillCopy = (text) =>
  (parse(text)?.children ?? [])
    .filter(({ key }) => key === "id" || key === "time")
    .reduceRight((changed, { start, end }) => {
      const member = changed.slice(start, end);
      return (
        changed.slice(0, start) + (isTemplate(decode(member)) ? fill(member) : member) + changed.slice(end)
      );
    }, text);

function isEvent(text) {
  try {
    return Boolean(JSON.parse(text)?.specversion);
  } catch {
    return false;
  }
}
