// What to replay, where to, and how fast.

import { send } from "../../core/api.js";
import { number } from "../../core/format.js";
import { go, state } from "../../core/state.js";
import { toast } from "../../core/toast.js";
import { html, nothing } from "../../core/view.js";

const MAX_PER_SECOND = 100;
const MAX_MESSAGES = 10_000;
const MAX_FILE_BYTES = 8 * 2 ** 20;

const option = (chosen) => (value, label) =>
  html`<option value=${value} ?selected=${value === chosen}>${label}</option>`;

// `changed()` draws it again, `began()` is called when a replay runs.
export function replayForm({ changed, began }) {
  const chosen = { source: "search", to: "origin", pace: "rate" };
  let busy = false;

  const choose = (name) => (event) => {
    chosen[name] = event.target.value;
    changed();
  };

  const menu = (name, label, options) =>
    html`<label for="replay-${name}">${label}</label>
      <select id="replay-${name}" @change=${choose(name)}>
        ${Object.entries(options).map((entry) => option(chosen[name])(...entry))}
      </select>`;

  async function submit(event) {
    event.preventDefault();
    const { fields, how, what, where } = read(event.target, chosen);
    if (!confirm(`Publish ${what} again, to ${where}?`)) return;
    busy = true;
    changed();
    try {
      if (fields.file) await sendFile(fields.file, how);
      else await send("POST", "api/replays", JSON.stringify({ ...how, q: state.q }));
      began();
    } catch (error) {
      toast(`Not replayed: ${error.message}`);
    }
    busy = false;
    changed();
  }

  return {
    // `found` is what the search finds, `topology` what the endpoint has; null while they are not known.
    draw(found, topology) {
      const { source, to, pace } = chosen;
      const names = (to === "queue" ? topology?.queues : topology?.topics) ?? [];
      return html`<form class="replay" @submit=${submit}>
        <p class="actions">
          ${menu("source", "Messages", { search: "that a search finds", file: "of an exported file" })}
          ${source === "search" ? searchField(found) : fileField}
        </p>
        <p class="actions">
          ${menu("to", "To", { origin: "where each came from", topic: "the topic", queue: "the queue" })}
          ${
            to === "origin"
              ? nothing
              : html`<input
                    name="target"
                    aria-label="name of the ${to}"
                    list="replay-names"
                    required
                    maxlength="256"
                    size="28"
                  />
                  <datalist id="replay-names">
                    ${names.map(({ name }) => html`<option value=${name}></option>`)}
                  </datalist>`
          }
        </p>
        <p class="actions">
          ${menu("pace", "Pace", { rate: "so many a second", own: "with the gaps that they had" })}
          ${
            pace === "rate"
              ? html`<input
                  name="rate"
                  aria-label="messages per second"
                  type="number"
                  min="1"
                  max=${MAX_PER_SECOND}
                  value="10"
                  required
                />`
              : html`<small>24 hours together at most</small>`
          }
        </p>
        <p class="actions">
          <label for="replay-identity">CloudEvents</label>
          <select id="replay-identity" name="identity">
            <option value="">with new ids, linked to their originals</option>
            <option value="same">exactly as they were: further deliveries of the same</option>
          </select>
          <button ?disabled=${busy}>${busy ? "Beginning …" : "Replay"}</button>
        </p>
      </form>`;
    },
  };
}

const fileField = html`<input
  name="file"
  type="file"
  accept=".ndjson,.jsonl,application/x-ndjson"
  aria-label="exported file"
  required
/>`;

const searchField = (found) =>
  html`<input
    name="q"
    type="search"
    aria-label="search"
    size="28"
    maxlength="1000"
    placeholder="everything that is stored"
    .value=${state.q}
    @change=${(event) => go({ q: event.target.value.trim() }, { replace: true })}
  />
  <small role="status">${howMany(found)}</small>`;

function howMany(found) {
  if (!found) return "counting …";
  if (found.problem) return html`<span class="problem">${found.problem}</span>`;
  if (!found.exact) return `more than ${number(MAX_MESSAGES)}: narrow it`;
  return `${number(found.count)} ${found.count === 1 ? "message" : "messages"}`;
}

// What the form says: its fields, the parameters of a request, and both in words.
function read(form, { source, to, pace }) {
  const { target, rate, identity, file } = form.elements;
  const fields = { file: source === "file" ? file.files[0] : null };
  const how = {
    ...(to === "origin" ? {} : { [to]: target.value.trim() }),
    ...(pace === "rate" ? { per_second: Number(rate.value) } : {}),
    ...(identity.value ? { identity: identity.value } : {}),
  };
  const found = state.q ? `what ${state.q} finds` : "everything that is stored";
  return {
    fields,
    how,
    what: fields.file ? fields.file.name : found,
    where: to === "origin" ? "where each came from" : target.value,
  };
}

async function sendFile(file, how) {
  if (file.size > MAX_FILE_BYTES) throw new Error("the file has more than 8 MiB: split it");
  await send("POST", `api/replays/file?${new URLSearchParams(how)}`, file, "application/x-ndjson");
}
