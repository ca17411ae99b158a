// What exists on the endpoint, read again and again while a view shows it.

import { ask } from "../core/api.js";
import { localTime } from "../core/clock.js";
import { number } from "../core/format.js";
import { repeat } from "../core/repeat.js";
import { html } from "../core/view.js";

const POLL_MS = 4000;

export const nameOf = (arn) => arn.split(":").at(-1);

let taps = []; // names of Fanout's own queues

export const isTap = (arn) => taps.includes(nameOf(arn));

// Calls `changed()` after each reading. Returns the topology, null until it is known, and why it cannot be read;
// `stop()` ends that.
export function watchEndpoint(changed) {
  const known = { topology: null, problem: null };

  async function poll() {
    try {
      known.topology = await ask("api/topology");
      known.problem = null;
    } catch (error) {
      known.problem = error.message;
    }
    changed();
    const pipeline = await ask("api/pipeline").catch(() => null); // which the strip of stages shows
    taps = pipeline?.taps.map(({ queue }) => queue) ?? taps;
    changed();
  }

  const polling = repeat(poll, () => POLL_MS);
  return Object.assign(known, { stop: polling.stop });
}

export const count = (many, what) => `${number(many)} ${many === 1 ? what : `${what}s`}`;

// What is known of the endpoint, and what it does not tell.
export const endpointNote = ({ endpoint, read_at: readAt, topics, queues, gaps }) => [
  html`<p class="note">
    ${count(topics.length, "topic")} and ${count(queues.length, "queue")} of ${endpoint.url} in ${endpoint.region},
    ${readAt ? html`as of ${localTime(readAt)}` : "not read yet"}.
  </p>`,
  gaps.map(({ action, reason }) => html`<p class="problem">${action}: ${reason}</p>`),
];
