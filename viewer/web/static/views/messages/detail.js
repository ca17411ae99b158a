// One message beside the list: its title and facts, and the pane that shows it. It is read again every few
// seconds, because its timeline goes on.

import { ask, canWrite } from "../../core/api.js";
import { deleteMessage } from "../../core/deleting.js";
import { copy } from "../../core/clipboard.js";
import { localTime } from "../../core/clock.js";
import { STATUS_LABELS, number, size, visible } from "../../core/format.js";
import { dataOf, parse } from "../../core/json.js";
import { repeat } from "../../core/repeat.js";
import { address, go, onChange, state } from "../../core/state.js";
import { html, nothing, render } from "../../core/view.js";
import { attributesPane } from "../../panes/attributes.js";
import { conflictLinks, copyLinks, link } from "../../panes/copy_links.js";
import { dataPane } from "../../panes/data.js";
import { destinationsPane } from "../../panes/destinations.js";
import { rawPane } from "../../panes/raw.js";
import { timelinePane } from "../../panes/timeline.js";
import { searchButton, valueActions } from "../../panes/value_actions.js";
import { compareMenu, comparison, fetchOther, isComparing } from "./compare.js";
import { bar as findBar, isFinding, openFind, page as foundPage, searchIn, startFind } from "./find.js";

const POLL_MS = 3000;
const LARGE_POLL_MS = 15_000; // of more than a hundred kilobytes
const LARGE = 100_000;
const COMMANDS = ["aws sns publish", "curl", "Python"]; // see COPY_AS
const PANES = {
  data: "Data",
  attributes: "Attributes",
  timeline: "Timeline",
  destinations: "Destinations",
  raw: "Raw",
};
const MAX_PARSED = 10_000; // characters, for a title
const TITLE_NAMES = 5;
const SEARCHABLE_PANES = ["data", "raw"]; // others are not searched

const place = document.getElementById("detail");

let shown = null; // the message
let problem = null; // why it is not: {seq, reason}
let loading = null;
let picked = null; // the value that the reader chose: {value, path, exact}
let all = false; // of a long message
let actions = {}; // by name: what main.js does with the message

// The message that is shown, if any.
export const current = () => (place.hidden ? null : shown);

export async function show(seq) {
  place.hidden = !seq;
  loading?.abort();
  if (!seq || seq === String(shown?.seq)) return;
  loading = new AbortController();
  const { signal } = loading;
  try {
    const message = await ask(`api/messages/${seq}`, { signal });
    if (!signal.aborted) introduce(message);
  } catch (error) {
    if (!signal.aborted) introduce(null, { seq, reason: error.message });
  }
}

function introduce(message, why = null) {
  shown = message;
  problem = why;
  all = false;
  draw();
  showFromTop();
}

async function refresh() {
  const message = current();
  if (!message || document.body.dataset.tab !== "messages") return;
  const now = await ask(`api/messages/${message.seq}`).catch(() => null); // it may have been deleted
  if (!now || current() !== message) return;
  shown = now;
  draw();
}

// ---- drawing

const chosenPane = () => (Object.hasOwn(PANES, state.pane) ? state.pane : "data");

function showFromTop() {
  picked = null;
  const content = place.querySelector(".content");
  if (content) content.scrollTop = 0;
  draw();
}

function draw() {
  if (shown) searchIn(SEARCHABLE_PANES.includes(chosenPane()) ? shown.body : null, chosenPane() === "raw");
  render(shown ? whole(shown) : unavailable(), place);
}

const unavailable = () => (problem ? unread(problem) : nothing);

const unread = ({ seq, reason }) =>
  html`<header>${closeButton()}
    <h2>Message ${seq}</h2></header>
  <p class="note">${reason}</p>`;

const closeButton = () =>
  html`<button id="close" class="tool" title="back (Esc)" aria-label="back to the list" @click=${() => go({ m: "" })}>
    ←
  </button>`;

function whole(message) {
  return html`<header>
      ${closeButton()}
      <h2 dir="auto">${visible(titleOf(message))}</h2>
      <span class="tools">${tools(message)}</span>
    </header>
    <p class="facts">
      ${statusOf(message)}
      ${searchButton("type", message.type)} ${searchButton("source", message.source)} ${wayOf(message)}
      ${localTime(message.time)} <span>${size(message.size)}</span> ${copyLinks(message)} ${conflictLinks(message)}
    </p>
    ${isComparing() ? html`<div class="content" tabindex="0">${comparison(message)}</div>` : panes(message)}`;
}

const panes = (message) =>
  html`<div role="tablist" aria-label="Parts of the message" @keydown=${moveTab}>${Object.entries(PANES).map(tab)}</div>
    ${findBar}
    <div id="content" class="content" role="tabpanel" tabindex="0" aria-labelledby="pane-${chosenPane()}">
      ${isFinding() ? foundPage : pane(message)}
    </div>
    ${picked ? valueActions(picked) : nothing}`;

const isTitle = (subject, preview) => subject && preview.startsWith(`${subject} · `);

