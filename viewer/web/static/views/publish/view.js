// Publishing by hand: a text or a whole CloudEvent, its attributes, one or many; and what was published last.

import { ask, send } from "../../core/api.js";
import { element } from "../../core/dom.js";
import {
  jsonProblem,
  preview,
  publish,
  readDraft,
  recentDrafts,
  storeDraft,
  storeRecent,
} from "../../core/drafts.js";
import { number } from "../../core/format.js";
import { repeat } from "../../core/repeat.js";
import { go } from "../../core/state.js";
import { toast } from "../../core/toast.js";
import { nothing, render } from "../../core/view.js";
import { destinationsList } from "../../panes/destinations.js";
import { drawFaults } from "./faults.js";
import { Target, line } from "./target.js";

const MAX_COPIES = 1000;
const ARRIVAL_MS = 15_000;
const OFFER_MS = 1000;
const NUMBER = String.raw`-?(0|[1-9]\d*)(\.\d+)?([eE][+\-]?\d+)?|\{\{n\}\}`;
const TYPES = ["String", "Number", "Binary", "String.Array"];
const PATTERNS = { Number: NUMBER, Binary: String.raw`[A-Za-z0-9+/]+={0,2}` };
const ABOUT_TEMPLATES = "{{n}} is the number of the copy; {{uuid}} and {{now}} are new in each.";
const ABOUT_COPY = "A copy: what you leave as it is, is sent exactly as it was, attributes and subject too. ";
const ABOUT_NEW_EVENT =
  "It gets a new id and time, and names its original. With the id that it had, consumers take it as another " +
  "delivery of the same message, or, if the body differs, as one in conflict with it.";
const EXAMPLE = {
  specversion: "1.0",
  id: "{{uuid}}",
  source: "/viewer",
  type: "example.order",
  time: "{{now}}",
  datacontenttype: "application/json",
  data: { text: "Order {{n}}", sku: "A-{{n}}", price: 12.5 },
};

const aboutCopy = ({ isNewEvent }) => ABOUT_COPY + (isNewEvent ? ABOUT_NEW_EVENT : "");

const second = (label, click) => element("button", { type: "button", class: "second", click }, label);

