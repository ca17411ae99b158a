// Changing the search in the address by one condition.

import { go, state } from "./state.js";

export function addToSearch(name, value, exclude = false) {
  const quoted = /[\s"]|\*$/.test(value) ? JSON.stringify(value) : value;
  const condition = `${exclude ? "-" : ""}${name}:${quoted}`;
  const others = state.q.split(" ").filter((word) => word && word !== condition);
  go({ q: [...others, condition].join(" "), tab: "messages" });
}

// Searches what is newer than this age, such as "5m"; with "" of any age.
export function searchSince(age) {
  const others = state.q.split(" ").filter((word) => word && !word.startsWith("after:"));
  go({ q: [...others, ...(age ? [`after:${age}`] : [])].join(" ") });
}
