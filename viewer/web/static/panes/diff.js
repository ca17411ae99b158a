// What differs between two messages: what they say of themselves, their attributes and their bodies.

import { localTime } from "../core/clock.js";
import { differences } from "../core/differences.js";
import { visible } from "../core/format.js";
import { guard, html, nothing } from "../core/view.js";
import { link } from "./copy_links.js";

const FACTS = ["type", "source", "id", "topic", "queue", "subject", "group_id"];
const MAX_SHOWN = 2000; // characters of a value
const MAX_BEFORE = 200; // of a long one, before what differs

// `older` and `newer` are whole messages.
export function diffPane(older, newer) {
  return guard([older.seq, newer.seq], () => {
    const facts = [
      ...FACTS.map((name) => [name, older[name], newer[name]]),
      ...attributesOf(older, newer),
    ].filter(([, old, now]) => old !== now);
    const found = older.body === newer.body ? null : differences(older.body, newer.body);
    return html`<div class="diff">
      <p class="note">${heading("−", older)} ${heading("+", newer)}</p>
      ${facts.length ? byPath(facts) : nothing}
      <h3>Body</h3>
      ${found ? body(found) : html`<p class="note">The bodies are the same.</p>`}
    </div>`;
  });
}

const heading = (sign, { seq, time }) =>
  html`<span class="side">${sign} ${link({ m: seq }, `message ${seq}`)}, ${localTime(time)}</span>`;

const rows = (label, old, now) =>
  [...new Set([...Object.keys(old), ...Object.keys(now)])].map((name) => [
    label + name,
    old[name],
    now[name],
  ]);

// Types only of those that both have.
const attributesOf = (older, newer) => [
  ...rows("attr.", older.attributes, newer.attributes),
  ...rows("type of attr.", older.attribute_types ?? {}, newer.attribute_types ?? {}).filter(
    ([, old, now]) => old && now,
  ),
];

function body({ paths, lines, cut }) {
  const none = html`<p class="note">Only spaces, or the order of members, differ.</p>`;
  return html`${cut ? html`<p class="note">Only the first differences are shown.</p>` : nothing}
  ${lines ? byLine(lines) : paths.length ? byPath(paths.map((one) => [one.path, one.old, one.new])) : none}`;
}

const shorten = (text) => (text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
// Of a long value, the part where it begins to differ from the other one.
function excerpt(text, other) {
  if (text.length <= MAX_SHOWN || !isThere(other)) return shorten(text);
  let same = 0;
  while (same < text.length && text[same] === other[same]) same += 1;
  const from = Math.max(0, same - MAX_BEFORE);
  return `${from ? "…" : ""}${shorten(text.slice(from))}`;
}

const isThere = (value) => value !== undefined && value !== null;

const byPath = (entries) =>
  html`<dl>
    ${entries.map(
      ([path, old, now]) =>
        html`<dt><code><bdi>${visible(shorten(path))}</bdi></code></dt>
          <dd>
            ${isThere(old) ? html`<del><bdi>${visible(excerpt(old, now))}</bdi></del>` : nothing}
            ${isThere(now) ? html`<ins><bdi>${visible(excerpt(now, old))}</bdi></ins>` : nothing}
          </dd>`,
    )}
  </dl>`;

const LINES = {
  "-": (text) => html`<del>${text}</del>`,
  "+": (text) => html`<ins>${text}</ins>`,
  " ": (text) => html`<span>${text}</span>`,
  "…": () => html`<span class="left-out">…</span>`,
};

const byLine = (lines) =>
  html`<pre>${lines.map(({ sign, text }) => LINES[sign](html`<bdi>${visible(shorten(text))}</bdi>`))}</pre>`;
