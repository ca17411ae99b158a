// What happened to a message, step by step.

import { clock } from "../core/clock.js";
import { element, shape } from "../core/dom.js";
import { duration } from "../core/format.js";

export function drawTimeline(place, message) {
  const steps = stepsOf(message);
  place.replaceChildren(
    bar(steps),
    element("ol", { class: "steps" }, ...steps.map((step, at) => item(step, steps[at - 1]))),
    element("p", { class: "note" }, summary(message)),
  );
}

function stepsOf(message) {
  const steps = [...deliverySteps(message), ...outcomeSteps(message)].filter(({ time }) => time);
  // As text, because a Date has no microseconds.
  steps.sort((one, other) => (one.time > other.time) - (one.time < other.time));
  const published = { name: "published", time: message.time, note: "taken by SNS or SQS" };
  return [published, ...steps].map((step) => ({ ...step, at: Date.parse(step.time) }));
}

function deliverySteps({ deliveries, seq }) {
  const known = new Set();
  return deliveries.flatMap((one) => {
    const again = known.has(one.message_id);
    known.add(one.message_id);
    return [
      ...(again
        ? []
        : [{ name: "on the queue", time: one.sent_at, note: `as SQS message ${one.message_id}` }]),
      {
        name: one.receive_count > 1 ? `received, try ${one.receive_count}` : "received",
        time: one.received_at,
        note: one.duplicate ? "duplicate, ignored" : "by the consumer",
      },
      { name: "stored", time: one.stored_at, note: `as message ${seq}` },
      { name: "failed", time: one.failed_at, note: `${one.error_type}: ${one.error}`, bad: true },
    ];
  });
}

function outcomeSteps({ outcomes }) {
  return outcomes.flatMap((one) => [
    {
      name: "dead",
      time: one.dead_at,
      note: "moved to the dead-letter queue after the last attempt",
      bad: true,
    },
    { name: "sent back", time: one.redriven_at, note: "from the dead-letter queue to the queue" },
    { name: "lost", time: one.lost_at, note: "neither queue holds it any more", bad: true },
    { name: "succeeded", time: one.resolved_at, note: "handled without an error" },
  ]);
}

function item(step, before) {
  const gap = before ? (step.at - before.at) / 1000 : null;
  return element(
    "li",
    { class: step.bad ? "bad" : null },
    element("b", {}, step.name),
    element("span", { class: "gap" }, duration(gap, "+")),
    element("time", { datetime: step.time }, clock(step.time, true)),
    element("small", {}, step.note),
  );
}

function summary({ latency_seconds: latency, since_previous_seconds: since, event_time: stated }) {
  const place =
    since === null ? "The first message stored." : `${duration(since, "+")} after the previous message.`;
  const own = stated ? ` The event states the time ${stated}.` : "";
  return `Latency: ${duration(latency)}. ${place}${own}`;
}

function bar(steps) {
  const start = Math.min(...steps.map((step) => step.at));
  const span = Math.max(...steps.map((step) => step.at)) - start || 1;
  const x = (step) => 1 + (98 * (step.at - start)) / span;
  const part = (step, at) => {
    const [from, to] = [x(steps[at]), x(step)];
    const [left, width] = [Math.min(from, to), Math.abs(to - from) || 0.4];
    return shape("rect", { class: `part${at % 3}`, x: left, width, y: 1, height: 6 });
  };
  return shape(
    "svg",
    {
      class: "timeline-bar",
      viewBox: "0 0 100 8",
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": "timeline",
    },
    ...steps.slice(1).map(part),
  );
}
