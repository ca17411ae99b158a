// Searches that the reader keeps, and files of what they find.

import { element, shape } from "./words.js";
import { go, state } from "./state.js";
import { say } from "./detail.js";

const menu = document.getElementById("more");
const save = document.getElementById("save");
const list = document.getElementById("saved");

const BELL = "M2 9h8l-1-1.6V5a3 3 0 0 0-6 0v2.4zM4.6 10a1.4 1.4 0 0 0 2.8 0z";

const kept = (name) => JSON.parse(localStorage.getItem(name) ?? "[]");

function keep(name, searches) {
  localStorage.setItem(name, JSON.stringify(searches));
  fill();
}

const without = (name, q) => kept(name).filter((one) => one !== q);

function forget(q) {
  keep("notified", without("notified", q));
  keep("searches", without("searches", q));
}

async function notify(q) {
  if (kept("notified").includes(q)) return keep("notified", without("notified", q));
  const { askPermission, watch } = await import("./notify.js");
  try {
    await askPermission();
    keep("notified", [...kept("notified"), q]);
    watch(() => kept("notified"));
    say("notifies while you look elsewhere");
  } catch (error) {
    say(error.message);
  }
}

export function fill() {
  for (const link of menu.querySelectorAll("a")) link.search = new URLSearchParams({ q: state.q });
  save.disabled = !state.q || kept("searches").includes(state.q);
  list.replaceChildren(...kept("searches").map((q) => element("p", { class: "choice" },
    element("button", { type: "button", class: "words", click: () => go({ q, m: "" }) }, q),
    element("button", { type: "button", class: "exclude", "aria-pressed": String(kept("notified").includes(q)), "aria-label": `notify of ${q}`,
      title: "notify of what it finds while you look elsewhere", click: () => notify(q) }, shape("svg", { class: "bell", viewBox: "0 0 12 12" }, shape("path", { d: BELL }))),
    element("button", { type: "button", class: "exclude", "aria-label": `forget ${q}`, click: () => forget(q) }, "×"))));
}

save.addEventListener("click", () => keep("searches", [...kept("searches"), state.q]));

async function watchChosen() {
  if (kept("notified").length) (await import("./notify.js")).watch(() => kept("notified"));
}

addEventListener("storage", watchChosen);
watchChosen();
