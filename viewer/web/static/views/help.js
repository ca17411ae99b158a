// The keyboard shortcuts there are, the switch that turns them off, and how to search.

import { element } from "../core/dom.js";
import { keysAreOff, turnKeys } from "../core/keys.js";

const KEYS = {
  "/": "search",
  "j  k": "next, previous message",
  Enter: "open",
  Esc: "back",
  Space: "pause",
  "g m": "messages",
  "g t": "topics",
  "g d": "dead letters",
  "g q": "queues",
  "g s": "metrics",
  p: "publish",
  "x  X": "select the message, or all up to it",
  c: "compare the two selected",
  d: "delete the selected, or the message",
  f: "find in the message",
  y: "copy the message",
  l: "copy a link",
  t: "UTC or local time",
  "?": "this help",
};

const SEARCHES = {
  "late order": "both words, or longer ones that start like them",
  '"late order"': "this phrase",
  "type:shop.*": "a type; also source:, id:, status:",
  "order.id:42": "a field; attr.tenant:acme: an attribute",
  "after:15m": "by time; also before:, larger:, smaller:",
  "-late": "not this",
  "a OR b c": "a, or both b and c",
  "-(a OR b) c": "c, but neither a nor b",
};

const listOf = (entries, tag) =>
  element(
    "dl",
    {},
    ...Object.entries(entries).flatMap(([term, what]) => [
      element("dt", {}, element(tag, {}, term)),
      element("dd", {}, what),
    ]),
  );

export function openHelp(dialog) {
  const box = element("input", { id: "keys-off", type: "checkbox", change: () => turnKeys(!box.checked) });
  box.checked = keysAreOff();
  const keys = [
    element("h2", {}, "Keyboard shortcuts"),
    listOf(KEYS, "kbd"),
    element("p", {}, box, element("label", { for: "keys-off" }, " turn them off")),
  ];
  dialog.replaceChildren(
    element("section", {}, ...keys),
    element("section", {}, element("h2", {}, "Search"), listOf(SEARCHES, "code")),
    element("form", { method: "dialog" }, element("button", {}, "Close")),
  );
  if (!dialog.open) dialog.showModal();
}
