// What is on the queue now: not delivered yet. Looking receives nothing and changes no receive count.

import { ask, canWrite, send } from "../core/api.js";
import { localTime } from "../core/clock.js";
import { each } from "../core/each.js";
import { number, size, visible } from "../core/format.js";
import { repeat } from "../core/repeat.js";
import { toast } from "../core/toast.js";
import { html, nothing, render } from "../core/view.js";

const POLL_MS = 2000;

export function open(place) {
  let waiting = null;
  let problem = null;

  draw();
  const polling = repeat(poll, () => POLL_MS);
  return polling.stop;

  async function poll() {
    try {
      waiting = await ask("api/waiting");
      problem = null;
    } catch (error) {
      problem = error.message;
    }
    draw();
  }

  function draw() {
    render(
      html`<h2>Waiting in the queue</h2>
        <p class="note">
          Not delivered yet. Looking changes nothing: no message is received, and no receive count increases.
        </p>
        ${problem ? html`<p class="problem">${problem}</p>` : nothing}
        ${waiting ? describe(waiting) : problem ? nothing : html`<p class="note">Looking into the queue …</p>`}
        ${canWrite && waiting ? purgeForm(waiting.queue.name) : nothing}`,
      place,
    );
  }

  async function purge(event) {
    event.preventDefault();
    const form = event.target;
    try {
      const queue = form.elements.queue.value;
      const answer = await send("DELETE", `api/waiting?${new URLSearchParams({ queue })}`);
      toast(`${answer.queue} purged: about ${number(answer.messages)} messages deleted`);
      form.reset();
    } catch (error) {
      toast(`Not purged: ${error.message}`);
    }
    polling.now();
  }

  function purgeForm(name) {
    return html`<details class="purge">
      <summary>Purge a queue</summary>
      <form class="actions" @submit=${purge}>
        <label for="purge-name">
          Deletes all messages in the queue, or in its dead-letter queue, for good. Type its name to confirm:
        </label>
        <input id="purge-name" name="queue" required autocomplete="off" placeholder=${name} />
        <button>Purge</button>
      </form>
    </details>`;
  }
}

function describe({ queue, messages, reason }) {
  const { name, visible: ready, in_flight: inFlight, delayed } = queue;
  const counts = html`<p class="counts">
    <b>${name}</b> ${number(ready)} visible · ${number(inFlight)} in flight · ${number(delayed)} delayed
  </p>`;
  if (!messages) return [counts, html`<p class="note">Only the counts are available: ${reason}.</p>`];
  if (!messages.length) return [counts, html`<p class="note">The queue is empty.</p>`];
  return [counts, each(messages, (message) => message.message_id, card)];
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
