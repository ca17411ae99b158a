// Four charts on one axis of time: rate, latency, depth, and what went wrong.

import { ask, clock, duration, element, number, shape } from "./words.js";
import { go, state } from "./state.js";

const POLL_MS = 5000;
const WINDOWS = { "5m": "5 minutes", "1h": "1 hour", "24h": "24 hours" };
const [WIDTH, HEIGHT] = [600, 120];
const CHARTS = [
  { title: "Stored per second", lines: [["stored", "stored"]], show: (value) => `${value.toFixed(1)}/s` },
  { title: "From published to stored", lines: [["p50", "p50"], ["p95", "p95"], ["p99", "p99"]], show: (value) => duration(value) },
  { title: "In the queue", lines: [["visible", "visible"], ["in_flight", "in flight"], ["delayed", "delayed"]], show: (value) => number(Math.round(value)) },
  { title: "Gone wrong", lines: [["failed", "failed tries"], ["duplicates", "duplicates"], ["dead", "dead letters"]], show: (value) => number(Math.round(value)) },
];

export function open(sheet) {
  const choices = element("p", { class: "actions" }, ...Object.entries(WINDOWS).map(([name, words]) =>
    element("button", { class: "second", "data-window": name, click: () => { go({ window: name }); draw(); } }, words)));
  const charts = element("div", { class: "charts" });
  sheet.replaceChildren(element("h2", {}, "Metrics"), choices, charts);

  async function draw() {
    if (document.hidden) return;
    for (const button of choices.children) button.setAttribute("aria-pressed", button.dataset.window === state.window);
    try {
      const stats = await ask(`api/stats?window=${state.window}`);
      charts.replaceChildren(...CHARTS.map((chart) => drawChart(chart, stats, charts)));
    } catch (error) {
      charts.replaceChildren(element("p", { class: "problem" }, error.message));
    }
  }

  draw();
  const timer = setInterval(draw, POLL_MS);
  return () => clearInterval(timer);
}

function drawChart({ title, lines, show }, stats, charts) {
  const begin = Date.parse(stats.begin);
  const width = stats.width_seconds * 1000;
  const slots = Math.round({ "5m": 300, "1h": 3600, "24h": 86400 }[stats.window] / stats.width_seconds) + 1;
  const x = (point) => (Date.parse(point.at) - begin) / width / (slots - 1) * WIDTH;
  const value = (point, name) => (name === "stored" && point.stored !== null ? point.stored / stats.width_seconds : point[name]);
  const top = Math.max(...stats.points.flatMap((point) => lines.map(([name]) => value(point, name) ?? 0))) || 1;
  const y = (amount) => HEIGHT - 2 - (HEIGHT - 6) * amount / top;
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title },
    ...[0, 0.5, 1].map((part) => shape("line", { class: "rule", x1: 0, x2: WIDTH, y1: y(top * part), y2: y(top * part) })),
    ...lines.map(([name], at) => shape("polyline", { class: `line${at}`, points: stats.points
      .filter((point) => value(point, name) !== null).map((point) => `${x(point).toFixed(1)},${y(value(point, name)).toFixed(1)}`).join(" ") })));
  const cursor = shape("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
  svg.append(cursor);
  const legend = element("figcaption", {});
  const tell = (point) => legend.replaceChildren(element("b", {}, title), ...lines.map(([name, words], at) => {
    const amount = point && value(point, name);
    return element("span", { class: `key${at}` }, `${words}${amount === null || amount === undefined ? "" : ` ${show(amount)}`}`);
  }), element("small", {}, point ? clock(point.at) : ""));
  tell(stats.points.at(-1));
  // One place on the axis is read in all four; a click looks at the messages of that time.
  const near = (event) => {
    const box = svg.getBoundingClientRect();
    const wanted = (event.clientX - box.left) / box.width * WIDTH;
    return stats.points.reduce((best, point) => (!best || Math.abs(x(point) - wanted) < Math.abs(x(best) - wanted) ? point : best), null);
  };
  const figure = element("figure", {}, legend, svg, element("p", { class: "axis" },
    element("span", {}, clock(stats.begin)), element("span", {}, `most ${show(top)}`), element("span", {}, clock(new Date(begin + slots * width).toISOString()))));
  figure.tell = (point) => { tell(point); cursor.setAttribute("x1", x(point)); cursor.setAttribute("x2", x(point)); cursor.setAttribute("visibility", "visible"); };
  svg.addEventListener("pointermove", (event) => { const point = near(event); if (point) for (const one of charts.children) one.tell(point); });
  svg.addEventListener("click", (event) => {
    const point = near(event);
    if (point) go({ tab: "messages", q: `after:${point.at} before:${new Date(Date.parse(point.at) + width).toISOString()}` });
  });
  return figure;
}
