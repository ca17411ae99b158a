// Publishing by hand: a text or a whole CloudEvent, one or many, and what was published lately.

import { ask, element, number } from "./words.js";
import { go } from "./state.js";
import { parse } from "./json.js";
import { say } from "./detail.js";

const KEPT = 10;
const MOST = 1000;
const HISTORY = "published";
const DRAFT = "draft";

// Opens the tab with this text, to be changed before it is sent.
export function edit(text) {
  sessionStorage.setItem(DRAFT, text);
  go({ tab: "publish", m: "" });
}

export async function publish(text) {
  let document = null;
  try {
    const parsed = JSON.parse(text);
    // A CloudEvent goes as it is written: long integers stay whole.
    if (parsed?.specversion) document = text;
  } catch { /* a plain text */ }
  return ask("api/messages", { method: "POST", headers: { "Content-Type": "application/json" }, body: document ?? JSON.stringify({ text }) });
}

// The text of a copy of its own: a CloudEvent gets another id, as the store keeps one message of each, and says
// which it is a copy of. Cut and pasted as text, so that nothing else of it changes.
export function copyOf(body) {
  const fields = parse(body)?.children ?? [];
  const field = (name) => fields.find((node) => node.key === name);
  const id = field("id");
  if (!field("specversion") || !id?.text) return body;
  let text = `${body.slice(0, id.start)}"{{uuid}}","copyof":${id.text}${body.slice(id.end)}`;
  const [time, old] = [parse(text).children.find((node) => node.key === "time"), field("copyof")];
  if (old) return body.slice(0, id.start) + '"{{uuid}}"' + body.slice(id.end);
  if (time) text = `${text.slice(0, time.start)}"{{now}}"${text.slice(time.end)}`;
  return text;
}

// {{n}} is the number of the copy, {{uuid}} and {{now}} are new in each.
export function fill(text, n) {
  return text.replaceAll("{{n}}", n).replaceAll("{{uuid}}", () => globalThis.crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`)
    .replaceAll("{{now}}", () => new Date().toISOString());
}

const history = () => JSON.parse(localStorage.getItem(HISTORY) ?? "[]");

export function open(sheet) {
  const text = element("textarea", { id: "publish-text", rows: 12, spellcheck: "false", required: true });
  const times = element("input", { id: "publish-times", type: "number", min: 1, max: MOST, value: 1 });
  const button = element("button", {}, "Publish");
  const lately = element("div", {});
  text.value = sessionStorage.getItem(DRAFT) ?? "Hello world";
  text.addEventListener("input", () => sessionStorage.setItem(DRAFT, text.value));
  const form = element("form", { class: "publish", submit: send },
    element("label", { for: "publish-text" }, "A text, or a whole CloudEvent. {{n}} is the number of the copy; {{uuid}} and {{now}} are new in each."), text,
    element("p", { class: "actions" }, element("label", { for: "publish-times" }, "times"), times, button,
      element("button", { type: "button", class: "second", click: () => { text.value = example(); } }, "CloudEvent")));
  sheet.replaceChildren(element("h2", {}, "Publish"), form, lately);

  async function send(event) {
    event.preventDefault();
    button.disabled = true;
    const count = Number(times.value);
    try {
      for (let n = 1; n <= count; n += 1) {
        button.textContent = count > 1 ? `${number(n)} of ${number(count)}` : "Publish";
        await publish(fill(text.value, n));
      }
      localStorage.setItem(HISTORY, JSON.stringify([text.value, ...history().filter((one) => one !== text.value)].slice(0, KEPT)));
      say(`${number(count)} published`);
      drawHistory();
    } catch (error) {
      say(`Not published: ${error.message}`);
    }
    button.textContent = "Publish";
    button.disabled = false;
  }

  function drawHistory() {
    const items = history().map((one) => element("li", {}, element("button", { class: "plain words", click: () => { text.value = one; } }, one)));
    lately.replaceChildren(...(items.length ? [element("h3", {}, "Published lately"), element("ul", { class: "lately" }, ...items)] : []));
  }

  drawHistory();
  text.focus();
}

const example = () => JSON.stringify({
  specversion: "1.0", id: "{{uuid}}", source: "/viewer", type: "example.order", time: "{{now}}",
  datacontenttype: "application/json", data: { text: "Order {{n}}", sku: "A-{{n}}", price: 12.5 },
}, null, 2);