// In words: of JSON without any, what it is made of.
function titleOf({ preview, subject, body }) {
  if (isTitle(subject, preview)) return subject;
  if (!/^[{[]/.test(preview)) return preview || "(empty)";
  const data = dataOf(parse(body.slice(0, MAX_PARSED), body.length > MAX_PARSED));
  if (!data?.children) return preview;
  if (data.kind === "[") return `${number(data.children.length)} items`;
  const names = data.children.slice(0, TITLE_NAMES).map(({ key }) => key);
  return names.join(" · ") + (data.children.length > TITLE_NAMES ? " · …" : "");
}

// The topic and the queue it came through, and its subject unless that is the title.
const wayOf = ({ topic, queue, subject, preview }) =>
  html`<span class="way">
      ${topic ? html`${searchButton("topic", topic)} → ` : nothing}${searchButton("queue", queue)}
    </span>
    ${subject && !isTitle(subject, preview) ? searchButton("subject", subject) : nothing}`;

// What became of it, which leads to its dead letter if it is one.
function statusOf({ status, tries, outcomes }) {
  const label = STATUS_LABELS[status];
  if (!label) return nothing;
  const text = tries > 1 ? `${label} after ${tries} tries` : label;
  const dead = outcomes.findLast(({ dead_at: deadAt, lost_at: lostAt }) => deadAt || lostAt);
  const isDead = ["dead", "lost"].includes(status) && dead;
  return html`<span class="status" data-status=${status}>
    ${isDead ? link({ tab: "dead", m: "", letter: dead.message_id }, text) : text}
  </span>`;
}

const tools = (message) => [
  tool("find", "find in the message (f)", find),
  tool("copy", "copy the message (y)", () => copy(message.body)),
  tool("link", "copy a link (l)", copyLink),
  copyAs(message),
  compareMenu(message),
  ...(canWrite
    ? [
        resendTool(message),
        tool("edit", "publish an edited copy", () => actions.edit(message)),
        tool("delete", "delete from the store", () => deleteMessage(message)),
      ]
    : []),
];

// Choices are [name, what it does, click].
const menu = (label, choices) =>
  html`<details class="menu">
    <summary>${label}</summary>
    <div class="options">
      ${choices.map(([name, about, act]) => {
        const click = (event) => {
          event.target.closest("details").open = false;
          act();
        };
        return html`<p class="choice">
          <button type="button" class=${about ? "explained" : ""} @click=${click}>
            ${name}${about ? html`<small>${about}</small>` : nothing}
          </button>
        </p>`;
      })}
    </div>
  </details>`;

// Loaded a moment after the page.
export const loadCommands = () => import("../../core/copy_as.js");

const copyAs = (message) =>
  menu(
    "copy as",
    COMMANDS.map((name) => [name, "", async () => copy((await loadCommands()).COPY_AS[name](message))]),
  );

// Of an event, a copy may be another event or the same one.
function resendTool(message) {
  const send = (identity) => () => actions.resend(message, identity);
  if (message.is_event)
    return menu("resend", [
      ["as a new event", "new id and time; names this one as its original", send("new")],
      ["exactly as it was", "same id: consumers take it as another delivery", send("same")],
    ]);
  const becomes = message.has_own_id
    ? "its id is in it, so consumers take it as another delivery"
    : "a message of its own";
  const isGroupKnown = !message.topic?.endsWith(".fifo") || message.group_id;
  const group = isGroupKnown ? "" : "; its group is not known, so it goes to the group fanout";
  return tool("resend", `publish it again, exactly as it was: ${becomes}${group}`, send("same"));
}

const tool = (name, title, click) =>
  html`<button id=${name} class="plain" title=${title} @click=${click}>${name}</button>`;

function tab([name, label]) {
  const chosen = name === chosenPane();
  return html`<button
    role="tab"
    id="pane-${name}"
    aria-controls="content"
    aria-selected=${chosen}
    tabindex=${chosen ? 0 : -1}
    @click=${() => go({ pane: name })}
  >
    ${label}
  </button>`;
}

function pane(message) {
  switch (chosenPane()) {
    case "attributes":
      return attributesPane(message);
    case "timeline":
      return timelinePane(message);
    case "destinations":
      return destinationsPane(message, draw);
    case "raw":
      return rawPane(message);
    default:
      return dataPane(message, { pick, all, showAll });
  }
}

function pick(value, path, exact) {
  picked = { value, path, exact };
  draw();
}

function showAll() {
  all = true;
  draw();
}

// ---- what the reader does

function moveTab(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tabs = [...place.querySelectorAll("[role=tab]")];
  const next = tabs.at((tabs.indexOf(event.target) + step) % tabs.length);
  next.click();
  next.focus();
}

export function find() {
  if (!current()) return;
  if (!SEARCHABLE_PANES.includes(chosenPane())) go({ pane: "data" });
  openFind();
}

export const copyLink = () => copy(new URL(address(), location.href).href);

// `given` are what the buttons do: {resend(message, identity), edit(message)}.
export function startDetail(given) {
  actions = given;
  place.replaceChildren(); // what readers without scripts see
  startFind(draw);
  fetchOther(draw);
  onChange((now, before) => {
    if (now.pane !== before.pane) showFromTop();
    if (now.with !== before.with) {
      draw();
      fetchOther(draw);
    }
  });
  repeat(refresh, () => (shown?.size > LARGE ? LARGE_POLL_MS : POLL_MS), { atOnce: false });
}
