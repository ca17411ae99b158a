// What leads to a queue: topics, and queues whose dead letters it takes.

import { html, nothing } from "../../core/view.js";
import { count, nameOf } from "../../panes/endpoint.js";
import { placeLink, queueLink } from "../../panes/place_link.js";

// By the ARN of the queue that they lead to: names of topics, and queues.
export function relationsIn({ topics, queues }) {
  const relations = { topics: new Map(), deadLettersOf: new Map() };
  for (const { name, subscriptions } of topics) {
    for (const { protocol, endpoint } of subscriptions) {
      if (protocol === "sqs") add(relations.topics, endpoint, name);
    }
  }
  for (const { name, dead_letter_queue: dead } of queues) {
    if (dead) add(relations.deadLettersOf, dead, name);
  }
  return relations;
}

// Whether dead letters of a queue, or what a subscription could not deliver, lead to the queue of this name.
export const isForDeadLetters = (name, topology) =>
  [
    ...(topology?.queues ?? []),
    ...(topology?.topics ?? []).flatMap(({ subscriptions }) => subscriptions),
  ].some((one) => one.dead_letter_queue && nameOf(one.dead_letter_queue) === name);

const add = (map, arn, name) => map.set(arn, (map.get(arn) ?? new Set()).add(name));

// The topics, or else whose dead letters; the view Topics shows how.
export function fedBy(arn, { topics, deadLettersOf }) {
  const from = topics.get(arn);
  const dead = deadLettersOf.get(arn);
  return [
    from ? topicsLink([...from], nameOf(arn)) : nothing,
    from && dead ? ", " : nothing,
    dead
      ? html`dead letters of ${dead.size === 1 ? queueLink([...dead][0]) : count(dead.size, "queue")}`
      : nothing,
  ];
}

const topicsLink = (names, queue) =>
  names.length === 1
    ? placeLink(names[0], { tab: "topics", names: names[0] })
    : placeLink(count(names.length, "topic"), { tab: "topics", names: queue });
