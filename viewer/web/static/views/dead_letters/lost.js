// Messages that failed and are in no queue any more.

import { canWrite } from "../../core/api.js";
import { each } from "../../core/each.js";
import { number } from "../../core/format.js";
import { html, nothing } from "../../core/view.js";

// Why a message is lost, by `lost_reason`.
const LOSSES = {
  queue: [
    "Lost with their queue",
    "The queues were created anew, empty, since these messages were last seen in them.",
  ],
  retention: ["Expired", "SQS deleted these messages at the end of their retention period."],
  missing: [
    "No longer in the queue",
    "These messages were deleted, purged or received by somebody else: the queues no longer hold them.",
  ],
};

// `card(letter)` draws one of them; `remove()` removes all.
export function lostMessages(letters, { card, remove }) {
  if (!letters.length) return nothing;
  const group = ([reason, found]) =>
    html`<section class="group">
      <h3>${LOSSES[reason][0]} <small>${number(found.length)}</small></h3>
      <p class="note">${LOSSES[reason][1]}</p>
      ${each(found, (letter) => letter.message_id, card)}
    </section>`;
  return html`<h2 class="lost">Lost messages</h2>
    <p class="note">
      Messages that failed and are in no queue any more. They are not dead letters and cannot be redriven, but
      their content is kept here: edit and resend it, or remove it.
    </p>
    ${
      canWrite
        ? html`<p class="actions">
          <button type="button" class="second" @click=${remove}>Remove all lost messages</button>
        </p>`
        : nothing
    }
    ${[...Map.groupBy(letters, (letter) => letter.lost_reason)].map(group)}`;
}
