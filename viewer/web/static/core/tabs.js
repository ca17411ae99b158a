// The tabs. Messages stay in the page; each of the others is a module with `open(place)`, which draws its view
// into the place and returns what ends it. These are loaded a moment after the page, so that they are there
// even if the viewer goes away.

import { opensElsewhere } from "./dom.js";
import { address, go, onChange, state } from "./state.js";
import { html, render } from "./view.js";

const LOAD_MS = 2000;

const place = document.getElementById("view");
let views = {};
let leave = null;

// What a link to a tab changes in the address.
const placeOf = ({ dataset: { tab, queue = "" } }) => ({ tab, queue, m: "" });

async function open() {
  leave?.();
  leave = null;
  const { tab } = state;
  const load = views[tab];
  for (const link of document.querySelectorAll("#tabs a")) {
    link.href = address(placeOf(link));
    link.ariaCurrent = link.dataset.tab === tab ? "page" : null;
  }
  document.body.dataset.tab = load ? tab : "messages";
  place.hidden = !load;
  const frame = document.createElement("div");
  place.replaceChildren(frame);
  if (!load) return;
  try {
    const view = await load();
    if (frame.isConnected) leave = view.open(frame) ?? null;
  } catch {
    render(html`<p class="problem">The viewer does not answer. ${again}</p>`, frame);
  }
}

// A module that could not be loaded is not asked for again by the same page.
const again = html`<button class="second" @click=${() => location.reload()}>Reload the page</button>`;

// `known` maps the name of a tab to a function that loads its module; `others` load more that is needed later.
export function startTabs(known, others = []) {
  views = known;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-tab]");
    if (!link || opensElsewhere(event)) return;
    event.preventDefault();
    go(placeOf(link));
  });
  onChange((now, before) => {
    if (now.tab !== before.tab) open();
  });
  open();
  const later = [...Object.values(views), ...others];
  setTimeout(() => Promise.allSettled(later.map((load) => load())), LOAD_MS);
}
