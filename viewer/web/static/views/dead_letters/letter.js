// One dead letter: its reason first, and when it is opened, its traceback and body.

import { canWrite } from "../../core/api.js";
import { localTime } from "../../core/clock.js";
import { visible } from "../../core/format.js";
import { edit } from "../../core/resend.js";
import { html, nothing } from "../../core/view.js";
import { publicationTables } from "../../panes/attributes.js";
import { copyLinks } from "../../panes/copy_links.js";
import { tracebackBlock } from "./traceback.js";

const MAX_SHOWN = 20_000; // characters of a body

// `one` is {letter, gone, whole, problem}: it is gone once it is a dead letter no more; `whole` is all of it,
// once it was opened. `select(checked)`, `toggle(open)` and `remove()` are called for what the reader does; a
// lost one is removed, not selected.
export function letterCard({ letter, gone, whole, problem }, { selected, opened, select, toggle, remove }) {
  const box = html`<input
    type="checkbox"
    aria-label="select ${letter.preview}"
    .checked=${selected}
    @change=${(event) => select(event.target.checked)}
  />`;
  const redriven = letter.redriven_at ? " · redriven before" : "";
  return html`<div class="card ${gone ? "gone" : ""}" data-id=${letter.message_id}>
    ${canWrite && select ? box : nothing}
    <details ?open=${opened} @toggle=${(event) => toggle(event.target.open)}>
      <summary>
        <bdi class="ellipsis">${visible(letter.preview) || "(empty)"}</bdi>
        <span class="problem ellipsis">${letter.error_type}: ${letter.error}</span>
        <small>
          ${gone ? "no longer dead · " : nothing}${letter.tries} tries · ${localTime(letter.dead_at ?? letter.last_failed_at)}${redriven}
        </small>
      </summary>
      ${opened ? inside(letter, whole, problem, remove) : nothing}
    </details>
  </div>`;
}

const inside = (letter, whole, problem, remove) =>
  html`<p class="note">
      <bdi>${letter.source} · ${letter.id}</bdi> · first failed ${localTime(letter.first_failed_at)}, last
      ${localTime(letter.last_failed_at)}
    </p>
    ${
      letter.copy_succeeded_at
        ? html`<p class="note">
          The same message succeeded under another SQS id at ${localTime(letter.copy_succeeded_at)}.
        </p>`
        : nothing
    }
    <div>${tracebackBlock(letter.traceback)}</div>
    ${problem ? html`<p class="problem">${problem}</p>` : nothing} ${whole ? wholeLetter(whole, remove) : nothing}`;

const wholeLetter = (letter, remove) =>
  html`${letter.event_time ? html`<p class="note">The event states the time ${letter.event_time}.</p>` : nothing}
    <p class="links">${copyLinks(letter)}</p>
    <pre class="whole"><bdi>${visible(letter.body.slice(0, MAX_SHOWN))}</bdi></pre>
    ${publicationTables(letter, { "SQS message id": letter.message_id })}
    ${
      canWrite
        ? html`<p class="actions">
          <button class="second" @click=${() => edit(letter)}>Edit and resend</button>
          ${remove ? html`<button class="second" @click=${remove}>Remove</button>` : nothing}
        </p>`
        : nothing
    }`;
