// What is on the queue now: not delivered yet. Looking receives nothing and changes no receive count.

import { ask } from "../core/api.js";
import { clock } from "../core/clock.js";
import { element } from "../core/dom.js";
import { number, size } from "../core/format.js";
import { repeat } from "../core/repeat.js";

const POLL_MS = 2000;
const COLUMNS = ["State", "Sent", "Received", "Body", "Size"];

export function open(place) {
  const list = element("div", {});
  place.replaceChildren(
    element("h2", {}, "Waiting in the queue"),
    element(
      "p",
      { class: "note" },
      "Not delivered yet. Looking changes nothing: no message is received, and no receive count increases.",
    ),
    list,
  );
  const polling = repeat(draw, () => POLL_MS);
  return polling.stop;

  async function draw() {
    try {
      list.replaceChildren(...describe(await ask("api/waiting")));
    } catch (error) {
      list.replaceChildren(element("p", { class: "problem" }, error.message));
    }
  }
}

function describe({ queue, messages, reason }) {
  const { name, visible, in_flight: inFlight, delayed } = queue;
  const counts = element(
    "p",
    { class: "counts" },
    element("b", {}, name),
    ` ${number(visible)} visible · ${number(inFlight)} in flight · ${number(delayed)} delayed`,
  );
  const note = (text) => [counts, element("p", { class: "note" }, text)];
  if (!messages) return note(`Only the counts are available: ${reason}.`);
  if (!messages.length) return note("The queue is empty.");
  const headings = COLUMNS.map((column) => element("th", { scope: "col" }, column));
  return [
    counts,
    element(
      "table",
      { class: "grid" },
      element("thead", {}, element("tr", {}, ...headings)),
      element("tbody", {}, ...messages.map(row)),
    ),
  ];
}

function row(message) {
  const cells = [
    element("span", { class: "mark", "data-state": message.state }, message.state),
    message.sent_at ? clock(message.sent_at) : "",
    `×${message.receive_count}`,
    element("bdi", { class: "ellipsis" }, message.body),
    size(message.size),
  ];
  return element("tr", {}, ...cells.map((content) => element("td", {}, content)));
}
