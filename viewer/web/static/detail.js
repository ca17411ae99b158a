// One message: what is known of it, and the pane that shows it. The panes are in data.js and panes.js.

import { ask, element, localize, size, styled } from "./words.js";
import { go, onChange, state } from "./state.js";

const pane = document.getElementById("detail");
const title = pane.querySelector("h2");
const facts = pane.querySelector(".facts");
export const content = pane.querySelector(".content");
export const picked = pane.querySelector(".picked");
const tabs = pane.querySelector("[role=tablist]");

export let shown = null;
let loading = null;
const panes = {};
let drawn = () => {};

export const current = () => (pane.hidden ? null : shown);

// `listener` is called whenever the content has been drawn anew.
export const onDraw = (listener) => { drawn = listener; };

export async function show(seq) {
  pane.hidden = !seq;
  loading?.abort();
  if (!seq || seq === String(shown?.seq)) return;
  loading = new AbortController();
  const { signal } = loading;
  try {
    const [message] = await Promise.all([ask(`api/messages/${seq}`, { signal }), prepare()]);
    await prepare(); // the pane may be another by now
    if (!signal.aborted) introduce(message);
  } catch (error) {
    if (signal.aborted) return;
    shown = null;
    title.textContent = `Message ${seq}`;
    facts.replaceChildren();
    explain(error);
  }
}

function introduce(message) {
  shown = message;
  title.textContent = message.preview || "(empty)";
  const time = element("time", { datetime: message.time });
  localize(time);
  facts.replaceChildren(fact("type", message.type), fact("source", message.source), time, size(message.size));
  draw();
  if (message.copy_of || message.copies.length) linkCopies(message).catch(() => {});
}

async function linkCopies(message) {
  const { copyLinks } = await import("./copies.js");
  if (message === shown) facts.append(...copyLinks(message));
}

// A value that can be searched for.
export function fact(name, value) {
  return element("button", { class: "plain", title: `search ${name}:${value}`, click: () => addToSearch(name, value) }, value);
}

export function addToSearch(name, value, exclude = false) {
  const condition = `${exclude ? "-" : ""}${name}:${/[\s"]|\*$/.test(value) ? JSON.stringify(value) : value}`;
  const words = state.q.split(" ").filter((word) => word && word !== condition);
  go({ q: [...words, condition].join(" "), tab: "messages" });
}

export function draw() {
  const drawPane = panes[chosen()];
  picked.hidden = true;
  if (!shown || !drawPane) return;
  content.replaceChildren(...drawPane(shown));
  content.scrollTop = 0;
  drawn();
}

const explain = (error) => content.replaceChildren(element("p", { class: "note" }, error.message));

// ---- the panes

const OTHERS = ["attributes", "timeline", "raw"];
const fetchOthers = () => Promise.all([import("./panes.js"), styled()]);
const chosen = () => (OTHERS.includes(state.pane) ? state.pane : "data");

// A pane is fetched when it is first looked at; those beside the data come as one. Until it is there, what is shown
// stays as it is, so that no message stands there empty or with another's pane.
export async function prepare() {
  while (!panes[chosen()]) {
    const [module] = chosen() === "data" ? [await import("./data.js")] : await fetchOthers();
    Object.assign(panes, module.PANES);
  }
}

function mark() {
  for (const tab of tabs.children) {
    tab.ariaSelected = tab.dataset.pane === chosen();
    tab.tabIndex = tab.dataset.pane === chosen() ? 0 : -1;
  }
  content.setAttribute("aria-labelledby", `pane-${chosen()}`);
}

tabs.addEventListener("click", ({ target }) => {
  if (target.dataset.pane) go({ pane: target.dataset.pane });
});
tabs.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const next = [...tabs.children].at(([...tabs.children].indexOf(event.target) + step) % tabs.childElementCount);
  go({ pane: next.dataset.pane });
  next.focus();
});
for (const reach of ["pointerover", "focusin"]) tabs.addEventListener(reach, () => fetchOthers().catch(() => {}));
onChange((now, before) => {
  if (now.pane === before.pane) return;
  mark();
  const unlessLeft = (what) => (value) => { if (now.pane === state.pane) what(value); };
  prepare().then(unlessLeft(draw), unlessLeft(explain));
});
mark();

// ---- copying

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
