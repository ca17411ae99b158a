// One topic and what it fans out to: a line for each subscription, from its filter to its dead-letter queue.

import { each } from "../../core/each.js";
import { number, visible } from "../../core/format.js";
import { opensElsewhere } from "../../core/dom.js";
import { address, go } from "../../core/state.js";
import { html, nothing } from "../../core/view.js";

const MAX_VALUES = 3;
const STATES = { missing: "does not exist", elsewhere: "another account or region", unread: "not read" };

// Returns what draws a topic; `known` are queues by their ARNs. Fanout's own subscriptions only say that the
// topic is watched.
export const topicFan = (known, isTap) => (topic) => {
  const others = topic.subscriptions.filter(({ endpoint }) => !isTap(endpoint));
  const isWatched = others.length < topic.subscriptions.length;
  return html`<li>
    <h3>
      ${viewLink(topic.name, { tab: "messages", m: "", q: `topic:${topic.name}` })}
      <small>${topic.fifo ? "FIFO · " : ""}${subscriptionsOf(others)}${isWatched ? " · watched" : ""}</small>
    </h3>
    <ul class="fan">
      ${each(
        others,
        (one) => one.arn ?? one.endpoint,
        (one) => line(one, known),
      )}
    </ul>
  </li>`;
};

function subscriptionsOf({ length }) {
  if (!length) return "nothing is subscribed";
  return length === 1 ? "1 subscription" : `${number(length)} subscriptions`;
}

function line(subscription, known) {
  const { protocol, endpoint, state, raw, dead_letter_queue: undelivered } = subscription;
  const target =
    protocol === "sqs" ? queueLine(endpoint, known) : html`${protocol} <bdi>${visible(endpoint)}</bdi>`;
  return html`<li data-state=${state}>
    ${filterOf(subscription)} ${target} ${raw ? html`<small>raw</small>` : nothing}
    ${state === "confirmed" ? nothing : html`<span class="problem">${state}</span>`}
    ${undelivered ? html`<small>undeliverable → </small>${queueLine(undelivered, known)}` : nothing}
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
  const queue = known[arn];
  const name = arn.split(":").at(-1);
  const dead = queue?.dead_letter_queue;
  const next = dead && !before.includes(dead);
  return html`<span class="queue" data-state=${queue?.state ?? "unread"}>
      → ${viewLink(name, { tab: "waiting", queue: name })} <small>${queue ? holds(queue) : "not known"}</small>
    </span>
    ${next ? html`<small>dead letters</small> ${queueLine(dead, known, [...before, arn])}` : nothing}`;
}

function holds({ state, visible: ready, in_flight: inFlight, delayed }) {
  if (state !== "known") return STATES[state];
  const more = [
    [inFlight, "in flight"],
    [delayed, "delayed"],
  ].filter(([many]) => many);
  return [[ready, "waiting"], ...more].map(([many, what]) => `${number(many)} ${what}`).join(" · ");
}

// Leads from the name of a topic to its messages, and from that of a queue into it.
function viewLink(name, changes) {
  const click = (event) => {
    if (opensElsewhere(event)) return;
    event.preventDefault();
    go(changes);
  };
  return html`<a href=${address(changes)} @click=${click}><bdi>${visible(name)}</bdi></a>`;
}
