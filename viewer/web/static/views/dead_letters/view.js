// Dead letters, grouped by what went wrong, and sending them back to the queue. What the reader looks at stays
// where it is: new ones are counted until the reader asks for them, and those that are gone are marked.

import { ask, canWrite, send } from "../../core/api.js";
import { each } from "../../core/each.js";
import { number } from "../../core/format.js";
import { repeat } from "../../core/repeat.js";
import { state } from "../../core/state.js";
import { toast } from "../../core/toast.js";
import { html, nothing, render } from "../../core/view.js";
import { Redrive } from "../../panes/redrive.js";
import { letterCard } from "./letter.js";
import { lostMessages } from "./lost.js";
import { redriveForm } from "./redrive.js";

const POLL_MS = 3000;
const PROGRESS_MS = 500; // while a redrive is running
const MAX_LISTED = 1000;

export function open(place) {
  const selected = new Set();
  const opened = new Set([state.letter]);
  const wholes = new Map(); // by SQS id: {whole} or {problem}, of those that were opened
  const redrive = new Redrive(draw);
  let shown = null; // the letters, in the order in which they are shown
  let known = []; // those that there are now
  let lost = []; // those that are in no queue any more
  let problem = null;
  let sought = state.letter;

  draw();
  const polling = repeat(poll, () => (redrive.running ? PROGRESS_MS : POLL_MS));
  return polling.stop;

  async function poll() {
    const wasRunning = redrive.running;
    await redrive.poll();
    // Only now: once a redrive has ended, what it sent back is dead no more.
    await Promise.all([readLetters(wasRunning || redrive.running), readLost()]);
  }

  async function readLetters(redriven) {
    try {
      ({ dead_letters: known } = await ask(`api/dead-letters?limit=${MAX_LISTED}`));
      problem = null;
      const ids = new Set(known.map((letter) => letter.message_id));
      if (redriven || !shown?.some((letter) => ids.has(letter.message_id))) showAll();
    } catch (error) {
      problem = error.message;
    }
    draw();
    showLetter();
  }

  // The one that the address names.
  function showLetter() {
    if (sought) place.querySelector(`[data-id="${CSS.escape(sought)}"]`)?.scrollIntoView({ block: "center" });
    sought = "";
  }

  async function readLost() {
    // The list above says what is wrong.
    const found = await ask(`api/dead-letters?status=lost&limit=${MAX_LISTED}`).catch(() => null);
    if (found) lost = found.dead_letters;
    draw();
  }

  // ---- what is shown

  function showAll() {
    shown = known;
    const ids = new Set(known.map((letter) => letter.message_id));
    for (const id of selected) if (!ids.has(id)) selected.delete(id);
    draw();
  }

  function draw() {
    const now = new Map(known.map((letter) => [letter.message_id, letter]));
    const chosen = [...selected].filter((id) => now.has(id));
    const ids = new Set(shown?.map((letter) => letter.message_id));
    const news = known.filter((letter) => !ids.has(letter.message_id)).length;
    render(
      html`<h2>Dead letters</h2>
        <p class="note">Messages that used up all delivery attempts, each with its error.</p>
        ${canWrite ? redriveForm({ selected: chosen, running: redrive.running, begin, discard: () => discard(chosen) }) : nothing}
        ${redrive.progressBar()} ${problem ? html`<p class="problem">${problem}</p>` : nothing}
        <div class="news-line"><button ?hidden=${!news} @click=${showAll}>▲ ${number(news)} new</button></div>
        ${shown ? listed(now) : nothing} ${unlisted()}
        ${lostMessages(lost, {
          card: lostCard,
          remove: () => remove("?status=lost", lost.length),
        })}`,
      place,
    );
  }

  function listed(now) {
    if (!shown.length && !problem) {
      return html`<p class="note">
        No dead letters. Messages that use up all delivery attempts appear here, with their error.
      </p>`;
    }
    const listedBelow = new Set(lost.map((letter) => letter.message_id));
    const here = shown.filter((letter) => !listedBelow.has(letter.message_id));
    const groups = [...Map.groupBy(here, (letter) => `${letter.error_type} · ${letter.type}`)];
    return each(
      groups,
      ([name]) => name,
      ([name, letters]) =>
        html`<section class="group">
          <h3>${name} <small>${number(letters.length)}</small></h3>
          ${each(
            letters,
            (letter) => letter.message_id,
            (letter) => card(now.get(letter.message_id) ?? letter, !now.has(letter.message_id)),
          )}
        </section>`,
    );
  }

  // What others sent to the dead-letter queue, or what no consumer of ours recorded as failed.
  function unlisted() {
    const { queue, count } = redrive.waiting;
    const more = count - known.length;
    if (!shown || more <= 0 || known.length === MAX_LISTED || redrive.running) return nothing;
    return html`<p class="note">${queue} holds about ${number(more)} more without a recorded error.</p>`;
  }

  function card(letter, gone) {
    const id = letter.message_id;
    const select = (checked) => {
      selected[checked ? "add" : "delete"](id);
      draw();
    };
    return letterCard(
      { letter, gone, ...wholes.get(id) },
      { selected: selected.has(id), select, ...opening(id) },
    );
  }

  function lostCard(letter) {
    const id = letter.message_id;
    return letterCard(
      { letter, gone: false, ...wholes.get(id) },
      { remove: () => remove(`/${encodeURIComponent(id)}`, 1), ...opening(id) },
    );
  }

  function opening(id) {
    const toggle = (isOpen) => {
      opened[isOpen ? "add" : "delete"](id);
      if (isOpen && !wholes.get(id)?.whole) readWhole(id);
      draw();
    };
    return { opened: opened.has(id), toggle };
  }

  async function remove(path, many) {
    const what = many === 1 ? "this lost message" : `${number(many)} lost messages`;
    if (!confirm(`Remove ${what} from the page? What is known of it is deleted.`)) return;
    try {
      await send("DELETE", `api/dead-letters${path}`);
    } catch (error) {
      toast(`Not removed: ${error.message}`);
    }
    polling.now();
  }

  async function discard(chosen) {
    const what = `${number(chosen.length)} dead ${chosen.length === 1 ? "letter" : "letters"}`;
    if (!confirm(`Delete ${what} from ${redrive.waiting.queue} for good? They cannot be sent back any more.`))
      return;
    try {
      const body = JSON.stringify({ message_ids: chosen });
      const answer = await send("POST", "api/dead-letters/deletion", body);
      const rest = answer.not_found ? `; ${number(answer.not_found)} not found in the queue` : "";
      toast(`${number(answer.deleted)} deleted${rest}`);
      selected.clear();
      await readLetters(true);
    } catch (error) {
      toast(`Not deleted: ${error.message}`);
    }
  }

  async function readWhole(id) {
    try {
      wholes.set(id, { whole: await ask(`api/dead-letters/${encodeURIComponent(id)}`) });
    } catch (error) {
      wholes.set(id, { problem: error.message });
    }
    draw();
  }

  async function begin(what, perSecond) {
    if (!(await redrive.ask(what, perSecond))) return;
    selected.clear();
    draw();
    polling.now();
  }
}
