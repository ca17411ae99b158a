// Dead letters, grouped by what went wrong, and sending them back to the queue.

import { ask, canWrite, send } from "../core/api.js";
import { clock } from "../core/clock.js";
import { element } from "../core/dom.js";
import { number } from "../core/format.js";
import { repeat } from "../core/repeat.js";
import { edit } from "../core/resend.js";
import { state } from "../core/state.js";
import { toast } from "../core/toast.js";
import { copyLinks } from "../panes/copy_links.js";

const POLL_MS = 3000;
const PROGRESS_MS = 500; // while a redrive is running
const MAX_LISTED = 1000;
const MAX_PER_SECOND = 500;
const MAX_SHOWN = 20_000; // characters of a body

const redriveRequest = (method, body) =>
  send(method, "api/dead-letters/redrive", body && JSON.stringify(body));
const problem = (error) => element("p", { class: "problem" }, error.message);
const note = (...content) => element("p", { class: "note" }, ...content);

export function openDeadLetters(place) {
  const selected = new Set();
  const opened = new Set([state.letter]);
  const list = element("div", {});
  let drawn = "";

  // ---- the page

  const rate = element("input", {
    id: "per-second",
    type: "number",
    min: 1,
    max: MAX_PER_SECOND,
    placeholder: "unlimited",
  });
  const redriveSelected = element("button", {
    type: "button",
    click: () => redrive({ message_ids: [...selected] }),
  });
  const redriveAll = element(
    "button",
    { type: "button", class: "second", click: () => redrive({ all: true }) },
    "Redrive all",
  );
  const form = element(
    "form",
    { class: "actions" },
    redriveSelected,
    redriveAll,
    element("label", { for: "per-second" }, "Max per second"),
    rate,
  );
  const progress = drawnProgress();
  place.replaceChildren(
    element("h2", {}, "Dead letters"),
    note("Messages that used up all delivery attempts, each with its error."),
    ...(canWrite ? [form] : []),
    progress.bar,
    list,
  );
  showSelected();
  const polling = repeat(poll, () => (progress.running ? PROGRESS_MS : POLL_MS));
  return polling.stop;

  async function poll() {
    await Promise.all([drawLetters(), drawProgress()]);
  }

  // ---- the letters

  async function drawLetters() {
    try {
      const { dead_letters: letters } = await ask(`api/dead-letters?limit=${MAX_LISTED}`);
      const now = JSON.stringify(letters);
      if (now === drawn) return;
      drawn = now;
      const ids = new Set(letters.map((letter) => letter.message_id));
      for (const id of selected) if (!ids.has(id)) selected.delete(id);
      list.replaceChildren(...describe(letters));
      showSelected();
    } catch (error) {
      drawn = "";
      list.replaceChildren(problem(error));
    }
  }

  function showSelected() {
    redriveSelected.disabled = !selected.size || progress.running;
    redriveAll.disabled = progress.running;
    redriveSelected.textContent = selected.size ? `Redrive ${number(selected.size)}` : "Redrive selected";
  }

  function describe(letters) {
    if (!letters.length) {
      return [
        note("No dead letters. Messages that use up all delivery attempts appear here, with their error."),
      ];
    }
    const groups = Map.groupBy(letters, (letter) => `${letter.error_type} · ${letter.type}`);
    return [...groups].map(([name, group]) =>
      element(
        "section",
        { class: "group" },
        element("h3", {}, name, " ", element("small", {}, number(group.length))),
        ...group.map(card),
      ),
    );
  }

  function card(letter) {
    const id = letter.message_id;
    const box = element("input", {
      type: "checkbox",
      "aria-label": `select ${letter.preview}`,
      change: () => {
        selected[box.checked ? "add" : "delete"](id);
        showSelected();
      },
    });
    box.checked = selected.has(id);
    const whole = element("div", {});
    const toggle = () => {
      opened[details.open ? "add" : "delete"](id);
      if (details.open) drawWhole(id, whole);
    };
    const details = element("details", { toggle }, ...describeLetter(letter), whole);
    details.open = opened.has(id);
    return element("div", { class: "card" }, ...(canWrite ? [box] : []), details);
  }

  // ---- the redrive

  async function redrive(what) {
    if (!rate.reportValidity()) return;
    const perSecond = Number(rate.value) || null;
    try {
      const { from, to, waiting } = await redriveRequest("GET");
      const many = what.all ? waiting : selected.size;
      const letters = `${number(many)} dead ${many === 1 ? "letter" : "letters"}`;
      const speed = perSecond ? ` at ${number(perSecond)} per second` : "";
      if (!confirm(`Send ${letters} from ${from} back to ${to}${speed}? They are tried again at once.`))
        return;
      await redriveRequest("POST", { ...what, per_second: perSecond });
      selected.clear();
      progress.running = true;
      drawn = "";
      showSelected();
      polling.now();
    } catch (error) {
      toast(`Not redriven: ${error.message}`);
    }
  }

  async function drawProgress() {
    const before = progress.running;
    const { redrive: now } = await redriveRequest("GET").catch(() => ({}));
    if (before !== progress.running) return; // one was started in the meantime
    progress.show(now);
    if (before && !progress.running && now) toast(outcome(now));
    if (before !== progress.running) showSelected();
  }
}

