// What is in a queue now: not delivered yet. Looking receives nothing and changes no receive count.

import { ask, canWrite, send } from "../../core/api.js";
import { localTime } from "../../core/clock.js";
import { readDraft, storeDraft } from "../../core/drafts.js";
import { each } from "../../core/each.js";
import { number, size, visible } from "../../core/format.js";
import { repeat } from "../../core/repeat.js";
import { go } from "../../core/state.js";
import { toast } from "../../core/toast.js";
import { html, nothing } from "../../core/view.js";
import { placeLink, queueLink } from "../../panes/place_link.js";
import { age, depthChart, mostOf } from "../../panes/queue_figures.js";
import { Redrive } from "../../panes/redrive.js";
import { redriveForm } from "./redrive.js";
import { fedBy, isForDeadLetters, relationsIn } from "./relations.js";

const POLL_MS = 2000;

// Looks into a queue again and again, and calls `changed()` each time; `topology()` is what is known. Returns
// `template()`, and `stop()`, which ends that.
export function look(name, topology, changed) {
  const redrive = new Redrive(changed, name); // if it is a dead-letter queue
  let found = null;
  let problem = null;
  let stopped = false;
  const polling = repeat(poll, () => POLL_MS);

  async function poll() {
    try {
      found = await ask(`api/waiting?${new URLSearchParams({ queue: name })}`);
      problem = null;
    } catch (error) {
      problem = error.message;
    }
    if (stopped) return;
    changed();
    if (found && isForDeadLetters(name, topology())) await redrive.poll();
  }

  async function purge(event) {
    event.preventDefault();
    const form = event.target;
    try {
      const queue = form.elements.queue.value;
      if (queue !== name) throw new Error(`${queue} is not ${name}`);
      const answer = await send("DELETE", `api/waiting?${new URLSearchParams({ queue })}`);
      toast(`${answer.queue} purged: about ${number(answer.messages)} messages deleted`);
      form.reset();
    } catch (error) {
      toast(`Not purged: ${error.message}`);
    }
    polling.now();
  }

  return {
    stop() {
      stopped = true;
      polling.stop();
    },
    template: () =>
      html`<p>${placeLink("← All queues", { tab: "queues", queue: "" })}</p>
        <h2><bdi>${visible(name)}</bdi></h2>
        ${topology() ? aboutQueue(name, topology()) : nothing}
        ${problem ? html`<p class="problem">${problem}</p>` : nothing}
        ${found ? contents(found) : problem ? nothing : html`<p class="note">Looking into the queue …</p>`}
        ${redrive.waiting.queue ? redriven(redrive, topology(), polling.now) : nothing}
        ${canWrite && found ? purgeForm(name, purge) : nothing}`,
  };
}

// How the last redrive went, or what begins one.
function redriven(redrive, topology, began) {
  const { outcome, running } = redrive;
  return html`${redrive.progressBar()}
    ${outcome ? html`<p class="note">The last redrive: ${outcome}.</p>` : nothing}
    ${canWrite && !running ? redriveForm({ redrive, began }) : nothing}
    <datalist id="queues">${(topology?.queues ?? []).map((one) => html`<option value=${one.name}></option>`)}</datalist>`;
}

// Opens the view Publish with this queue chosen; what was written there stays.
function sendTo(queue) {
  storeDraft({ ...readDraft(), queue, topic: "" });
  go({ tab: "publish" });
}

// Where it belongs, and how it filled while it was watched.
function aboutQueue(name, topology) {
  const queue = topology.queues.find((one) => one.name === name && one.state !== "elsewhere");
  if (!queue) return nothing;
  const { dead_letter_queue: dead, max_receive_count: most, fifo, oldest_sent_at: sent } = queue;
  const from = fedBy(queue.arn, relationsIn(topology));
  return html`<dl class="about">
      <dt>From</dt>
      <dd>${from.some((one) => one !== nothing) ? from : "no topic"}${fifo ? " · FIFO" : ""}</dd>
      ${
        dead
          ? html`<dt>Dead letters</dt>
              <dd>${queueLink(dead)}, after ${number(most ?? 0)} ${most === 1 ? "delivery" : "deliveries"}</dd>`
          : nothing
      }
      ${
        sent
          ? html`<dt>Oldest</dt>
              <dd>${age(queue)}</dd>`
          : nothing
      }
    </dl>
    ${queue.depths.length ? largeChart(queue, topology.slot_seconds) : nothing}`;
}

const largeChart = (queue, slotSeconds) =>
  html`<div class="large">
    ${depthChart(queue, slotSeconds)}
    <small>${mostOf(queue, slotSeconds)}</small>
  </div>`;

function contents({ queue, messages, reason }) {
  const { name, visible: ready, in_flight: inFlight, delayed } = queue;
  const counts = html`<div class="actions">
    <p class="counts">${number(ready)} visible · ${number(inFlight)} in flight · ${number(delayed)} delayed</p>
    ${canWrite ? html`<button class="second" @click=${() => sendTo(name)}>Send to this queue</button>` : nothing}
  </div>`;
  if (!messages) return [counts, html`<p class="note">Only the counts are available: ${reason}.</p>`];
  if (!messages.length) return [counts, html`<p class="note">The queue is empty.</p>`];
  return [
    counts,
    html`<p class="note">
      Not delivered yet. Looking changes nothing: no message is received, and no receive count increases.
    </p>`,
    each(messages, (message) => message.message_id, card),
  ];
}

const card = (message) =>
  html`<div class="card">
    <details>
      <summary>
        <span class="mark" data-state=${message.state}>${message.state}</span>
        <bdi class="ellipsis">${visible(message.body.slice(0, 300)) || "(empty)"}</bdi>
        <small>
          ${message.sent_at ? localTime(message.sent_at) : nothing} · received ×${message.receive_count} ·
          ${size(message.size)}
        </small>
      </summary>
      <p class="note">SQS message ${message.message_id}</p>
      ${Object.entries(message.attributes).map(
        ([name, value]) => html`<p class="note">${name}: <bdi>${visible(value)}</bdi></p>`,
      )}
      <pre class="whole"><bdi>${visible(message.body)}</bdi></pre>
    </details>
  </div>`;

const purgeForm = (name, purge) =>
  html`<details class="purge">
    <summary>Purge this queue</summary>
    <form class="actions" @submit=${purge}>
      <label for="purge-name"> Deletes all messages in it for good. Type its name to confirm: </label>
      <input id="purge-name" name="queue" required autocomplete="off" placeholder=${name} />
      <button>Purge</button>
    </form>
  </details>`;
