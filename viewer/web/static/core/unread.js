// New messages, announced to those who do not see the list: in the title and the icon while the page is
// hidden, and to screen readers, at most every ten seconds.

import { number } from "./format.js";

const ANNOUNCE_MS = 10_000;
const icon = document.getElementById("icon");
const announcer = document.getElementById("announcer");

let unread = 0;
let unannounced = 0;

export function countNew(count) {
  unannounced += count;
  if (!document.hidden) return;
  unread += count;
  show();
}

function show() {
  document.title = unread ? `(${number(unread)}) Fanout` : "Fanout";
  icon.href = icon.href.replace(/icon\w*\.svg/, unread ? "icon_unread.svg" : "icon.svg");
}

function announce() {
  if (unannounced) {
    announcer.textContent = `${number(unannounced)} new ${unannounced === 1 ? "message" : "messages"}`;
  }
  unannounced = 0;
}

export function startCounting() {
  setInterval(announce, ANNOUNCE_MS);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    unread = 0;
    show();
  });
}
