// Fields of messages that the reader wants to see as columns of the list, such as data.order.id: in the
// address, and remembered in this browser.

import { go, state } from "./state.js";

const MAX_COLUMNS = 10;

export const columns = () => state.cols.split(",").filter(Boolean);

export const addColumn = (name) => choose([...new Set([...columns(), name])].slice(0, MAX_COLUMNS));
export const removeColumn = (name) => choose(columns().filter((one) => one !== name));

function choose(names) {
  localStorage.setItem("columns", names.join(","));
  go({ cols: names.join(","), tab: "messages" });
}

// Shows the columns that were chosen last, unless the address names some.
export function recallColumns() {
  const remembered = localStorage.getItem("columns");
  if (remembered && !state.cols) go({ cols: remembered }, { replace: true });
}