function describeLetter(letter) {
  const redriven = letter.redriven_at ? " · redriven before" : "";
  const [first, last] = [clock(letter.first_failed_at), clock(letter.last_failed_at)];
  return [
    element(
      "summary",
      {},
      element("bdi", { class: "ellipsis" }, letter.preview || "(empty)"),
      element("span", { class: "problem ellipsis" }, `${letter.error_type}: ${letter.error}`),
      element("small", {}, `${letter.tries} tries · ${clock(letter.dead_at)}${redriven}`),
    ),
    note(`${letter.source} · ${letter.id} · first failed ${first}, last ${last}`),
    element("pre", {}, element("bdi", {}, letter.traceback)),
  ];
}

async function drawWhole(id, place) {
  try {
    const letter = await ask(`api/dead-letters/${encodeURIComponent(id)}`);
    const links = copyLinks(letter);
    const body = element("bdi", {}, letter.body.slice(0, MAX_SHOWN));
    const button = element("button", { class: "second", click: () => edit(letter) }, "Edit and resend");
    place.replaceChildren(
      ...(links.length ? [element("p", { class: "links" }, ...links)] : []),
      element("pre", { class: "whole" }, body),
      ...(canWrite ? [button] : []),
    );
  } catch (error) {
    place.replaceChildren(problem(error));
  }
}

// The bar that shows a running redrive: {bar, running, show}.
function drawnProgress() {
  const moved = element("progress", { "aria-label": "sent back" });
  const text = element("span", { role: "status" });
  const stop = element("button", { class: "second", click: cancel }, "Cancel");
  const bar = element("p", { class: "actions", hidden: true }, moved, text, ...(canWrite ? [stop] : []));

  async function cancel() {
    stop.disabled = true;
    await redriveRequest("DELETE").catch((error) => toast(`Not cancelled: ${error.message}`));
  }

  return {
    bar,
    running: false,
    show(redrive) {
      this.running = ["running", "cancelling"].includes(redrive?.status);
      bar.hidden = !this.running;
      if (!this.running) return;
      moved.max = Math.max(1, redrive.total);
      moved.value = redrive.moved;
      text.textContent = `${number(redrive.moved)} of ${number(redrive.total)} sent back`;
      stop.disabled = redrive.status === "cancelling";
    },
  };
}

function outcome({ moved, status, reason }) {
  const how = status === "completed" ? "" : `, then ${status}`;
  return `${number(moved)} sent back to the queue${how}${reason ? `: ${reason}` : ""}`;
}
