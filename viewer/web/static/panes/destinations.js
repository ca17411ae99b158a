// Where a message went: each subscription of its topic, whether it takes the message, and if not, why.

import { ask } from "../core/api.js";
import { localTime } from "../core/clock.js";
import { visible } from "../core/format.js";
import { html, nothing } from "../core/view.js";

const FRESH_MS = 2500; // the message beside it is drawn again as often
const TAKEN = { true: "✔ yes", false: "✖ no", null: "? unknown" };

let known = {}; // of the message that is shown: {seq, at, answer, problem}

// `again` draws the pane when there is an answer.
export function destinationsPane({ seq }, again) {
  if (known.seq !== seq) known = { seq, at: 0 };
  if (Date.now() - known.at > FRESH_MS) fetchAnswer(known, again);
  const { answer, problem } = known;
  if (problem) return html`<p class="problem">${problem}</p>`;
  return answer ? destinationsList(answer) : html`<p class="note">Reading …</p>`;
}

async function fetchAnswer(asked, again) {
  asked.at = Date.now();
  try {
    asked.answer = await ask(`api/messages/${asked.seq}/destinations`);
    asked.problem = null;
  } catch (error) {
    asked.problem = error.message;
  }
  if (known === asked) again();
}

// What the API says of a message, or of a draft of one.
export function destinationsList({ topic, destinations, unknown, note, read_at: readAt }) {
  if (unknown) return html`<p class="note">Not known: ${unknown}.</p>`;
  return html`<p class="note">
      Of the topic <bdi>${visible(topic)}</bdi>, ${note} (read at ${localTime(readAt)}).
    </p>
    ${
      destinations.length
        ? html`<ul class="destinations">
          ${destinations.toSorted(ownLast).map(line)}
        </ul>`
        : html`<p class="note">Nothing is subscribed to it.</p>`
    }`;
}

const ownLast = (one, other) => one.subscription.own - other.subscription.own;

const line = ({ subscription: { protocol, endpoint, own }, taken, reason }) =>
  html`<li data-taken=${String(taken)} ?data-own=${own}>
    <span class="verdict">${TAKEN[taken]}</span>
    <b><bdi>${visible(protocol === "sqs" ? endpoint.split(":").at(-1) : `${protocol} ${endpoint}`)}</bdi></b>
    ${own ? html`<small>Fanout's own: it watches this topic</small>` : nothing}
    ${reason ? html`<span><bdi>${visible(reason)}</bdi></span>` : nothing}
  </li>`;
