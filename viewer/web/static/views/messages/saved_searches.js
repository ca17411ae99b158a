// Searches that the reader has saved in this browser, of which some notify; and files of what a search finds.

import { element, shape } from "../../core/dom.js";
import { go, state } from "../../core/state.js";
import { toast } from "../../core/toast.js";

const BELL = "M2 9h8l-1-1.6V5a3 3 0 0 0-6 0v2.4zM4.6 10a1.4 1.4 0 0 0 2.8 0z";
const menu = document.getElementById("more");
const save = document.getElementById("save");
const list = document.getElementById("saved");

const stored = (name) => JSON.parse(localStorage.getItem(name) ?? "[]");
const without = (name, q) => stored(name).filter((one) => one !== q);

export const notifyingSearches = () => stored("notified");

// Given by main.js: asks whether notifications are allowed, and starts to watch.
let notifications = { askPermission: async () => {}, watch: () => {} };

function store(name, searches) {
  localStorage.setItem(name, JSON.stringify(searches));
  fillSaved();
}

function remove(q) {
  store("notified", without("notified", q));
  store("searches", without("searches", q));
}

async function toggleNotifying(q) {
  if (notifyingSearches().includes(q)) {
    store("notified", without("notified", q));
    return;
  }
  try {
    await notifications.askPermission();
    store("notified", [...notifyingSearches(), q]);
    notifications.watch();
    toast("Notifications on while this tab is in the background");
  } catch (error) {
    toast(error.message);
  }
}

export function fillSaved() {
  for (const link of menu.querySelectorAll("a[href^='api/messages.']"))
    link.search = new URLSearchParams({ q: state.q });
  save.disabled = !state.q || stored("searches").includes(state.q);
  list.replaceChildren(...stored("searches").map(choice));
}

function choice(q) {
  const bell = {
    type: "button",
    class: "exclude",
    "aria-pressed": String(notifyingSearches().includes(q)),
    "aria-label": `notify about ${q}`,
    title: "notify about new matches while this tab is in the background",
    click: () => toggleNotifying(q),
  };
  return element(
    "p",
    { class: "choice" },
    element("button", { type: "button", class: "ellipsis", click: () => go({ q, m: "" }) }, q),
    element(
      "button",
      bell,
      shape("svg", { class: "bell", viewBox: "0 0 12 12" }, shape("path", { d: BELL })),
    ),
    element(
      "button",
      { type: "button", class: "exclude", "aria-label": `delete ${q}`, click: () => remove(q) },
      "×",
    ),
  );
}

export function startSavedSearches(given) {
  notifications = given;
  save.addEventListener("click", () => store("searches", [...stored("searches"), state.q]));
  // Watches if a search notifies: chosen here before, or in another tab.
  const watch = () => {
    if (notifyingSearches().length) notifications.watch();
  };
  addEventListener("storage", watch);
  watch();
}
