// Deleting stored messages, after the reader has confirmed it.

import { ask, send } from "./api.js";
import { number } from "./format.js";
import { go, state } from "./state.js";
import { toast } from "./toast.js";

const MAX_SEQS = 200; // in one request

let deleted = () => {};

// Calls `listener()` after messages were deleted.
export function onDeleted(listener) {
  deleted = listener;
}

async function remove(paths, question) {
  if (!confirm(`${question} This cannot be undone.`)) return;
  try {
    let count = 0;
    for (const path of paths) count += (await send("DELETE", path)).deleted;
    toast(`${number(count)} deleted`);
    go({ m: "" });
    deleted();
  } catch (error) {
    toast(`Not deleted: ${error.message}`);
  }
}

export const deleteMessage = ({ seq }) =>
  remove([`api/messages/${seq}`], `Delete message ${seq} from the store?`);

export function deleteMessages(seqs) {
  const paths = [];
  for (let at = 0; at < seqs.length; at += MAX_SEQS)
    paths.push(`api/messages?seqs=${seqs.slice(at, at + MAX_SEQS)}`);
  const many = seqs.length === 1 ? "the selected message" : `the ${number(seqs.length)} selected messages`;
  return remove(paths, `Delete ${many} from the store?`);
}

// All that the search finds; without a search, everything.
export async function deleteFound() {
  const { q } = state;
  const query = new URLSearchParams(q ? { q } : { all: 1 });
  const { count, exact } = await ask(`api/messages/count?${new URLSearchParams(q && { q })}`);
  const many = exact ? `the ${number(count)}` : `more than ${number(count)}`;
  const which = q ? `messages that match ${q}` : "stored messages";
  await remove([`api/messages?${query}`], `Delete ${many} ${which}?`);
}
