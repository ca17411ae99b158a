// Dead letters, grouped by what went wrong, and the way back to the queue.

import { ask, clock, element, number, send } from "./words.js";
import { state } from "./state.js";
import { copyLinks } from "./copies.js";
import { edit } from "./publish.js";
import { say } from "./detail.js";

const POLL_MS = 3000;
const WATCH_MS = 500; // while a redrive is under way
const MOST_PER_SECOND = 500;
const LONGEST_SHOWN = 20000;
const writable = !document.body.hasAttribute("data-read-only");

const redriveCall = (method, body) => send(method, "api/dead-letters/redrive", body && JSON.stringify(body));

export function open(sheet) {
  const list = element("div", {});
  const chosen = new Set();
  const opened = new Set([state.letter]);
  const rate = element("input", { id: "per-second", type: "number", min: 1, max: MOST_PER_SECOND, placeholder: "any" });
  const some = element("button", { type: "button", click: () => redrive({ message_ids: [...chosen] }) });
  const all = element("button", { type: "button", class: "second", click: () => redrive({ all: true }) }, "Redrive all");
  const [moved, words] = [element("progress", { "aria-label": "sent back" }), element("span", { role: "status" })];
  const stop = element("button", { class: "second", click: cancel }, "Cancel");
  const progress = element("p", { class: "actions", hidden: true }, moved, words, ...(writable ? [stop] : []));
  sheet.replaceChildren(element("h2", {}, "Dead letters"),
    element("p", { class: "note" }, "Messages that failed as often as the redrive policy allows, each with its reason."),
    ...(writable ? [element("form", { class: "actions" }, some, all, element("label", { for: "per-second" }, "per second"), rate)] : []),
    progress, list);
  let drawn = "";
  let underWay = false;
  let timer = null;
  let left = false;

  async function poll() {
    if (!document.hidden) await Promise.all([drawLetters(), drawProgress()]);
    if (!left) timer = setTimeout(poll, underWay ? WATCH_MS : POLL_MS);
  }

  // ---- what is there

  async function drawLetters() {
    try {
      const { dead_letters: letters } = await ask("api/dead-letters?limit=1000");
      const now = JSON.stringify(letters);
      if (now === drawn) return;
      drawn = now;
      for (const id of chosen) if (!letters.some((letter) => letter.message_id === id)) chosen.delete(id);
      list.replaceChildren(...describe(letters));
      count();
    } catch (error) {
      drawn = "";
      list.replaceChildren(element("p", { class: "problem" }, error.message));
    }
  }

  function count() {
    some.disabled = !chosen.size || underWay;
    all.disabled = underWay;
    some.textContent = chosen.size ? `Redrive ${number(chosen.size)}` : "Redrive chosen";
  }

  function describe(letters) {
    if (!letters.length) return [element("p", { class: "note" }, "None. What fails too often appears here, with its error.")];
    const groups = Map.groupBy(letters, (letter) => `${letter.error_type} · ${letter.type}`);
    return [...groups].map(([name, group]) => element("section", { class: "group" },
      element("h3", {}, name, " ", element("small", {}, number(group.length))), ...group.map(card)));
  }

  function card(letter) {
    const id = letter.message_id;
    const box = element("input", { type: "checkbox", "aria-label": `choose ${letter.preview}`,
      change: () => { chosen[box.checked ? "add" : "delete"](id); count(); } });
    box.checked = chosen.has(id);
    const whole = element("div", {});
    const details = element("details", { toggle: () => { opened[details.open ? "add" : "delete"](id); if (details.open) show(id, whole); } },
      element("summary", {}, element("bdi", { class: "words" }, letter.preview || "(empty)"),
        element("span", { class: "problem words" }, `${letter.error_type}: ${letter.error}`),
        element("small", {}, `${letter.tries} tries · ${clock(letter.dead_at)}${letter.redriven_at ? " · was redriven before" : ""}`)),
      element("p", { class: "note" }, `${letter.source} · ${letter.id} · first failed ${clock(letter.first_failed_at)}, last ${clock(letter.last_failed_at)}`),
      element("pre", {}, element("bdi", {}, letter.traceback)), whole);
    details.open = opened.has(id);
    return element("div", { class: "card" }, ...(writable ? [box] : []), details);
  }

  async function show(id, place) {
    try {
      const letter = await ask(`api/dead-letters/${encodeURIComponent(id)}`);
      const links = copyLinks(letter);
      place.replaceChildren(...(links.length ? [element("p", { class: "links" }, ...links)] : []),
        element("pre", { class: "whole" }, element("bdi", {}, letter.body.slice(0, LONGEST_SHOWN))),
        ...(writable ? [element("button", { class: "second", click: () => edit(letter) }, "Edit and resend")] : []));
    } catch (error) {
      place.replaceChildren(element("p", { class: "problem" }, error.message));
    }
  }

  // ---- the way back

  async function redrive(what) {
    if (!rate.reportValidity()) return;
    const perSecond = Number(rate.value) || null;
    try {
      const { from, to, waiting } = await redriveCall("GET");
      const many = what.all ? waiting : chosen.size;
      const speed = perSecond ? `, ${number(perSecond)} a second` : "";
      if (!confirm(`Send ${number(many)} dead ${many === 1 ? "letter" : "letters"} from ${from} back to ${to}${speed}? They are tried again at once.`)) return;
      await redriveCall("POST", { ...what, per_second: perSecond });
      chosen.clear();
      underWay = true;
      drawn = "";
      clearTimeout(timer);
      poll();
    } catch (error) {
      say(`Not redriven: ${error.message}`);
    }
  }

  async function drawProgress() {
    const { redrive: now } = await redriveCall("GET").catch(() => ({}));
    const before = underWay;
    underWay = ["running", "cancelling"].includes(now?.status);
    progress.hidden = !underWay;
    if (underWay) {
      moved.max = Math.max(1, now.total);
      moved.value = now.moved;
      words.textContent = `${number(now.moved)} of ${number(now.total)} sent back`;
      stop.disabled = now.status === "cancelling";
    } else if (before && now) say(`${number(now.moved)} sent back to the queue${now.status === "completed" ? "" : `, then ${now.status}`}${now.reason ? `: ${now.reason}` : ""}`);
    if (before !== underWay) count();
  }

  async function cancel() {
    stop.disabled = true;
    await redriveCall("DELETE").catch((error) => say(`Not cancelled: ${error.message}`));
  }

  count();
  poll();
  return () => {
    left = true;
    clearTimeout(timer);
  };
}
