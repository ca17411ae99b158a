// Changing the search in the address by one condition.

import { go, state } from "./state.js";

export function addToSearch(name, value, exclude = false) {
  const quoted = /[\s"]|\*$/.test(value) ? JSON.stringify(value) : value;
  const condition = `${exclude ? "-" : ""}${name}:${quoted}`;
  const others = state.q.split(" ").filter((word) => word && word !== condition);
  go({ q: [...others, condition].join(" "), tab: "messages" });
}

// Searches what was sent at `after` or later and before `before`: times, or ages such as "5m", or "".
export function searchBetween(after, before, tab = "messages") {
  const others = state.q.split(" ").filter((word) => word && !/^(?:after|before):/.test(word));
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
export const boundOf = (name) => new RegExp(`(?:^|\\s)${name}:(\\d{4}-\\S+)`).exec(state.q)?.[1] ?? "";
