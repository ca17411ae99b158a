// The last replays: how far each has come, how it ended, and why some messages were not sent.

import { canWrite, send } from "../../core/api.js";
import { localTime } from "../../core/clock.js";
import { each } from "../../core/each.js";
import { number, visible } from "../../core/format.js";
import { toast } from "../../core/toast.js";
import { html, nothing } from "../../core/view.js";

const WHY = {
  failed: "SNS or SQS refused",
  skipped: "not sent",
};

export const isRunning = ({ status }) => status === "running" || status === "cancelling";

// `changed()` is called after one was cancelled.
export function replayList(replays, changed) {
  if (!replays.length) return nothing;
  return html`<h3>Replays</h3>
    ${each(
      replays,
      ({ id }) => id,
      (replay) => card(replay, changed),
    )}`;
}

const card = (replay, changed) =>
  html`<section class="card replay-card" data-status=${replay.status} aria-label="Replay ${replay.id}">
    <p>
      <b>${replay.q === null ? "An exported file" : html`<bdi>${visible(replay.q) || "Everything"}</bdi>`}</b>
      → <bdi>${visible(replay.topic ?? replay.queue ?? "where each came from")}</bdi>,
      ${replay.per_second ? `${number(replay.per_second)} a second` : "at their own pace"}
      <small>${localTime(replay.started_at)}</small>
    </p>
    ${isRunning(replay) ? progress(replay, changed) : html`<p role="status">${outcome(replay)}</p>`}
    ${replay.reasons.length ? reasons(replay) : nothing}
  </section>`;

const progress = (replay, changed) =>
  html`<p class="actions">
    <progress
      aria-label="replayed"
      max=${Math.max(1, replay.total)}
      .value=${replay.sent + replay.failed + replay.skipped}
    ></progress>
    <span role="status">${counts(replay)}</span>
    ${
      canWrite
        ? html`<button
            type="button"
            class="second"
            ?disabled=${replay.status === "cancelling"}
            @click=${() => cancel(replay, changed)}
          >
            Cancel
          </button>`
        : nothing
    }
  </p>`;

function counts({ total, sent, failed, skipped }) {
  const others = Object.entries({ failed, skipped }).filter(([, many]) => many);
  const more = others.map(([what, many]) => ` · ${number(many)} ${what}`);
  return `${number(sent)} of ${number(total)} sent${more.join("")}`;
}

function outcome(replay) {
  const { status, reason, in_hand: inHand, q } = replay;
  const said = `${status[0].toUpperCase()}${status.slice(1)}: ${counts(replay)}`;
  const one = inHand === null ? "" : `. ${q === null ? "Line" : "Message"} ${inHand} may have been sent, too`;
  return `${said}${reason ? `, because ${reason}` : ""}${one}.`;
}

const reasons = ({ reasons: found, q }) =>
  html`<ul>
    ${found.map(
      ({ outcome: what, reason, count, first }) =>
        html`<li>
          ${number(count)} ${what} (${WHY[what]}): <bdi>${visible(reason)}</bdi>
          <small>first ${q === null ? "line" : "message"} ${first}</small>
        </li>`,
    )}
  </ul>`;

async function cancel({ id }, changed) {
  try {
    await send("DELETE", `api/replays/${id}`);
  } catch (error) {
    toast(`Not cancelled: ${error.message}`);
  }
  changed();
}
