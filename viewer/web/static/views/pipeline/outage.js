// What is away, named once and for all: what it is, since when, why, and what to do. What merely waits for it is
// not blamed.

import { localTime } from "../../core/clock.js";
import { html, nothing, render } from "../../core/view.js";

const place = document.getElementById("outage");
let shown = null;

// The outage that an error of the overview means.
export function outageOf(error) {
  if (error.status === undefined) {
    return {
      what: "viewer",
      title: "The viewer does not answer.",
      advice: "Is it running? This page reconnects by itself and misses nothing that is stored.",
    };
  }
  return {
    what: "database",
    title: "The database does not answer.",
    advice: "Messages wait in the queue until it does; none is lost. Check PostgreSQL at DATABASE_URL.",
    reason: error.message,
  };
}

const CREATE = "Create it with localstack-init/create_resources.py, or restart the emulator's start-up.";
const READABLE = "Stored messages can be read meanwhile.";

// The outage that an overview shows, if any; the first cause of the others.
export function outageIn({ services, topic, queue }) {
  for (const [kind, one] of [
    ["queue", queue],
    ["topic", topic],
  ]) {
    if (one?.state === "missing") {
      return {
        what: kind,
        title: `The ${kind} ${one.name} does not exist.`,
        advice: `${topic ? CREATE : "The consumer creates it again within seconds."} ${READABLE}`,
      };
    }
  }
  const silent = [topic?.state === "unknown" ? "SNS" : "", queue.state === "unknown" ? "SQS" : ""].filter(
    Boolean,
  );
  if (silent.length > 0) {
    return {
      what: "AWS",
      title: `${silent.join(" and ")} ${silent.length > 1 ? "do" : "does"} not answer.`,
      advice: `Is ${document.body.dataset.endpoint || "AWS"} reachable? ${READABLE}`,
      reason: queue.reason ?? topic.reason,
    };
  }
  const down = Object.entries(services).find(([, { state }]) => state === "down");
  if (!down) return null;
  const [name, { reason }] = down;
  const waits = name === "consumer" ? "Messages wait in the queue until it is back." : "";
  return { what: name, title: `The ${name} does not answer.`, advice: `Is it running? ${waits}`, reason };
}

// Shows an outage, or that there is none any more.
export function showOutage(outage) {
  const since = shown?.what === outage?.what ? shown?.since : new Date().toISOString();
  shown = outage && { ...outage, since };
  place.hidden = !shown;
  const reason = shown?.reason ? html`<small><bdi>${shown.reason}</bdi></small>` : nothing;
  render(
    shown
      ? html`<b>${shown.title}</b> ${shown.advice} <span>Since ${localTime(since)}.</span> ${reason}`
      : nothing,
    place,
  );
}
