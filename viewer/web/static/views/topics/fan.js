// One topic and what it fans out to: a line for each subscription, from its filter to its dead-letter queue.

import { localTime } from "../../core/clock.js";
import { each } from "../../core/each.js";
import { number, visible } from "../../core/format.js";
import { html, nothing } from "../../core/view.js";
import { nameOf } from "../../panes/endpoint.js";
import { placeLink, queueLink } from "../../panes/place_link.js";
import { depthChart, holds } from "../../panes/queue_figures.js";

const MAX_VALUES = 3;

// Returns what draws a topic; `known` has queues by their ARNs, and how long the slots of their depths are.
// Fanout's own subscriptions only say that the topic is watched.
export const topicFan = (known) => (topic) => {
  const others = topic.subscriptions.filter(({ own }) => !own);
  const isWatched = others.length < topic.subscriptions.length;
  return html`<li>
    <div>
      <h3>${placeLink(topic.name, messagesOf(topic))}</h3>
      <small>${topic.fifo ? "FIFO · " : ""}${subscriptionsOf(others)}${isWatched ? " · watched" : ""}</small>
      ${flowOf(topic)}
    </div>
    <ul class="fan">
      ${each(
        others,
        (one) => one.arn ?? one.endpoint,
        (one) => line(one, known),
      )}
    </ul>
  </li>`;
};

const messagesOf = ({ name }) => ({ tab: "messages", m: "", q: `topic:${name}` });

// How many messages were seen in the last minute, and the last one.
function flowOf(topic) {
  const { last_minute: many, last_message: last } = topic;
  if (!last) return nothing;
  const shown = { ...messagesOf(topic), m: last.seq };
  return html`<small class="flow-of">
    <span data-flows=${many > 0} title="messages in the last minute">${number(many)}/min</span> ·
    ${placeLink(html`last ${localTime(last.time)}`, shown)}
  </small>`;
}

function subscriptionsOf({ length }) {
  if (!length) return "nothing is subscribed";
  return length === 1 ? "1 subscription" : `${number(length)} subscriptions`;
}

function line(subscription, known) {
  const { protocol, endpoint, state, raw, dead_letter_queue: undelivered } = subscription;
  const target =
    protocol === "sqs" ? queueLine(endpoint, known) : html`${protocol} <bdi>${visible(endpoint)}</bdi>`;
  return html`<li data-state=${state}>
    ${filterOf(subscription)}
    <div class="way">
      ${raw ? html`<small>raw</small>` : nothing} ${target}
      ${state === "confirmed" ? nothing : html`<span class="problem">${state}</span>`}
      ${undelivered ? html`<small>undeliverable → </small>${queueLine(undelivered, known)}` : nothing}
    </div>
  </li>`;
}

function filterOf({ filter_policy: policy, filter_scope: scope, filter_problem: problem, read_at: readAt }) {
  if (!scope) return html`<span class="filter">${readAt ? "all messages" : "…"}</span>`;
  const fields = typeof policy === "string" ? "" : Object.entries(policy).map(condition).join(", ");
  const text = typeof policy === "string" ? policy : JSON.stringify(policy, null, 2);
  return html`<details class="filter">
    <summary>if ${scope === "MessageBody" ? "the body's " : ""}<bdi>${visible(fields) || "…"}</bdi></summary>
    ${problem ? html`<p class="problem">${problem}</p>` : nothing}
    <pre><bdi>${visible(text)}</bdi></pre>
  </details>`;
}

// A field of a filter policy, with its values if these are few and plain.
function condition([name, wanted]) {
  const isPlain =
    Array.isArray(wanted) && wanted.length <= MAX_VALUES && !wanted.some((one) => one instanceof Object);
  return isPlain ? `${name} is ${wanted.join(" or ")}` : name;
}

// A queue, how much it holds, and the dead-letter queues behind it.
export function queueLine(arn, known, before = []) {
  const queue = known.queues[arn];
  const name = nameOf(arn);
  const dead = queue?.dead_letter_queue;
  const next = dead && !before.includes(dead);
  return html`<span class="queue" data-state=${queue?.state ?? "unread"}>
      → ${queue?.state === "elsewhere" ? html`<bdi>${visible(name)}</bdi>` : queueLink(name)} <small>${queue ? holds(queue) : "not known"}</small>
      ${queue ? depthChart(queue, known.slotSeconds) : nothing}
    </span>
    ${next ? html`<small>dead letters</small> ${queueLine(dead, known, [...before, arn])}` : nothing}`;
}
