// Links from a message, or a dead letter, to its original and to its copies.

import { element, opensElsewhere } from "../core/dom.js";
import { address, go } from "../core/state.js";

export function copyLinks({ copy_of: original, copies }) {
  const links = copies.map((seq) => link({ tab: "messages", m: seq }, `message ${seq}`));
  const label = links.length === 1 ? "Copy: " : "Copies: ";
  return [
    ...(original ? [element("span", {}, "Copy of ", toOriginal(original))] : []),
    ...(links.length ? [element("span", {}, label, ...links.flatMap((one) => [one, " "]))] : []),
  ];
}

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
