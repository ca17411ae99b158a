// Copies: the text of one, and the way between it and its original.

import { element, number } from "./words.js";
import { address, go } from "./state.js";
import { parse } from "./json.js";

// The text of a copy: an event with another id, as the store keeps one message of each, that names its original.
// Cut and pasted as text, so that nothing else of it changes. What is no event is put into one, to say so.
export function copyOf({ body, source, id, type }) {
  const original = JSON.stringify(`${source} ${id}`);
  const fields = parse(body)?.children ?? [];
  const field = (name) => fields.find((node) => node.key === name);
  if (!field("specversion") || !field("id")?.text) {
    const data = parse(body) ? body : JSON.stringify(body);
    return `{"specversion":"1.0","id":"{{uuid}}","source":${JSON.stringify(source)},"type":${JSON.stringify(type)},`
      + `"time":"{{now}}","fanoutcopyof":${original},"data":${data}}`;
  }
  const values = { id: '"{{uuid}}"', time: '"{{now}}"', fanoutcopyof: original };
  if (!field("fanoutcopyof")) values.id += `,"fanoutcopyof":${original}`;
  return fields.filter((node) => node.key in values)
    .reduceRight((text, node) => text.slice(0, node.start) + values[node.key] + text.slice(node.end), body);
}

// What leads from a message, or a dead letter, to its original and to its copies.
export function copyLinks({ copy_of: original, copies }) {
  const found = copies.map((seq) => link({ tab: "messages", m: seq }, number(seq)));
  return [
    ...(original ? [element("span", {}, "copy of ", toOriginal(original))] : []),
    ...(found.length ? [element("span", {}, "copies: ", ...found.flatMap((one) => [one, " "]))] : []),
  ];
}

function toOriginal({ source, id, seq, dead_letter: letter }) {
  const words = `${source} ${id}`;
  if (seq) return link({ tab: "messages", m: seq }, words);
  return letter ? link({ tab: "dead", m: "", letter }, words) : element("bdi", {}, words);
}

function link(changes, words) {
  return element("a", { href: address(changes), click: (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(changes);
  } }, words);
}
