// The tabs. Messages stay in the page; each of the others is drawn when it is opened.

import { element, opensElsewhere } from "./dom.js";
import { address, go, onChange, state } from "./state.js";

const place = document.getElementById("view");
let views = {};
let leave = null;

function open() {
  leave?.();
  leave = null;
  const { tab } = state;
  const view = views[tab];
  for (const link of document.querySelectorAll("#tabs a")) {
    link.href = address({ tab: link.dataset.tab, m: "" });
    link.ariaCurrent = link.dataset.tab === tab ? "page" : null;
  }
  document.body.dataset.tab = view ? tab : "messages";
  place.hidden = !view;
  place.replaceChildren();
  if (!view) return;
  try {
    leave = view(place) ?? null;
  } catch (error) {
    place.replaceChildren(element("p", { class: "problem" }, error.message));
  }
}

// `known` maps the name of a tab to a function that draws its view into a place and returns what ends it.
export function startTabs(known) {
  views = known;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-tab]");
    if (!link || opensElsewhere(event)) return;
    event.preventDefault();
    go({ tab: link.dataset.tab, m: "" });
  });
  onChange((now, before) => {
    if (now.tab !== before.tab) open();
  });
  open();
}
