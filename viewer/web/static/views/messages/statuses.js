// The statuses of the messages in the list, which change after they arrived: failed, dead, a duplicate.

import { ask } from "../../core/api.js";
import { repeat } from "../../core/repeat.js";
import { isHeld, list, refresh } from "./list.js";
import { markStatus } from "./rows.js";

const POLL_MS = 3000;

async function update() {
  if (document.body.dataset.tab !== "messages") return;
  // A search by status finds other messages without a new one arriving.
  if (/\bstatus:/i.test(list.query.get("q")) && !isHeld()) await refresh();
  const seqs = list.rows().map((row) => Number(row.dataset.seq));
  if (!seqs.length) return;
  const range = new URLSearchParams({
    after: Math.max(0, Math.min(...seqs) - 1),
    before: Math.max(...seqs) + 1,
  });
  const { from, statuses } = await ask(`api/messages/statuses?${list.query}&${range}`);
  const known = new Map(statuses.map((one) => [one.seq, one]));
  for (const seq of seqs) {
    const row = list.row(seq); // it may have left the list in the meantime
    if (row && seq >= from) markStatus(row, known.get(seq));
  }
}

const tryUpdate = () => update().catch(() => {}); // the strip of stages shows what is away

export function startStatuses() {
  repeat(tryUpdate, () => POLL_MS, { atOnce: false });
}
