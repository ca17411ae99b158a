// Publishing by hand: a text or a whole CloudEvent, its attributes, one or many; and what was published lately.

import { ask, element, number, send } from "./words.js";
import { address, go } from "./state.js";
import { copyOf } from "./copies.js";
import { say } from "./detail.js";

const KEPT = 10;
const MOST = 1000;
const OURS = ["type", "source", "fanout-original-id"]; // attributes that the pipeline sets
const NUMBER = String.raw`-?(0|[1-9]\d*)(\.\d+)?([eE][+\-]?\d+)?|\{\{n\}\}`;

// A draft is {text, attributes: [{name, type, value}]}, type as SNS has it: String or Number.

const draftOf = (message) => ({
  text: copyOf(message),
  attributes: Object.entries(message.attributes).filter(([name]) => !OURS.includes(name))
    .map(([name, value]) => ({ name, type: "String", value })),
});

// Opens the tab with a copy of this message, to be changed before it is sent.
export function edit(message) {
  sessionStorage.setItem("draft", JSON.stringify(draftOf(message)));
  go({ tab: "publish", m: "" });
}

export async function resend(message) {
  await publish(draftOf(message), 1);
  say("published again, as a message of its own");
}

// {{n}} is the number of the copy, {{uuid}} and {{now}} are new in each.
function fill(text, n) {
  return text.replaceAll("{{n}}", n).replaceAll("{{uuid}}", () => globalThis.crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`)
    .replaceAll("{{now}}", () => new Date().toISOString());
}

function isEvent(text) {
  try {
    return Boolean(JSON.parse(text)?.specversion);
  } catch {
    return false;
  }
}

async function publish({ text, attributes }, n) {
  const filled = fill(text, n);
  // A CloudEvent goes as it is written, and so does a number: long integers stay whole.
  const message = isEvent(filled) ? filled : JSON.stringify({ text: filled });
  const members = attributes.map(({ name, type, value }) =>
    `${JSON.stringify(name)}:${type === "Number" ? fill(value, n) : JSON.stringify(fill(value, n))}`);
  await send("POST", "api/messages", members.length ? `{"message":${message},"attributes":{${members}}}` : message);
}

// ---- the tab

const lately = () => JSON.parse(localStorage.getItem("sent") ?? "[]");

export function open(sheet) {
  const text = element("textarea", { id: "publish-text", rows: 10, spellcheck: "false", required: true });
  const attributes = element("div", {});
  const times = element("input", { id: "publish-times", type: "number", min: 1, max: MOST, value: 1 });
  const button = element("button", {}, "Publish");
  const sent = element("div", {});
  const faults = element("div", {});
  const form = element("form", { class: "publish", submit, input: keep },
    element("label", { for: "publish-text" }, "A text, or a whole CloudEvent. {{n}} is the number of the copy; {{uuid}} and {{now}} are new in each."), text,
    attributes,
    element("p", { class: "actions" }, element("label", { for: "publish-times" }, "times"), times, button,
      element("button", { type: "button", class: "second", click: () => addAttribute() }, "Add an attribute"),
      element("button", { type: "button", class: "second", click: () => write({ ...draft(), text: example() }) }, "CloudEvent")));
  sheet.replaceChildren(element("h2", {}, "Publish"), form, faults, sent);

  function addAttribute({ name = "", type = "String", value = "" } = {}) {
    const field = (label, content) => element("input", { "aria-label": `attribute's ${label}`, placeholder: label, value: content, required: true });
    const row = element("p", { class: "attribute" }, field("name", name),
      element("select", { "aria-label": "attribute's type", change: check }, element("option", {}, "String"), element("option", {}, "Number")),
      field("value", value),
      element("button", { type: "button", class: "tool", "aria-label": "remove the attribute", click: () => { row.remove(); keep(); } }, "×"));
    row.children[1].value = type;
    attributes.append(row);
    check();
    row.firstChild.focus();

    function check() {
      row.children[2].pattern = row.children[1].value === "Number" ? NUMBER : ".*";
    }
  }

  function draft() {
    const rows = [...attributes.children].map((row) => [...row.children].map((field) => field.value));
    return { text: text.value, attributes: rows.map(([name, type, value]) => ({ name, type, value })) };
  }

  function write(one) {
    text.value = one.text;
    attributes.replaceChildren();
    one.attributes.forEach(addAttribute);
    text.focus();
    text.setSelectionRange(0, 0);
    keep();
  }

  function keep() {
    sessionStorage.setItem("draft", JSON.stringify(draft()));
  }

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    const count = Number(times.value);
    const now = draft();
    try {
      for (let n = 1; n <= count; n += 1) {
        if (count > 1) button.textContent = `${number(n)} of ${number(count)}`;
        await publish(now, n);
      }
      const others = lately().filter((one) => JSON.stringify(one) !== JSON.stringify(now));
      localStorage.setItem("sent", JSON.stringify([now, ...others].slice(0, KEPT)));
      say(`${number(count)} published`);
      drawLately();
    } catch (error) {
      say(`Not published: ${error.message}`);
    }
    button.textContent = "Publish";
    button.disabled = false;
  }

  function drawLately() {
    const items = lately().map((one) => element("li", {}, element("button", { class: "plain words", click: () => write(one) },
      one.text, ...one.attributes.map(({ name, value }) => element("small", {}, ` ${name} = ${value}`)))));
    sent.replaceChildren(...(items.length ? [element("h3", {}, "Published lately"), element("ul", { class: "lately" }, ...items)] : []));
  }

  drawLately();
  write(JSON.parse(sessionStorage.getItem("draft")) ?? { text: "Hello world", attributes: [] });
  drawFaults(faults).catch(() => {}); // the strip of stages says what is away
}

// Where consumers run with FAULTS: how many messages are to fail, to watch retries and dead letters.
async function drawFaults(place) {
  const { faults } = await ask("api/pipeline");
  if (!faults) return;
  const share = element("output", { for: "faults" });
  const slider = element("input", { id: "faults", type: "range", step: 5, value: Math.round(faults.fail * 100), input: show, change: choose });
  place.replaceChildren(element("h3", {}, "Failing on purpose"),
    element("p", { class: "actions" }, element("label", { for: "faults" }, "Let"), slider, share,
      element("span", {}, "of the messages fail, at every try: see ", element("a", { href: address({ tab: "dead" }), "data-tab": "dead" }, "dead letters"))));
  show();

  function show() {
    share.textContent = `${slider.value} %`;
  }

  async function choose() {
    try {
      await send("PUT", "api/faults", JSON.stringify({ fail: slider.value / 100 }));
      say(`${slider.value} % of the messages will fail`);
    } catch (error) {
      say(`Not changed: ${error.message}`);
    }
  }
}

const example = () => JSON.stringify({
  specversion: "1.0", id: "{{uuid}}", source: "/viewer", type: "example.order", time: "{{now}}",
  datacontenttype: "application/json", data: { text: "Order {{n}}", sku: "A-{{n}}", price: 12.5 },
}, null, 2);
