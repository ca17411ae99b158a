// The panes of a message beside its data: attributes, timeline, raw.

import { clock, duration, element, number, shape, size } from "./words.js";
import { decode, parse } from "./json.js";
import { LARGEST_SHOWN, hexButton } from "./data.js";
import { copy, fact } from "./detail.js";

// ---- attributes

function drawAttributes(message) {
  const own = [["id", message.id], ["source", message.source], ["type", message.type], ["time", message.time]];
  const root = parse(message.body.slice(0, LARGEST_SHOWN), message.body.length > LARGEST_SHOWN);
  const event = root?.children?.some((node) => node.key === "specversion") ? root.children : [];
  const more = event.filter((node) => node.text && !["id", "source", "type", "time", "data"].includes(node.key));
  return [
    element("h3", {}, "Message"),
    table([...own, ...more.map((node) => [node.key, node.kind === "string" ? decode(node.text) : node.text])], (name) => (name === "time" ? null : name), own.length - 1),
    element("h3", {}, "SNS attributes"),
    Object.keys(message.attributes).length
      ? table(Object.entries(message.attributes), (name) => `attr.${name}`)
      : element("p", { class: "note" }, "none"),
  ];
}

function table(entries, searchName, searchable = entries.length) {
  const row = ([name, value], at) => element("tr", {}, element("th", { scope: "row" }, name),
    element("td", {}, at < searchable ? fact(searchName(name), value) : element("bdi", {}, value)));
  return element("table", { class: "pairs" }, element("tbody", {}, ...entries.map(row)));
}

// ---- timeline

function steps(message) {
  const found = [];
  const step = (name, time, note, bad = false) => { if (time) found.push({ name, time, note, bad, at: Date.parse(time) }); };
  const known = new Set();
  for (const one of message.deliveries) {
    if (!known.has(one.message_id)) step("on the queue", one.sent_at, `as SQS message ${one.message_id}`);
    step(one.receive_count > 1 ? `received, try ${one.receive_count}` : "received", one.received_at,
      one.duplicate ? "a duplicate, which changes nothing" : "by the consumer");
    step("stored", one.stored_at, `as number ${number(message.seq)}`);
    step("failed", one.failed_at, `${one.error_type}: ${one.error}`, true);
    known.add(one.message_id);
  }
  for (const one of message.outcomes) {
    step("dead", one.dead_at, "no try is left: in the dead-letter queue", true);
    step("sent back", one.redriven_at, "from the dead-letter queue to the queue");
    step("handled", one.resolved_at, "at last, without failing");
  }
  found.sort((one, other) => (one.time > other.time) - (one.time < other.time)); // as text: microseconds count
  const { time } = message;
  return [{ name: "published", time, note: "by the clock of whoever published it", at: Date.parse(time) }, ...found];
}

function drawTimeline(message) {
  const all = steps(message);
  const items = all.map((step, at) => {
    const gap = at ? (step.at - all[at - 1].at) / 1000 : null;
    return element("li", { class: step.bad ? "bad" : null }, element("b", {}, step.name), element("span", { class: "gap" }, duration(gap, "+")),
      element("time", { datetime: step.time }, clock(step.time, true)), element("small", {}, step.note));
  });
  return [timelineBar(all), element("ol", { class: "steps" }, ...items),
    element("p", { class: "note" }, `${duration(message.latency_seconds)} from published to stored. `
      + (message.since_previous_seconds === null ? "The first message stored." : `${duration(message.since_previous_seconds, "+")} after the message before it.`))];
}

function timelineBar(all) {
  const start = Math.min(...all.map((step) => step.at));
  const span = Math.max(...all.map((step) => step.at)) - start || 1;
  const place = (step) => 1 + 98 * (step.at - start) / span;
  const bar = shape("svg", { class: "bar-line", viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "img", "aria-label": "timeline" });
  all.slice(1).forEach((step, at) => {
    const from = place(all[at]);
    bar.append(shape("rect", { class: `part${at % 3}`, x: Math.min(from, place(step)), width: Math.abs(place(step) - from) || 0.4, y: 1, height: 6 }));
  });
  return bar;
}

// ---- raw

function drawRaw(message) {
  const text = message.body.slice(0, LARGEST_SHOWN);
  const cut = text.length < message.body.length;
  return [
    element("p", { class: "note" }, `${size(message.size)} as published${cut ? "; this is the beginning" : ""} · `,
      element("button", { class: "plain", click: () => copy(message.body) }, "copy"), " · ",
      element("a", { href: `api/messages/${message.seq}/body`, download: "" }, "download")),
    element("pre", {}, element("bdi", {}, text)),
    hexButton(message.body),
  ];
}

export const PANES = { attributes: drawAttributes, timeline: drawTimeline, raw: drawRaw };