export function open(place) {
  const text = element("textarea", { id: "publish-text", rows: 10, spellcheck: "false", required: true });
  const attributes = element("div", {});
  const copies = element("input", {
    id: "publish-copies",
    type: "number",
    min: 1,
    max: MAX_COPIES,
    value: 1,
  });
  const button = element("button", {}, "Publish");
  const recent = element("div", {});
  const destinations = element("div", { role: "status" });
  const problem = element("p", { class: "problem", role: "status" });
  const exact = element("input", { id: "publish-exact", type: "checkbox", change: check });
  const exactLine = element(
    "p",
    {},
    exact,
    element("label", { for: "publish-exact" }, " Publish this text exactly as it is, not as a CloudEvent"),
  );
  const templates = element("span", {}, ABOUT_TEMPLATES);
  const subject = element("input", { id: "publish-subject", maxlength: 100 });
  const target = new Target();
  const title = element("h2", {});
  const about = element("p", { class: "note" });
  const subjectLine = line("publish-subject", "Subject (optional) ", subject);
  const faults = element("div", {});
  const whither = second("Where would it go?", showDestinations);
  const form = element(
    "form",
    { class: "publish", submit, input: keep },
    ...target.lines.slice(0, 1),
    element("label", { for: "publish-text" }, "A text or a whole CloudEvent. ", templates),
    text,
    problem,
    exactLine,
    ...target.lines.slice(1),
    subjectLine,
    attributes,
    element(
      "p",
      { class: "actions" },
      element("label", { for: "publish-copies" }, "Copies"),
      copies,
      button,
      whither,
      second("Add an attribute", () => addAttribute()),
      second("CloudEvent", () =>
        write({ ...draft(), isCopy: false, exact: false, text: JSON.stringify(EXAMPLE, null, 2) }),
      ),
    ),
  );
  let copied = {}; // what a draft has that nobody types
  place.replaceChildren(title, about, form, destinations, faults, recent);
  drawRecent();
  write(readDraft());
  drawFaults(faults).catch(() => {}); // the strip of stages shows what is away
  const offering = repeat(offerNames, () => OFFER_MS);
  return offering.stop;

  async function offerNames() {
    const known = await target.fetchNames(keep).catch(() => false); // a name can be typed
    if (known) offering.stop();
  }

  function addAttribute(attribute) {
    const row = attributeRow(attribute, keep);
    attributes.append(row);
    row.firstChild.focus();
  }

  function draft() {
    const rows = [...attributes.children].map((row) => [...row.children].map((field) => field.value));
    const values = rows.map(([name, type, value]) => ({ name, type, value }));
    const typed = { text: text.value, subject: subject.value, attributes: values };
    return { ...copied, ...typed, ...target.read(), exact: isExact() };
  }

  // Only the topic of the pipeline is known to take CloudEvents.
  function isExact() {
    return exact.checked || !target.isOwnTopic;
  }

  function write(one) {
    // A draft of an older page is a new event that says nothing of that.
    const { isCopy = false, isNewEvent = !one.exact, original, copyOf } = one;
    copied = isCopy ? { isCopy, isNewEvent, original, copyOf } : {};
    about.textContent = isCopy ? aboutCopy(copied) : "";
    exact.checked = isCopy || (one.exact ?? false);
    templates.hidden = isCopy;
    target.write(one);
    subject.value = one.subject ?? "";
    text.value = one.text;
    attributes.replaceChildren();
    for (const attribute of one.attributes) addAttribute(attribute);
    text.focus();
    text.setSelectionRange(0, 0);
    keep();
  }

  function keep() {
    storeDraft(draft());
    render(nothing, destinations); // they were of another draft
    check();
  }

  async function showDestinations() {
    const asked = JSON.stringify(draft());
    try {
      const question = { topic: target.name, ...preview(draft()) };
      const answer = await send("POST", "api/destinations", JSON.stringify(question));
      if (JSON.stringify(draft()) === asked) render(destinationsList(answer), destinations);
    } catch (error) {
      toast(`Not known: ${error.message}`);
    }
  }

  function check() {
    target.draw();
    title.textContent = target.name ? `Publish to ${target.name}` : "Publish";
    exactLine.hidden = Boolean(copied.isCopy) || !target.isOwnTopic;
    subjectLine.hidden = !isExact() || target.isQueue;
    whither.hidden = target.isQueue;
    const why = jsonProblem(text.value);
    problem.textContent = why && !isExact() ? `${why}. It will be sent as a text.` : why;
  }

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    try {
      await publishCopies(draft(), Number(copies.value));
    } catch (error) {
      toast(`Not published: ${error.message}`);
    }
    button.textContent = "Publish";
    button.disabled = false;
  }

  async function publishCopies(one, count) {
    const { cursor } = await ask("api/messages?after=now&limit=1");
    let isIt = null;
    for (let n = 1; n <= count; n += 1) {
      if (count > 1) button.textContent = `${number(n)} of ${number(count)}`;
      isIt = await publish(one, n);
    }
    storeRecent(one);
    const show = () => (one.queue ? go({ tab: "queues", queue: one.queue }) : showPublished(cursor, isIt));
    toast(`${number(count)} published`, { label: "show", act: show });
    drawRecent();
  }

  function drawRecent() {
    const items = recentDrafts().map((one) => {
      const values = one.attributes.map(({ name, value }) => element("small", {}, ` ${name} = ${value}`));
      const choice = { class: "plain ellipsis", click: () => write(one) };
      return element("li", {}, element("button", choice, one.text, ...values));
    });
    const list = [element("h3", {}, "Recently published"), element("ul", { class: "recent" }, ...items)];
    recent.replaceChildren(...(items.length ? list : []));
  }
}

// Goes to the message once it is stored; it may be on its way.
async function showPublished(cursor, isIt) {
  const until = Date.now() + ARRIVAL_MS;
  let after = cursor;
  while (Date.now() < until) {
    const found = await ask(`api/messages?after=${after}&wait=5&limit=100&include=data`);
    const message = found.messages.find(isIt);
    if (message) {
      go({ tab: "messages", q: "", m: message.seq });
      return;
    }
    after = found.cursor;
  }
  toast("It has not arrived yet.");
}

const field = (label, value) =>
  element("input", { "aria-label": `attribute ${label}`, placeholder: label, value, required: true });

// A row of fields for one attribute; calls `changed()` after it was removed.
function attributeRow({ name = "", type = "String", value = "" } = {}, changed) {
  const check = () => {
    content.pattern = PATTERNS[kind.value] ?? ".*";
    content.title = kind.value === "Binary" ? "in base64" : "";
  };
  const remove = () => {
    row.remove();
    changed();
  };
  const kind = element(
    "select",
    { "aria-label": "attribute type", change: check },
    ...TYPES.map((one) => element("option", {}, one)),
    ...(TYPES.includes(type) ? [] : [element("option", {}, type)]), // with a label, such as Number.int
  );
  const content = field("value", value);
  const button = { type: "button", class: "tool", "aria-label": "remove the attribute", click: remove };
  const row = element(
    "p",
    { class: "attribute" },
    field("name", name),
    kind,
    content,
    element("button", button, "×"),
  );
  kind.value = type;
  check();
  return row;
}
