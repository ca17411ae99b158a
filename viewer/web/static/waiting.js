// What lies in the queue now: not delivered yet. Looking changes nothing, and receives nothing.

import { ask, clock, element, number, size } from "./words.js";

const POLL_MS = 2000;

export function open(sheet) {
  const list = element("div", {});
  sheet.replaceChildren(element("h2", {}, "Waiting in the queue"),
    element("p", { class: "note" }, "Not delivered yet. Looking changes nothing: no message is received, no receive count rises."), list);
  const draw = async () => {
    if (document.hidden) return;
    try {
      list.replaceChildren(...describe(await ask("api/waiting")));
    } catch (error) {
      list.replaceChildren(element("p", { class: "problem" }, error.message));
    }
  };
  draw();
  const timer = setInterval(draw, POLL_MS);
  return () => clearInterval(timer);
}

function describe({ queue, messages, reason }) {
  const counts = element("p", { class: "counts" }, element("b", {}, queue.name),
    ` ${number(queue.visible)} visible · ${number(queue.in_flight)} in flight · ${number(queue.delayed)} delayed`);
  if (!messages) return [counts, element("p", { class: "note" }, `Only the numbers: ${reason}.`)];
  if (!messages.length) return [counts, element("p", { class: "note" }, "Nothing waits.")];
  const row = (one) => element("tr", {}, element("td", {}, element("span", { class: "mark", "data-state": one.state }, one.state)),
    element("td", {}, one.sent_at ? clock(one.sent_at) : ""), element("td", {}, `×${one.receive_count}`),
    element("td", { class: "wide" }, element("bdi", { class: "words" }, one.body)), element("td", {}, size(one.size)));
  return [counts, element("table", { class: "grid" },
    element("thead", {}, element("tr", {}, ...["State", "Sent", "Received", "Body", "Size"].map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...messages.map(row)))];
}
