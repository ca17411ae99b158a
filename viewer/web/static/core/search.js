// Changing the search in the address by one condition.

import { go, state } from "./state.js";

export function addToSearch(name, value, exclude = false) {
  const quoted = /[\s"]|\*$/.test(value) ? JSON.stringify(value) : value;
  const condition = `${exclude ? "-" : ""}${name}:${quoted}`;
  const others = state.q.split(" ").filter((word) => word && word !== condition);
  go({ q: [...others, condition].join(" "), tab: "messages" });
}

// Searches what was sent at `after` or later and before `before`: times, or ages such as "5m", or "".
export function searchBetween(after, before) {
  const others = state.q.split(" ").filter((word) => word && !/^(?:after|before):/.test(word));
  const bounds = Object.entries({ after, before }).flatMap(([name, value]) =>
    value ? [`${name}:${value}`] : [],
  );
  go({ q: [...others, ...bounds].join(" "), tab: "messages", m: "" });
}
