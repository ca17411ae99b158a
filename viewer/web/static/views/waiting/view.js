// What is in a queue now: not delivered yet. Looking receives nothing and changes no receive count.

import { ask, canWrite, send } from "../../core/api.js";
import { localTime } from "../../core/clock.js";
import { readDraft, storeDraft } from "../../core/drafts.js";
import { each } from "../../core/each.js";
import { number, size, visible } from "../../core/format.js";
import { repeat } from "../../core/repeat.js";
import { go, onChange, state } from "../../core/state.js";
import { toast } from "../../core/toast.js";
import { html, nothing, render } from "../../core/view.js";
import { Redrive } from "../../panes/redrive.js";
import { redriveForm } from "./redrive.js";

const POLL_MS = 2000;

export function open(place) {
  let waiting = null;
  let problem = null;
  let names = []; // of all queues of the endpoint
  let dead = new Set(); // names of its dead-letter queues
  let redrive = null; // of the queue that is looked into, if it is one of these

  draw();
  const polling = repeat(poll, () => POLL_MS);
  const unfollow = onChange((now, before) => {
    if (now.queue === before.queue) return;
    waiting = problem = redrive = null;
    draw();
    polling.now();
    listQueues().catch(() => {});
  });
  listQueues().catch(() => {}); // a name can be typed
  return () => {
    unfollow();
    polling.stop();
  };

  async function poll() {
    const { queue } = state;
    let [answer, failure] = [null, null];
    try {
      answer = await ask(`api/waiting?${new URLSearchParams(queue && { queue })}`);
    } catch (error) {
      failure = error.message;
    }
    if (queue !== state.queue) return;
    waiting = answer ?? waiting;
    problem = failure;
    draw();
    if (!waiting || !dead.has(waiting.queue.name)) return;
    redrive ??= new Redrive(draw, waiting.queue.name);
    await redrive.poll();
  }

  async function listQueues() {
    const { topics, queues } = await ask("api/topology");
    const ways = [...queues, ...topics.flatMap(({ subscriptions }) => subscriptions)];
    names = queues.map(({ name }) => name);
    dead = new Set(ways.map((one) => one.dead_letter_queue?.split(":").at(-1)));
    draw();
    polling.now();
  }

  function draw() {
    render(
      html`<h2>Waiting in a queue</h2>
        <p class="note">
          Not delivered yet. Looking changes nothing: no message is received, and no receive count increases.
        </p>
        <form class="actions" @submit=${choose}>
          <label for="chosen-queue">Queue</label>
          <input
            id="chosen-queue"
            name="chosen"
            list="queues"
            size="32"
            maxlength="80"
            .value=${state.queue || (waiting?.queue.name ?? "")}
          />
          <datalist id="queues">${names.map((name) => html`<option value=${name}></option>`)}</datalist>
          <button class="second">Look into it</button>
          ${
            canWrite && waiting
              ? html`<button type="button" class="second" @click=${() => sendTo(waiting.queue.name)}>
                Send to this queue
              </button>`
              : nothing
          }
        </form>
        ${problem ? html`<p class="problem">${problem}</p>` : nothing}
        ${waiting ? describe(waiting) : problem ? nothing : html`<p class="note">Looking into the queue …</p>`}
        ${redrive?.waiting.queue ? redriven() : nothing} ${canWrite && waiting ? purgeForm(waiting.queue.name) : nothing}`,
      place,
    );
  }

  function redriven() {
    const { outcome, running } = redrive;
    return html`${redrive.progressBar()} ${outcome ? html`<p class="note">The last redrive: ${outcome}.</p>` : nothing}
    ${canWrite && !running ? redriveForm({ redrive, began: () => polling.now() }) : nothing}`;
  }

  async function purge(event) {
    event.preventDefault();
    const form = event.target;
    try {
      const queue = form.elements.queue.value;
      if (queue !== waiting.queue.name) throw new Error(`${queue} is not ${waiting.queue.name}`);
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
      <summary>Purge this queue</summary>
      <form class="actions" @submit=${purge}>
        <label for="purge-name">
          Deletes all messages in it for good. Type its name to confirm:
        </label>
        <input id="purge-name" name="queue" required autocomplete="off" placeholder=${name} />
        <button>Purge</button>
      </form>
    </details>`;
  }
}

function choose(event) {
  event.preventDefault();
  go({ queue: event.target.elements.chosen.value.trim() });
}

// Opens the view Publish with this queue chosen; what was written there stays.
function sendTo(queue) {
  storeDraft({ ...readDraft(), queue, topic: "" });
  go({ tab: "publish" });
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
