// The tabs beside the messages. Each is a module of its own, fetched when it is first opened: it exports
// `open(sheet)`, which draws and returns what ends it.

import { element, styled } from "./words.js";
import { address, go, onChange, state } from "./state.js";

const MODULES = {
  dead: () => import("./dead.js"),
  waiting: () => import("./waiting.js"),
  metrics: () => import("./metrics.js"),
  publish: () => import("./publish.js"),
};
if (document.body.hasAttribute("data-read-only")) delete MODULES.publish;
const sheet = document.getElementById("sheet");
let leave = null;

async function open() {
  leave?.();
  leave = null;
  const { tab } = state;
  const load = MODULES[tab];
  for (const link of document.querySelectorAll("#tabs a")) {
    link.href = address({ tab: link.dataset.tab, m: "" });
    link.ariaCurrent = link.dataset.tab === tab ? "page" : null;
  }
  document.body.dataset.tab = load ? tab : "messages";
  sheet.hidden = !load;
  sheet.replaceChildren();
  if (!load) return;
  try {
    const [module] = await Promise.all([load(), styled()]);
    if (state.tab === tab) leave = module.open(sheet) ?? null;
  } catch (error) {
    sheet.replaceChildren(element("p", { class: "problem" }, error.message));
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-tab]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go({ tab: link.dataset.tab, m: "" });
});
onChange((now, before) => { if (now.tab !== before.tab) open(); });
open();
