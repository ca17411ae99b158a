// Topics: what exists on the endpoint, drawn so that each fan-out is seen at a glance.

import { ask } from "../../core/api.js";
import { localTime } from "../../core/clock.js";
import { each } from "../../core/each.js";
import { number } from "../../core/format.js";
import { repeat } from "../../core/repeat.js";
import { onChange, state } from "../../core/state.js";
import { html, nothing, render } from "../../core/view.js";
import { nameFilter } from "../../panes/name_filter.js";
import { queueLine, topicFan } from "./fan.js";

const POLL_MS = 4000;
const MAX_DRAWN = 200; // topics; a name narrows them

let taps = []; // names of Fanout's own queues

const isTap = (arn) => taps.includes(arn.split(":").at(-1));

export function open(place) {
  let topology = null;
  let problem = null;

  draw();
  const polling = repeat(poll, () => POLL_MS);
  const unfollow = onChange(draw);
  return () => {
    unfollow();
    polling.stop();
  };

  async function poll() {
    try {
      topology = await ask("api/topology");
      problem = null;
    } catch (error) {
      problem = error.message;
    }
    draw();
    const pipeline = await ask("api/pipeline").catch(() => null); // which the strip of stages shows
    taps = pipeline?.taps.map(({ queue }) => queue) ?? taps;
    draw();
  }

  function draw() {
    render(
      html`<h2>Topics</h2>
        ${problem ? html`<p class="problem">${problem}</p>` : nothing}
        ${topology ? whole(topology) : problem ? nothing : html`<p class="note">Reading the topology …</p>`}`,
      place,
    );
  }
}

function whole({ endpoint, read_at: readAt, slot_seconds: slotSeconds, topics, queues, gaps }) {
  const wanted = state.names.trim().toLowerCase();
  const found = topics.filter((topic) => names(topic).some((name) => name.toLowerCase().includes(wanted)));
  const byArn = Object.fromEntries(queues.map((queue) => [queue.arn, queue]));
  const known = { queues: byArn, slotSeconds };
  const reached = new Set(topics.flatMap((topic) => topic.subscriptions.flatMap((one) => way(one, byArn))));
  const alone = queues.filter(
    ({ arn, name }) => !reached.has(arn) && !isTap(arn) && name.toLowerCase().includes(wanted),
  );
  return html`<p class="note">
      ${count(topics.length, "topic")} and ${count(queues.length, "queue")} of ${endpoint.url} in
      ${endpoint.region}, ${readAt ? html`as of ${localTime(readAt)}` : "not read yet"}.
    </p>
    ${gaps.map(({ action, reason }) => html`<p class="problem">${action}: ${reason}</p>`)}
    ${nameFilter("name of a topic or a queue")}
    ${readAt && !topics.length ? html`<p class="note">There are no topics.</p>` : nothing}
    <ul class="topics">
      ${each(found.slice(0, MAX_DRAWN), ({ arn }) => arn, topicFan(known, isTap))}
    </ul>
    ${
      found.length > MAX_DRAWN
        ? html`<p class="note">${number(found.length - MAX_DRAWN)} more: type a part of the name.</p>`
        : nothing
    }
    ${alone.length ? besides(alone.slice(0, MAX_DRAWN), known) : nothing}`;
}

const count = (many, what) => `${number(many)} ${many === 1 ? what : `${what}s`}`;

const names = ({ name, subscriptions }) => [name, ...subscriptions.map(({ endpoint }) => endpoint)];

// The queues that a subscription leads to, with their dead-letter queues.
const way = (subscription, known) =>
  [subscription.endpoint, subscription.dead_letter_queue].flatMap((arn) => [
    arn,
    known[arn]?.dead_letter_queue,
  ]);

const besides = (queues, known) =>
  html`<h3>Queues without a subscription</h3>
    <ul class="fan">
      ${each(
        queues,
        ({ arn }) => arn,
        ({ arn }) => html`<li>${queueLine(arn, known)}</li>`,
      )}
    </ul>`;
