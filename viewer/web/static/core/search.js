// Changing the search in the address by one condition.

import { go, state } from "./state.js";

// What a search is made of: brackets, OR, and conditions; as pipeline/search/syntax.py reads them.
const PART =
  /-?\(|\)|OR(?=[\s()]|$)|-?(?:[A-Za-z_][\p{L}\p{N}_.-]*:(?!\/\/))?(?:"(?:[^"\\]|\\.)*"?|(?<bare>\S+))/suy;

// A bracket ends a word if it was opened before it: "f(x))" is "f(x)".
function wholeWord(word) {
  let depth = 0;
  for (let at = 0; at < word.length; at += 1) {
    depth += (word[at] === "(") - (word[at] === ")");
    if (depth < 0) return word.slice(0, at);
  }
  return word;
}

function partsOf(q) {
  const parts = [];
  for (let at = 0; at < q.length; at += 1) {
    PART.lastIndex = at;
    const found = PART.exec(q);
    if (!found) continue; // a space
    const bare = found.groups.bare ?? "";
    const text = found[0].slice(0, found[0].length - bare.length) + wholeWord(bare);
    if (text !== "-") parts.push({ text, at }); // alone, it is still being typed
    at += text.length - 1;
  }
  return parts;
}

// The conditions that all must hold: what stands in brackets is one, and so is what contains OR.
export function conditionsOf(q) {
  const conditions = [];
  let depth = 0;
  let start = 0;
  for (const { text, at } of partsOf(q)) {
    if (text === "OR" && !depth) return [`(${q.trim()})`];
    if (!depth) start = at;
    if (/^-?\($/.test(text)) depth += 1;
    if (text === ")") depth -= 1;
    if (!depth) conditions.push(q.slice(start, at + text.length));
  }
  return depth > 0 ? [...conditions, q.slice(start)] : conditions;
}

function quoted(value) {
  const isPlain = value && !/[\s"()]|\*$/.test(value);
  return isPlain ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
}

// Adds a condition to the search; one that says the opposite gives way to it.
export function addToSearch(name, value, exclude = false) {
  const condition = `${name}:${quoted(value)}`;
  const others = conditionsOf(state.q).filter((one) => one !== condition && one !== `-${condition}`);
  go({ q: [...others, exclude ? `-${condition}` : condition].join(" "), tab: "messages" });
}

// Searches what was sent at `after` or later and before `before`: times, or ages such as "5m", or "".
export function searchBetween(after, before, tab = "messages") {
  const others = conditionsOf(state.q).filter((one) => !/^(?:after|before):/.test(one));
  const bounds = Object.entries({ after, before }).flatMap(([name, value]) =>
    value ? [`${name}:${value}`] : [],
  );
  go({ q: [...others, ...bounds].join(" "), tab, m: "" });
}

// The range of time of the search in seconds, [from, to], if it has one that is fixed.
export function rangeOfSearch() {
  const [from, to] = ["after", "before"].map((name) => Date.parse(boundOf(name)) / 1000);
  return to > from ? [from, to] : null;
}

// The value of `after:` or `before:` in the search.
export function boundOf(name) {
  const found = conditionsOf(state.q).find((one) => new RegExp(`^${name}:\\d{4}-`).test(one));
  return found?.slice(name.length + 1) ?? "";
}
