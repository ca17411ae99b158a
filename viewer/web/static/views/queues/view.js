// Queues: all of the endpoint, how much they hold, and what is in one of them.

import { each } from "../../core/each.js";
import { number } from "../../core/format.js";
import { go, onChange, state } from "../../core/state.js";
import { html, nothing, render } from "../../core/view.js";
import { endpointNote, isTap, watchEndpoint } from "../../panes/endpoint.js";
import { nameFilter } from "../../panes/name_filter.js";
import { queueLink } from "../../panes/place_link.js";
import { age, depthChart, depthOf, isRead, STATES } from "../../panes/queue_figures.js";
import { look } from "./look.js";
import { fedBy, relationsIn } from "./relations.js";

const MAX_DRAWN = 500; // queues; a name narrows them
const NAME = /^[\w-]{1,80}(\.fifo)?$/; // "CreateQueue", AWS

export function open(place) {
  let looking = null;
  const known = watchEndpoint(draw);
  const unfollow = onChange((now, before) => {
    if (now.queue !== before.queue) lookAgain();
    draw();
  });
  lookAgain();
  draw();
  return () => {
    unfollow();
    known.stop();
    looking?.stop();
  };

  function lookAgain() {
    looking?.stop();
    looking = state.queue ? look(state.queue, () => known.topology, draw) : null;
  }

  function draw() {
    render(looking ? looking.template() : all(known), place);
  }
}

function all({ topology, problem }) {
  return html`<h2>Queues</h2>
    ${problem ? html`<p class="problem">${problem}</p>` : nothing}
    ${topology ? whole(topology) : problem ? nothing : html`<p class="note">Reading the queues …</p>`}`;
}

function whole(topology) {
  const { queues, slot_seconds: slotSeconds, read_at: readAt } = topology;
  const wanted = state.names.trim().toLowerCase();
  const found = inOrder(queues.filter(({ name }) => name.toLowerCase().includes(wanted)));
  return html`${endpointNote(topology)}
    <div class="actions">${nameFilter("name of a queue")} ${order()}</div>
    ${found.length ? table(found.slice(0, MAX_DRAWN), relationsIn(topology), slotSeconds) : nothing}
    ${
      found.length > MAX_DRAWN
        ? html`<p class="note">${number(found.length - MAX_DRAWN)} more: type a part of the name.</p>`
        : nothing
    }
    ${readAt && !queues.length ? html`<p class="note">There are no queues.</p>` : nothing}
    ${queues.length && !found.length ? html`<p class="note">No queue matches.</p>` : nothing}
    ${unlisted(queues)}`;
}

// A name that is not listed can be looked into nonetheless: the endpoint may refuse to list.
function unlisted(queues) {
  const name = state.names.trim();
  if (!NAME.test(name) || queues.some((queue) => queue.name === name)) return nothing;
  return html`<p class="note">Not listed? Look into ${queueLink(name)}.</p>`;
}

// ---- order

const oldest = ({ oldest_sent_at: sent }) => (sent ? Date.parse(sent) : Infinity);

const ORDERS = {
  "": ["name", () => 0],
  depth: ["most messages first", (a, b) => depthOf(b) - depthOf(a)],
  age: ["oldest message first", (a, b) => oldest(a) - oldest(b) || 0],
};

// Queues come by name; a sort that is stable leaves them so.
const inOrder = (queues) => queues.toSorted((ORDERS[state.sort] ?? ORDERS[""])[1]);

const order = () =>
  html`<p class="actions">
  <label for="queue-order">Order</label>
  <select id="queue-order" @change=${(event) => go({ sort: event.target.value }, { replace: true })}>
    ${Object.entries(ORDERS).map(
      ([value, [label]]) => html`<option value=${value} ?selected=${state.sort === value}>${label}</option>`,
    )}
  </select>
</p>`;

// ---- the table

const table = (queues, relations, slotSeconds) =>
  html`<table class="queues">
    <caption class="hidden">Queues of the endpoint</caption>
    <thead>
      <tr>
        <th scope="col">Queue</th>
        <th scope="col" class="number">Waiting</th>
        <th scope="col" class="number">In flight</th>
        <th scope="col" class="number">Delayed</th>
        <th scope="col" class="number">Oldest</th>
        <th scope="col">While watched</th>
        <th scope="col">From</th>
        <th scope="col">Dead letters</th>
      </tr>
    </thead>
    <tbody>
      ${each(
        queues,
        ({ arn }) => arn,
        (queue) => row(queue, relations, slotSeconds),
      )}
    </tbody>
  </table>`;

const amount = (label, many) =>
  html`<td class="number" data-label=${label} data-some=${many > 0}>${number(many)}</td>`;

function row(queue, relations, slotSeconds) {
  const { name, arn, state: known, oldest_sent_at: sent, dead_letter_queue: dead } = queue;
  return html`<tr data-state=${known}>
    <th scope="row">
      ${known === "elsewhere" ? html`<bdi>${name}</bdi>` : queueLink(name)}
      ${isTap(arn) ? html`<small>Fanout's own</small>` : nothing}
    </th>
    ${
      isRead(queue)
        ? html`${amount("waiting", queue.visible)} ${amount("in flight", queue.in_flight)}
            ${amount("delayed", queue.delayed)}
            <td class="number" data-label="oldest">${sent ? age(queue) : nothing}</td>`
        : html`<td colspan="4" class="quiet">${STATES[known]}</td>`
    }
    <td>${depthChart(queue, slotSeconds)}</td>
    <td data-label=${relations.topics.has(arn) ? "from" : ""}>${fedBy(arn, relations)}</td>
    <td data-label="dead letters">${dead ? queueLink(dead) : nothing}</td>
  </tr>`;
}
