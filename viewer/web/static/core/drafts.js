// Messages to be published. A draft is {text, attributes: [{name, type, value}], isCopy, exact}, with type as
// SNS has it: String or Number. If it is exact, the text is published as it is, not as a CloudEvent. The copy of a message may contain what looks like a template: only its id and its time
// are filled.

import { send } from "./api.js";
import { parse } from "./json.js";

const MAX_RECENT = 10;

export const readDraft = () => JSON.parse(sessionStorage.getItem("draft"));
export const storeDraft = (draft) => sessionStorage.setItem("draft", JSON.stringify(draft));

// The drafts published last, newest first.
export const recentDrafts = () => JSON.parse(localStorage.getItem("sent") ?? "[]");

export function storeRecent(draft) {
  const others = recentDrafts().filter((one) => JSON.stringify(one) !== JSON.stringify(draft));
  localStorage.setItem("sent", JSON.stringify([draft, ...others].slice(0, MAX_RECENT)));
}

// Publishes the draft as the copy with this number. Returns a function that tells whether a message is it.
export async function publish({ text, attributes, isCopy = false, exact = false }, n) {
  const filled = isCopy ? fillCopy(text) : fill(text, n);
  const value = (attribute) => (isCopy ? attribute.value : fill(attribute.value, n));
  // A CloudEvent is sent as it is written, and so is a number: long integers stay exact.
  const message = isEvent(filled) ? filled : JSON.stringify({ text: filled });
  const members = attributes.map((attribute) => {
    const content = attribute.type === "Number" ? value(attribute) : JSON.stringify(value(attribute));
    return `${JSON.stringify(attribute.name)}:${content}`;
  });
  if (exact) {
    await send("POST", "api/messages/exact", `{"body":${JSON.stringify(filled)},"attributes":{${members}}}`);
    return ({ body }) => body === filled;
  }
  const body = members.length ? `{"message":${message},"attributes":{${members}}}` : message;
  const { id, source } = await send("POST", "api/messages", body);
  return (one) => one.id === id && one.source === source;
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

const fillCopy = (text) =>
  (parse(text)?.children ?? [])
    .filter(({ key }) => key === "id" || key === "time")
    .reduceRight((filled, { start, end }) => {
      const member = filled.slice(start, end);
      const template = member === '"{{uuid}}"' || member === '"{{now}}"';
      return filled.slice(0, start) + (template ? fill(member) : member) + filled.slice(end);
    }, text);

function isEvent(text) {
  try {
    return Boolean(JSON.parse(text)?.specversion);
  } catch {
    return false;
  }
}
