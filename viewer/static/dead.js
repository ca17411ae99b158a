// Dead letters, grouped by what went wrong, and the way back to the queue.

import { ask, clock, element, number } from "./words.js";
import { say } from "./detail.js";

const POLL_MS = 3000;
const writable = !document.body.hasAttribute("data-read-only");

export function open(sheet) {
  const list = element("div", {});
  const chosen = new Set();
  const some = element("button", { disabled: true, click: () => redrive({ message_ids: [...chosen] }, chosen.size) });
  const all = element("button", { class: "second", click: () => redrive({ all: true }, "all") }, "Redrive all");
  sheet.replaceChildren(element("h2", {}, "Dead letters"),
    element("p", { class: "note" }, "Messages that failed as often as the redrive policy allows, each with its reason."),
    ...(writable ? [element("p", { class: "actions" }, some, all)] : []), list);
  let drawn = "";

  async function draw(force = false) {
    if (document.hidden && !force) return;
    try {
      const { dead_letters: letters } = await ask("api/dead-letters?limit=1000");
      const now = JSON.stringify(letters);
      if (now === drawn && !force) return;
      drawn = now;
      for (const id of chosen) if (!letters.some((letter) => letter.message_id === id)) chosen.delete(id);
      list.replaceChildren(...describe(letters));
      count();
      all.hidden = !letters.length;
    } catch (error) {
      list.replaceChildren(element("p", { class: "problem" }, error.message));
    }
  }

  function count() {
    some.disabled = !chosen.size;
    some.textContent = chosen.size ? `Redrive ${number(chosen.size)}` : "Redrive chosen";
  }

  async function redrive(what, how) {
    if (!confirm(`Send ${how} dead ${how === 1 ? "letter" : "letters"} back to the queue? They are tried again at once.`)) return;
    some.disabled = all.disabled = true;
    try {
      const { redriven } = await ask("api/dead-letters/redrive", {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(what) });
      say(redriven ? `${number(redriven.length)} sent back to the queue` : "sending all back to the queue");
      chosen.clear();
    } catch (error) {
      say(`Not redriven: ${error.message}`);
    }
    all.disabled = false;
    draw(true);
  }

  function describe(letters) {
    if (!letters.length) return [element("p", { class: "note" }, "None. What fails too often appears here, with its error.")];
    const groups = Map.groupBy(letters, (letter) => `${letter.error_type} · ${letter.type}`);
    return [...groups].map(([name, group]) => element("section", { class: "group" },
      element("h3", {}, name, " ", element("small", {}, number(group.length))), ...group.map(card)));
  }

  function card(letter) {
    const box = element("input", { type: "checkbox", "aria-label": `choose ${letter.preview}`,
      change: () => { chosen[box.checked ? "add" : "delete"](letter.message_id); count(); } });
    box.checked = chosen.has(letter.message_id);
    const details = element("details", {},
      element("summary", {}, element("bdi", { class: "words" }, letter.preview || "(empty)"),
        element("span", { class: "problem words" }, `${letter.error_type}: ${letter.error}`),
        element("small", {}, `${letter.tries} tries · ${clock(letter.dead_at)}${letter.redriven_at ? " · was redriven before" : ""}`)),
      element("p", { class: "note" }, `${letter.source} · ${letter.id} · first failed ${clock(letter.first_failed_at)}, last ${clock(letter.last_failed_at)}`),
      element("pre", {}, element("bdi", {}, letter.traceback)));
    return element("div", { class: "card" }, ...(writable ? [box] : []), details);
  }

  draw();
  const timer = setInterval(draw, POLL_MS);
  return () => clearInterval(timer);
}
