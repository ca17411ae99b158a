// One message, whole: data, attributes, timeline, raw.

import { ask, clock, duration, element, localize, number, shape, size } from "./words.js";
import { go, onChange, state } from "./state.js";
import { decode, drawJson, indented, parse } from "./json.js";

const LARGEST_SHOWN = 256 * 1024; // characters, until more is asked for
const HEX_BYTES = 4096;

const pane = document.getElementById("detail");
const title = pane.querySelector("h2");
const facts = pane.querySelector(".facts");
export const content = pane.querySelector(".content");
const picked = pane.querySelector(".picked");

let shown = null;
let loading = null;

let drawn = () => {};

export const current = () => (pane.hidden ? null : shown);

// `listener` is called whenever the content has been drawn anew.
export const onDraw = (listener) => { drawn = listener; };

export async function show(seq) {
  pane.hidden = !seq;
  if (!seq || seq === String(shown?.seq)) return;
  loading?.abort();
  loading = new AbortController();
  try {
    shown = await ask(`api/messages/${seq}`, { signal: loading.signal });
  } catch (error) {
    if (loading.signal.aborted) return;
    shown = null;
    title.textContent = `Message ${seq}`;
    facts.replaceChildren();
    content.replaceChildren(element("p", { class: "note" }, error.message));
    return;
  }
  title.textContent = shown.preview || "(empty)";
  const time = element("time", { datetime: shown.time });
  localize(time);
  facts.replaceChildren(fact("type", shown.type), fact("source", shown.source), time, size(shown.size));
  draw();
  if (shown.copy_of || shown.copies.length) await linkCopies(shown);
}

async function linkCopies(message) {
  const { copyLinks } = await import("./copies.js");
  if (message === shown) facts.append(...copyLinks(message));
}

// A value that can be searched for.
function fact(name, value) {
  return element("button", { class: "plain", title: `search ${name}:${value}`, click: () => addToSearch(name, value) }, value);
}

export function addToSearch(name, value, exclude = false) {
  const condition = `${exclude ? "-" : ""}${name}:${/[\s"]|\*$/.test(value) ? JSON.stringify(value) : value}`;
  const words = state.q.split(" ").filter((word) => word && word !== condition);
  go({ q: [...words, condition].join(" "), tab: "messages" });
}

export function draw() {
  for (const tab of pane.querySelectorAll("[role=tab]")) {
    tab.setAttribute("aria-selected", tab.dataset.pane === state.pane);
    tab.tabIndex = tab.dataset.pane === state.pane ? 0 : -1;
  }
  picked.hidden = true;
  content.setAttribute("aria-labelledby", `pane-${state.pane}`);
  if (shown) content.replaceChildren(...(PANES[state.pane] ?? PANES.data)(shown));
  content.scrollTop = 0;
  if (shown) drawn();
}

// ---- data

function drawData(message, all = false) {
  const cut = !all && message.body.length > LARGEST_SHOWN;
  const text = cut ? message.body.slice(0, LARGEST_SHOWN) : message.body;
  const root = parse(text, cut);
  const parts = [];
  if (cut) {
    parts.push(element("p", { class: "note" }, `${size(message.size)}; this is the beginning. `,
      element("button", { class: "plain", click: () => content.replaceChildren(...drawData(message, true)) }, "show all"),
      " · ", element("a", { href: `api/messages/${message.seq}/body`, download: "" }, "download")));
  }
  if (!root) return [...parts, element("pre", {}, element("bdi", {}, text)), hexButton(message.body)];
  const data = dataOf(root);
  if (!data) return [...parts, element("p", { class: "note" }, "This event carries no data.")];
  if (data.kind === "string") return [...parts, element("pre", {}, element("bdi", {}, decode(data.text)))];
  return [...parts, element("div", { class: "json" }, drawJson(Object.assign(data, { count: root.count }), "data", pick))];
}

function dataOf(root) {
  const event = root.children?.some((node) => node.key === "specversion");
  return event ? root.children.find((node) => node.key === "data") : root;
}

// The message as text to be searched: its data, or all of it where that is looked at.
export function searchable() {
  const { body } = shown;
  const root = state.pane === "raw" ? null : parse(body);
  const data = root && dataOf(root);
  if (!data) return root ? "" : body;
  return data.kind === "string" ? decode(data.text) : indented(body.slice(data.start, data.end));
}

function pick(value, path) {
  const name = path === "data" ? null : path;
  picked.hidden = false;
  picked.replaceChildren(element("code", {}, path),
    element("button", { class: "plain", click: () => copy(value) }, "copy value"),
    element("button", { class: "plain", click: () => copy(path) }, "copy path"),
    ...(name ? [element("button", { class: "plain", click: () => addToSearch(name, value) }, "search for it")] : []));
}

function hexButton(text) {
  const button = element("button", { class: "plain", click: () => button.replaceWith(element("pre", { class: "hex" }, hex(text))) }, "as hex");
  return button;
}

function hex(text) {
  const bytes = new TextEncoder().encode(text).slice(0, HEX_BYTES);
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.slice(at, at + 16)];
    const codes = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(47);
    const signs = part.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${codes}  ${signs}`);
  }
  return lines.join("\n");
}

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

const PANES = { data: drawData, attributes: drawAttributes, timeline: drawTimeline, raw: drawRaw };

// ---- copying and moving between panes

const said = document.getElementById("said");

export function say(text) {
  said.textContent = text;
  said.hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { said.hidden = true; }, 2500);
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https, or without leave: the old way.
    const area = element("textarea", { class: "hidden" }, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("copied");
}

pane.querySelector("[role=tablist]").addEventListener("click", ({ target }) => {
  if (target.dataset.pane) go({ pane: target.dataset.pane });
});
pane.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const names = Object.keys(PANES);
  const next = names[(names.indexOf(state.pane) + step + names.length) % names.length];
  go({ pane: next });
  pane.querySelector(`[data-pane=${next}]`).focus();
});
onChange((now, before) => { if (now.pane !== before.pane) draw(); });
