// Deleting stored messages, after the reader has confirmed it.

import { ask, send } from "./api.js";
import { number } from "./format.js";
import { go, state } from "./state.js";
import { toast } from "./toast.js";

let deleted = () => {};

// Calls `listener()` after messages were deleted.
export function onDeleted(listener) {
  deleted = listener;
}

async function remove(path, question) {
  if (!confirm(question)) return;
  try {
    const answer = await send("DELETE", path);
    toast(`${number(answer.deleted)} deleted`);
    go({ m: "" });
    deleted();
  } catch (error) {
    toast(`Not deleted: ${error.message}`);
  }
}

export const deleteMessage = ({ seq }) =>
  remove(`api/messages/${seq}`, `Delete message ${seq} from the store? This cannot be undone.`);

// All that the search finds; without a search, everything.
export async function deleteFound() {
  const { q } = state;
  const query = new URLSearchParams(q ? { q } : { all: 1 });
  const { count, exact } = await ask(`api/messages/count?${new URLSearchParams(q && { q })}`);
  const many = exact ? `the ${number(count)}` : `more than ${number(count)}`;
  const which = q ? `messages that match ${q}` : "stored messages";
  await remove(`api/messages?${query}`, `Delete ${many} ${which}? This cannot be undone.`);
}
