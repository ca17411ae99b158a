// One message beside the list: its title and facts, and the pane that shows it.

import { ask } from "../../core/api.js";
import { localize } from "../../core/clock.js";
import { element } from "../../core/dom.js";
import { size } from "../../core/format.js";
import { go, onChange, state } from "../../core/state.js";
import { drawAttributes } from "../../panes/attributes.js";
import { conflictLinks, copyLinks } from "../../panes/copy_links.js";
import { drawData } from "../../panes/data.js";
import { drawRaw } from "../../panes/raw.js";
import { drawTimeline } from "../../panes/timeline.js";
import { searchButton, showValueActions } from "../../panes/value_actions.js";

const detail = document.getElementById("detail");
const title = detail.querySelector("h2");
const facts = detail.querySelector(".facts");
const valueActions = detail.querySelector(".value-actions");
const tabs = detail.querySelector("[role=tablist]");
export const content = detail.querySelector(".content");

const pick = (value, path) => showValueActions(valueActions, value, path);
const PANES = {
  data: (place, message) => drawData(place, message, pick),
  attributes: drawAttributes,
  timeline: drawTimeline,
  raw: drawRaw,
};

let shown = null;
let loading = null;
let afterDraw = () => {};

// The message that is shown, if any.
export const current = () => (detail.hidden ? null : shown);

// Calls `listener` whenever the pane has been drawn.
export function onDraw(listener) {
  afterDraw = listener;
}

export async function show(seq) {
  detail.hidden = !seq;
  loading?.abort();
  if (!seq || seq === String(shown?.seq)) return;
  loading = new AbortController();
  const { signal } = loading;
  try {
    const message = await ask(`api/messages/${seq}`, { signal });
    if (!signal.aborted) introduce(message);
  } catch (error) {
    if (!signal.aborted) showProblem(seq, error);
  }
}

function introduce(message) {
  shown = message;
  title.textContent = message.preview || "(empty)";
  const time = element("time", { datetime: message.time });
  localize(time);
  facts.replaceChildren(
    searchButton("type", message.type),
    searchButton("source", message.source),
    time,
    size(message.size),
    ...copyLinks(message),
    ...conflictLinks(message),
  );
  draw();
}

function showProblem(seq, error) {
  shown = null;
  title.textContent = `Message ${seq}`;
  facts.replaceChildren();
  content.replaceChildren(element("p", { class: "note" }, error.message));
}

// ---- the panes

const chosenPane = () => (Object.hasOwn(PANES, state.pane) ? state.pane : "data");

export function draw() {
  valueActions.hidden = true;
  if (!shown) return;
  PANES[chosenPane()](content, shown);
  content.scrollTop = 0;
  afterDraw();
}

function markTab() {
  const chosen = chosenPane();
  for (const tab of tabs.children) {
    tab.ariaSelected = tab.dataset.pane === chosen;
    tab.tabIndex = tab.dataset.pane === chosen ? 0 : -1;
  }
  content.setAttribute("aria-labelledby", `pane-${chosen}`);
}

function moveTab(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const all = [...tabs.children];
  const next = all.at((all.indexOf(event.target) + step) % all.length);
  go({ pane: next.dataset.pane });
  next.focus();
}

export function startDetail() {
  tabs.addEventListener("click", ({ target }) => {
    if (target.dataset.pane) go({ pane: target.dataset.pane });
  });
  tabs.addEventListener("keydown", moveTab);
  onChange((now, before) => {
    if (now.pane === before.pane) return;
    markTab();
    draw();
  });
  markTab();
}
