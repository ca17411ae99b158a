// The whole at a glance: the figures beside the title, and the strip of stages from producer to store.

import { ask } from "../../core/api.js";
import { element, shape } from "../../core/dom.js";
import { duration, number } from "../../core/format.js";
import { repeat } from "../../core/repeat.js";
import { address } from "../../core/state.js";
import { outageIn, outageOf, showOutage } from "./outage.js";

const POLL_MS = 1500;
const TIMEOUT_MS = 3000;
const POINTS = 40;

const figures = document.getElementById("figures");
const flow = document.getElementById("flow");
const deadCount = document.getElementById("dead-count");
const broken = document.getElementById("broken");
const rates = [];

let tell = () => {};

async function poll() {
  let outage = null;
  try {
    const overview = await ask("api/pipeline", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    outage = outageIn(overview);
    draw(overview, outage);
  } catch (error) {
    outage = outageOf(error);
    flow.replaceChildren(stage(outage.what, "does not answer", "down", { reason: error.message }));
  }
  showOutage(outage);
  tell(outage);
}

function draw({ services, topic, queue, dead_letter_queue: dead, store, taps }, outage) {
  // What waits for something that is away is not to blame.
  const isCause = (name) => outage?.what === name || services[name]?.state !== "degraded" || !outage;
  const service = (name) => serviceStage(name, isCause(name) ? services[name] : { state: "waits" });

  drawFigures(store);
  const deadTotal = dead ? dead.visible + dead.in_flight + dead.delayed : 0;
  deadCount.textContent = deadTotal ? number(deadTotal) : "";
  flow.replaceChildren(
    ...(topic
      ? [service("producer"), stage(topic.name, "topic", topic.state, { reason: topic.reason })]
      : taps.map(watchedStage)),
    stage(queue.name, queue.reason ? queue.state : depth(queue), queue.state, {
      reason: queue.reason,
      place: { tab: "queues", queue: queue.name },
    }),
    service("consumer"),
    stage("stored", number(store.total), "up"),
    service("viewer"),
    ...[...(dead ? [deadStage(dead, deadTotal)] : []), ...(topic ? taps.map(watchedStage) : [])].map(aside),
  );
  drawBroken();
}

function drawFigures({ per_second: perSecond, p50, p99 }) {
  rates.push(perSecond);
  while (rates.length > POINTS) rates.shift();
  figures.replaceChildren(
    element("span", { title: "stored per second, over the last ten seconds" }, `${perSecond.toFixed(1)}/s`),
    spark(rates),
    element(
      "span",
      { title: "latency in the last minute" },
      p50 === null ? "" : `p50 ${duration(p50)} · p99 ${duration(p99)}`,
    ),
  );
}

// The empty list says what is wrong, too.
function drawBroken() {
  const stages = [...flow.children].filter(
    (one) => ["down", "degraded", "unknown", "missing"].includes(one.dataset.state) && one.title,
  );
  broken.replaceChildren(...stages.map((one) => element("li", {}, `${one.dataset.name}: ${one.title}`)));
}

function depth({ visible, in_flight: inFlight, delayed }) {
  const late = delayed ? ` · ${number(delayed)} delayed` : "";
  return `${number(visible)} waiting · ${number(inFlight)} in flight${late}`;
}

function serviceStage(name, known) {
  const state = known?.state ?? "";
  return stage(name, state === "up" ? "" : state, state, { reason: known?.reason });
}

const deadStage = ({ name }, total) =>
  stage(name, `${number(total)} dead`, total ? "degraded" : "up", {
    reason: total ? "messages that used up all delivery attempts" : "",
    place: { tab: "dead" },
  });

// What a tap watches: the names of its topics, or why it does not watch them all, as its title.
function watchedStage({ topics, problems }) {
  const name = `${number(topics.length)} ${topics.length === 1 ? "topic" : "topics"}`;
  const bad = problems.length;
  const text = bad ? `watched · ${number(bad)} ${bad === 1 ? "problem" : "problems"}` : "watched";
  return stage(name, text, bad ? "degraded" : "up", { reason: (bad ? problems : topics).join("\n") });
}

function stage(name, text, state, { reason = "", place = null } = {}) {
  const label = place
    ? element(
        "a",
        { href: address({ ...place, m: "" }), "data-tab": place.tab, "data-queue": place.queue ?? null },
        name,
      )
    : element("b", {}, name);
  return element(
    "li",
    { "data-state": state, "data-name": name, title: reason || null },
    label,
    ...(text ? [element("span", {}, text)] : []),
  );
}

// What no arrow leads to.
function aside(shown) {
  shown.classList.add("aside");
  return shown;
}

// A line of values from zero to the largest.
function spark(values) {
  const top = Math.max(...values, 1);
  const points = values.map((value, at) => `${at * 2},${(15 - (14 * value) / top).toFixed(1)}`).join(" ");
  return shape(
    "svg",
    { class: "spark", viewBox: `0 0 ${POINTS * 2} 16`, "aria-hidden": "true" },
    shape("polyline", { points }),
  );
}

// The line begins with what was before this page.
async function readRates() {
  const { points, width_seconds: width } = await ask("api/stats");
  rates.unshift(...points.slice(-POINTS + 1).map((point) => point.stored / width));
}

// Calls `told(outage)` with what is away, null if nothing is, after each look.
export function startPipelineStrip(told) {
  tell = told;
  readRates().catch(() => {}); // the line begins empty
  repeat(poll, () => POLL_MS);
}
