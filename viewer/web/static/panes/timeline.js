// What happened to a message, step by step, and how long it spent in each stage.

import { localTime } from "../core/clock.js";
import { duration } from "../core/format.js";
import { html, nothing, svg } from "../core/view.js";

// What a message was doing before a step: the class of its part of the bar, and its name in the legend.
const STAGES = {
  publishing: "publishing",
  waiting: "waiting in the queue",
  handling: "being handled",
  dead: "in the dead-letter queue",
};

export function timelinePane(message) {
  const steps = stepsOf(message);
  return html`${bar(steps)} ${legend(steps)}
    <ol class="steps">
      ${steps.map((step, at) => item(step, steps[at - 1]))}
    </ol>
    <p class="note">${summary(message)}</p>`;
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
    const sent = {
      name: "on the queue",
      stage: "publishing",
      time: one.sent_at,
      note: `as SQS message ${one.message_id}`,
    };
    return [
      ...(again ? [] : [sent]),
      {
        name: one.receive_count > 1 ? `received, try ${one.receive_count}` : "received",
        stage: "waiting",
        time: one.received_at,
        note: one.duplicate ? "duplicate, ignored" : "by the consumer",
      },
      { name: "stored", stage: "handling", time: one.stored_at, note: `as message ${seq}` },
      {
        name: "failed",
        stage: "handling",
        time: one.failed_at,
        note: `${one.error_type}: ${one.error}`,
        bad: true,
      },
    ];
  });
}

function outcomeSteps({ outcomes }) {
  return outcomes.flatMap((one) => [
    {
      name: "dead",
      stage: "handling",
      time: one.dead_at,
      note: "moved to the dead-letter queue after the last attempt",
      bad: true,
    },
    {
      name: "sent back",
      stage: "dead",
      time: one.redriven_at,
      note: "from the dead-letter queue to the queue",
    },
    {
      name: "lost",
      stage: "dead",
      time: one.lost_at,
      note: "neither queue holds it any more",
      bad: true,
    },
    { name: "succeeded", stage: "handling", time: one.resolved_at, note: "handled without an error" },
  ]);
}

function item(step, before) {
  const gap = before ? (step.at - before.at) / 1000 : null;
  return html`<li class=${step.bad ? "bad" : nothing}>
    <b>${step.name}</b>
    <span class="gap">${duration(gap, "+")}</span>
    ${localTime(step.time, true)}
    <small>${step.note}</small>
  </li>`;
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
    const width = Math.abs(to - from) || 0.4;
    return svg`<rect class="stage ${step.stage}" x=${Math.min(from, to)} y="1" width=${width} height="6"></rect>`;
  };
  return html`<svg
    class="timeline-bar"
    viewBox="0 0 100 8"
    preserveAspectRatio="none"
    role="img"
    aria-label="time spent in each stage, as listed below"
  >
    ${steps.slice(1).map(part)}
  </svg>`;
}

const legendKey = (stage, seconds) =>
  html`<li class="stage ${stage}"><span>${STAGES[stage]}</span> ${duration(seconds)}</li>`;

function legend(steps) {
  const spent = new Map();
  steps.slice(1).forEach(({ at, stage }, index) => {
    spent.set(stage, (spent.get(stage) ?? 0) + (at - steps[index].at) / 1000);
  });
  return html`<ul class="stages" aria-label="Time in each stage">
    ${[...spent].map(([stage, seconds]) => legendKey(stage, seconds))}
  </ul>`;
}
