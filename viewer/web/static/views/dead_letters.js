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

// Why a message is lost, by `lost_reason`.
const LOSSES = {
  queue: [
    "Lost with their queue",
    "The queues were created anew, empty, since these messages were last seen in them.",
  ],
  retention: ["Expired", "SQS deleted these messages at the end of their retention period."],
  missing: [
    "No longer in the queue",
    "These messages were deleted, purged or received by somebody else: the queues no longer hold them.",
  ],
};

const redriveRequest = (method, body) =>
  send(method, "api/dead-letters/redrive", body && JSON.stringify(body));
const problem = (error) => element("p", { class: "problem" }, error.message);
const note = (...content) => element("p", { class: "note" }, ...content);

export function openDeadLetters(place) {
  const selected = new Set();
  const opened = new Set([state.letter]);
  const unlisted = note();
  const list = element("div", {});
  const lostList = element("div", {});
  let drawn = "";
  let drawnLost = "";
  let listed = Infinity; // until it is known

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
    unlisted,
    lostList,
  );
  showSelected();
  const polling = repeat(poll, () => (progress.running ? PROGRESS_MS : POLL_MS));
  return polling.stop;

  async function poll() {
    await Promise.all([drawLetters(), drawLost(), drawProgress()]);
  }

  // ---- the letters

  async function drawLetters() {
    try {
      const { dead_letters: letters } = await ask(`api/dead-letters?limit=${MAX_LISTED}`);
      const now = JSON.stringify(letters);
      if (now === drawn) return;
      drawn = now;
      listed = letters.length;
      const ids = new Set(letters.map((letter) => letter.message_id));
      for (const id of selected) if (!ids.has(id)) selected.delete(id);
      list.replaceChildren(...describe(letters));
      showSelected();
    } catch (error) {
      drawn = "";
      list.replaceChildren(problem(error));
    }
  }

  async function drawLost() {
    const { dead_letters: letters } = await ask(`api/dead-letters?status=lost&limit=${MAX_LISTED}`).catch(
      () => ({ dead_letters: [] }), // the list above says what is wrong
    );
    const now = JSON.stringify(letters);
    if (now === drawnLost) return;
    drawnLost = now;
    lostList.replaceChildren(...(letters.length ? describeLost(letters) : []));
  }

  function showSelected() {
    redriveSelected.disabled = !selected.size || progress.running;
    redriveAll.disabled = progress.running;
    redriveSelected.textContent = selected.size ? `Redrive ${number(selected.size)}` : "Redrive selected";
  }

  // What others sent to the dead-letter queue, or what no consumer of ours recorded as failed.
  function showUnlisted(queue, waiting) {
    const more = waiting - listed;
    unlisted.hidden = !(more > 0) || listed === MAX_LISTED || progress.running;
    unlisted.textContent = `${queue} holds about ${number(Math.max(0, more || 0))} more without a recorded error.`;
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

  function describeLost(letters) {
    const removeAll = element(
      "button",
      { type: "button", class: "second", click: () => remove("?status=lost", letters.length) },
      "Remove all lost messages",
    );
    const groups = Map.groupBy(letters, (letter) => letter.lost_reason);
    return [
      element("h2", { class: "lost" }, "Lost messages"),
      note(
        "Messages that failed and are in no queue any more. They are not dead letters and cannot be redriven, ",
        "but their content is kept here: edit and resend it, or remove it.",
      ),
      ...(canWrite ? [element("p", { class: "actions" }, removeAll)] : []),
      ...[...groups].map(([reason, group]) => {
        const [name, explanation] = LOSSES[reason];
        return element(
          "section",
          { class: "group" },
          element("h3", {}, name, " ", element("small", {}, number(group.length))),
          note(explanation),
          ...group.map((letter) => element("div", { class: "card" }, lines(letter))),
        );
      }),
    ];
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
    return element("div", { class: "card" }, ...(canWrite ? [box] : []), lines(letter));
  }

  // Returns the lines of a letter, which open to show all of it.
  function lines(letter) {
    const id = letter.message_id;
    const whole = element("div", {});
    const toggle = () => {
      opened[details.open ? "add" : "delete"](id);
      if (details.open) drawWhole(id, whole, removeButton(letter));
    };
    const details = element("details", { toggle }, ...describeLetter(letter), whole);
    details.open = opened.has(id);
    return details;
  }

  function removeButton({ status, message_id: id }) {
    if (status !== "lost" || !canWrite) return null;
    const click = () => remove(`/${encodeURIComponent(id)}`, 1);
    return element("button", { type: "button", class: "second", click }, "Remove");
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
    const { redrive: now, from, waiting } = await redriveRequest("GET").catch(() => ({}));
    showUnlisted(from, waiting);
    if (before !== progress.running) return; // one was started in the meantime
    progress.show(now);
    if (before && !progress.running && now) toast(outcome(now));
    if (before !== progress.running) showSelected();
  }
}

function describeLetter(letter) {
  const redriven = letter.redriven_at ? " · redriven before" : "";
  const copy = letter.copy_succeeded_at;
  const [first, last] = [clock(letter.first_failed_at), clock(letter.last_failed_at)];
  return [
    element(
      "summary",
      {},
      element("bdi", { class: "ellipsis" }, letter.preview || "(empty)"),
      element("span", { class: "problem ellipsis" }, `${letter.error_type}: ${letter.error}`),
      element(
        "small",
        {},
        `${letter.tries} tries · ${clock(letter.dead_at ?? letter.last_failed_at)}${redriven}`,
      ),
    ),
    note(`${letter.source} · ${letter.id} · first failed ${first}, last ${last}`),
    copy ? note(`The same message succeeded under another SQS id at ${clock(copy)}.`) : null,
    element("pre", {}, element("bdi", {}, letter.traceback)),
  ].filter((line) => line !== null);
}

async function drawWhole(id, place, ...buttons) {
  try {
    const letter = await ask(`api/dead-letters/${encodeURIComponent(id)}`);
    const links = copyLinks(letter);
    const body = element("bdi", {}, letter.body.slice(0, MAX_SHOWN));
    const button = element("button", { class: "second", click: () => edit(letter) }, "Edit and resend");
    place.replaceChildren(
      ...(links.length ? [element("p", { class: "links" }, ...links)] : []),
      element("pre", { class: "whole" }, body),
      ...[canWrite ? button : null, ...buttons].filter((one) => one !== null),
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
