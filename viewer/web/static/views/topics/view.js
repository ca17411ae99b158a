// Topics: what exists on the endpoint, drawn so that each fan-out is seen at a glance.

import { each } from "../../core/each.js";
import { number } from "../../core/format.js";
import { onChange, state } from "../../core/state.js";
import { html, nothing, render } from "../../core/view.js";
import { count, endpointNote, isTap, watchEndpoint } from "../../panes/endpoint.js";
import { nameFilter } from "../../panes/name_filter.js";
import { placeLink } from "../../panes/place_link.js";
import { topicFan } from "./fan.js";

const MAX_DRAWN = 200; // topics; a name narrows them

export function open(place) {
  const known = watchEndpoint(draw);
  const unfollow = onChange(draw);
  draw();
  return () => {
    unfollow();
    known.stop();
  };

  function draw() {
    const { topology, problem } = known;
    render(
      html`<h2>Topics</h2>
        ${problem ? html`<p class="problem">${problem}</p>` : nothing}
        ${topology ? whole(topology) : problem ? nothing : html`<p class="note">Reading the topology …</p>`}`,
      place,
    );
  }
}

function whole(topology) {
  const { read_at: readAt, slot_seconds: slotSeconds, topics, queues } = topology;
  const wanted = state.names.trim().toLowerCase();
  const found = topics.filter((topic) => names(topic).some((name) => name.toLowerCase().includes(wanted)));
  const known = { queues: Object.fromEntries(queues.map((queue) => [queue.arn, queue])), slotSeconds };
  return html`${endpointNote(topology)} ${nameFilter("name of a topic or a queue")}
    ${readAt && !topics.length ? html`<p class="note">There are no topics.</p>` : nothing}
    ${topics.length && !found.length ? html`<p class="note">No topic matches.</p>` : nothing}
    <ul class="topics">
      ${each(found.slice(0, MAX_DRAWN), ({ arn }) => arn, topicFan(known))}
    </ul>
    ${
      found.length > MAX_DRAWN
        ? html`<p class="note">${number(found.length - MAX_DRAWN)} more: type a part of the name.</p>`
        : nothing
    }
    ${aloneIn(topics, known.queues)}`;
}

const names = ({ name, subscriptions }) => [name, ...subscriptions.map(({ endpoint }) => endpoint)];

// How many queues no subscription leads to: they are shown with all others.
function aloneIn(topics, queues) {
  const way = (arn) => [arn, queues[arn]?.dead_letter_queue];
  const reached = new Set(
    topics.flatMap(({ subscriptions }) =>
      subscriptions.flatMap((one) => [...way(one.endpoint), ...way(one.dead_letter_queue)]),
    ),
  );
  const alone = Object.keys(queues).filter((arn) => !reached.has(arn) && !isTap(arn)).length;
  if (!alone) return nothing;
  return html`<p class="note">
    ${count(alone, "queue")} without a subscription: see ${placeLink("Queues", { tab: "queues", queue: "" })}.
  </p>`;
}
