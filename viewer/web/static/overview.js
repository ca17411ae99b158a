// The whole at a glance: the status line's figures, and the strip of stages from producer to store.

import { ask, duration, element, number, shape } from "./words.js";
import { address } from "./state.js";

const POLL_MS = 3000;
const POINTS = 40;

const figures = document.getElementById("figures");
const flow = document.getElementById("flow");
const deadCount = document.getElementById("dead-count");
const rates = [];

async function poll() {
  if (document.hidden) return;
  try {
    draw(await ask("api/pipeline"));
  } catch (error) {
    flow.replaceChildren(stage("viewer", error.message, "down"));
  }
}

function draw({ services, topic, queue, dead_letter_queue: dead, store }) {
  rates.push(store.per_second);
  while (rates.length > POINTS) rates.shift();
  figures.replaceChildren(
    element("span", { title: "stored in the last ten seconds" }, `${store.per_second.toFixed(1)}/s`), spark(rates),
    element("span", { title: "from published to stored, in the last minute" },
      store.p50 === null ? "" : `p50 ${duration(store.p50)} · p99 ${duration(store.p99)}`));
  const deadTotal = dead ? dead.visible + dead.in_flight + dead.delayed : 0;
  deadCount.textContent = deadTotal ? number(deadTotal) : "";
  flow.replaceChildren(
    service("producer", services.producer),
    stage(topic.name, "topic", topic.state, topic.reason),
    stage(queue.name, queue.reason ? "unknown" : depth(queue), queue.state, queue.reason, "waiting"),
    service("consumer", services.consumer),
    stage("stored", number(store.total), "up"),
    service("viewer", services.viewer),
    ...(dead ? [stage(dead.name, `${number(deadTotal)} dead`, deadTotal ? "degraded" : "up", deadTotal ? "messages that failed too often" : "", "dead")] : []));
  for (const broken of document.querySelectorAll("#broken")) {
    const parts = [...flow.children].filter((one) => ["down", "degraded", "unknown"].includes(one.dataset.state) && one.title);
    broken.replaceChildren(...parts.map((one) => element("li", {}, `${one.dataset.name}: ${one.title}`)));
  }
}

const depth = (queue) => `${number(queue.visible)} waiting · ${number(queue.in_flight)} in flight`
  + (queue.delayed ? ` · ${number(queue.delayed)} delayed` : "");

const service = (name, known) => stage(name, known?.state === "up" ? "" : known?.state ?? "", known?.state ?? "", known?.reason);

function stage(name, words, state, reason = "", tab = "") {
  const label = tab ? element("a", { href: address({ tab, m: "" }), "data-tab": tab }, name) : element("b", {}, name);
  return element("li", { "data-state": state, "data-name": name, title: reason || null }, label,
    ...(words ? [element("span", {}, words)] : []));
}

// A line of values from zero to the largest.
function spark(values) {
  const top = Math.max(...values, 1);
  const points = values.map((value, at) => `${at * 2},${(15 - 14 * value / top).toFixed(1)}`).join(" ");
  return shape("svg", { class: "spark", viewBox: `0 0 ${POINTS * 2} 16`, "aria-hidden": "true" }, shape("polyline", { points }));
}

// The line begins with what was before this page.
ask("api/stats").then(({ points, width_seconds: width }) => rates.unshift(...points.slice(-POINTS + 1).map((point) => point.stored / width)), () => {});
poll();
setInterval(poll, POLL_MS);
document.addEventListener("visibilitychange", poll);
