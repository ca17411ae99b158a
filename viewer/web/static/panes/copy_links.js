// Links from a message, or a dead letter, to its original and its copies, and to those in conflict with it.

import { element, opensElsewhere } from "../core/dom.js";
import { address, go } from "../core/state.js";

export function copyLinks({ copy_of: original, copies }) {
  const links = copies.map((seq) => toMessage(seq));
  const label = links.length === 1 ? "Copy: " : "Copies: ";
  return [
    ...(original ? [element("span", {}, "Copy of ", toOriginal(original))] : []),
    ...(links.length ? [element("span", {}, label, ...links.flatMap((one) => [one, " "]))] : []),
  ];
}

// The first message with this source and id, and others whose body is another one.
export function conflictLinks({ conflict_of: first, conflicts }) {
  const links = conflicts.map((seq) => toMessage(seq));
  return [
    ...(first ? [element("span", { class: "conflict" }, "≠ Same source and id as ", toMessage(first))] : []),
    ...(links.length
      ? [element("span", { class: "conflict" }, "≠ In conflict: ", ...links.flatMap((one) => [one, " "]))]
      : []),
  ];
}

const toMessage = (seq) => link({ tab: "messages", m: seq }, `message ${seq}`);

function toOriginal({ source, id, seq, dead_letter: letter }) {
  const name = `${source} ${id}`;
  if (seq) return link({ tab: "messages", m: seq }, name);
  return letter ? link({ tab: "dead", m: "", letter }, name) : element("bdi", {}, name);
}

function link(changes, text) {
  const click = (event) => {
    if (opensElsewhere(event)) return;
    event.preventDefault();
    go(changes);
  };
  return element("a", { href: address(changes), click }, text);
}
