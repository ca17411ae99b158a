// How many messages the search finds: counted by the server every few seconds, and up with what arrives.

import { ask } from "../../core/api.js";
import { number } from "../../core/format.js";
import { repeat } from "../../core/repeat.js";
import { go, state } from "../../core/state.js";
import { html, nothing, render } from "../../core/view.js";

const POLL_MS = 5000;
const MAX_COUNTED = 10_000;
const place = document.getElementById("count");
const suggestionPlace = document.getElementById("suggestion");

let counted = null; // of which search, and how many: {q, count, exact, suggestion}
let polling = null;

async function poll() {
  const { q } = state;
  try {
    const found = await ask(`api/messages/count?${new URLSearchParams(q && { q })}`);
    if (q === state.q) counted = { q, ...found };
  } catch {
    counted = null; // the search box says what is wrong with it, the strip of stages what is away
  }
  draw();
}

// Counts what has arrived.
export function countArrived(count) {
  if (!counted || counted.q !== state.q) return;
  counted.count += count;
  counted.suggestion = null;
  if (counted.count > MAX_COUNTED) counted.exact = false;
  draw();
}

function draw() {
  if (!counted || counted.q !== state.q) {
    render(nothing, place);
    return;
  }
  const { q, count, exact, suggestion } = counted;
  const noun = q ? (count === 1 ? "match" : "matches") : count === 1 ? "message" : "messages";
  const known = exact ? number(count) : `more than ${number(MAX_COUNTED)}`;
  render(html`${known} <span class="long">${noun}</span>`, place);
  render(suggestion ? didYouMean(suggestion) : nothing, suggestionPlace);
}

const didYouMean = (q) =>
  html`Did you mean <button type="button" class="plain" @click=${() => go({ q, m: "" })}>${q}</button>?`;

export const countAgain = () => polling.now();

export function startCount() {
  polling = repeat(poll, () => POLL_MS);
}
