// Four charts on one axis of time: rate, latency, queue depth and failures.

import { ask } from "../core/api.js";
import { clock } from "../core/clock.js";
import { element, shape } from "../core/dom.js";
import { duration, number } from "../core/format.js";
import { repeat } from "../core/repeat.js";
import { go, state } from "../core/state.js";

const POLL_MS = 5000;
const WINDOWS = { "5m": "5 minutes", "1h": "1 hour", "24h": "24 hours" };
const WINDOW_SECONDS = { "5m": 300, "1h": 3600, "24h": 86_400 };
const [WIDTH, HEIGHT] = [600, 120];
const count = (value) => number(Math.round(value));
const CHARTS = [
  {
    title: "Stored per second",
    lines: [["stored", "stored"]],
    show: (value) => `${value.toFixed(1)}/s`,
  },
  {
    title: "Latency",
    lines: [
      ["p50", "p50"],
      ["p95", "p95"],
      ["p99", "p99"],
    ],
    show: (value) => duration(value),
  },
  {
    title: "In the queue",
    lines: [
      ["visible", "visible"],
      ["in_flight", "in flight"],
      ["delayed", "delayed"],
    ],
    show: count,
  },
  {
    title: "Failures",
    lines: [
      ["failed", "failed attempts"],
      ["duplicates", "duplicates"],
      ["dead", "dead letters"],
    ],
    show: count,
  },
];

export function openMetrics(place) {
  const charts = element("div", { class: "charts" });
  const choices = element("p", { class: "actions" }, ...Object.entries(WINDOWS).map(choice));
  place.replaceChildren(element("h2", {}, "Metrics"), choices, charts);
  const polling = repeat(draw, () => POLL_MS);
  return polling.stop;

  function choice([name, label]) {
    const click = () => {
      go({ window: name });
      polling.now();
    };
    return element("button", { class: "second", "data-window": name, click }, label);
  }

  async function draw() {
    for (const button of choices.children) {
      button.setAttribute("aria-pressed", button.dataset.window === state.window);
    }
    try {
      const stats = await ask(`api/stats?window=${state.window}`);
      const drawn = [];
      const pointAt = (point) => drawn.forEach(({ show }) => show(point));
      drawn.push(...CHARTS.map((chart) => drawChart(chart, stats, pointAt)));
      charts.replaceChildren(...drawn.map(({ figure }) => figure));
    } catch (error) {
      charts.replaceChildren(element("p", { class: "problem" }, error.message));
    }
  }
}

// Returns the chart as {figure, show}; show(point) reads it at one point of the axis, and `pointAt(point)` is
// called to do so in all four.
function drawChart(chart, stats, pointAt) {
  const { x, y, top, end } = scales(chart, stats);
  const rules = [0, 0.5, 1].map((part) =>
    shape("line", { class: "rule", x1: 0, x2: WIDTH, y1: y(top * part), y2: y(top * part) }),
  );
  const lines = chart.lines.map(([name], at) => {
    const known = stats.points.filter((point) => valueOf(stats, point, name) !== null);
    const points = known.map(
      (point) => `${x(point).toFixed(1)},${y(valueOf(stats, point, name)).toFixed(1)}`,
    );
    return shape("polyline", { class: `line${at}`, points: points.join(" ") });
  });
  const cursor = shape("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
  const svg = shape(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": chart.title,
      pointermove: (event) => {
        const point = nearest(event);
        if (point) pointAt(point);
      },
      click: (event) => {
        const point = nearest(event);
        if (point) searchAt(point, stats);
      },
    },
    ...rules,
    ...lines,
    cursor,
  );
  const legend = element("figcaption", {}, ...legendAt(chart, stats, stats.points.at(-1)));
  const axis = [clock(stats.begin), `max ${chart.show(top)}`, clock(end)];
  const figure = element(
    "figure",
    {},
    legend,
    svg,
    element("p", { class: "axis" }, ...axis.map((text) => element("span", {}, text))),
  );
  return { figure, show };

  function show(point) {
    legend.replaceChildren(...legendAt(chart, stats, point));
    cursor.setAttribute("x1", x(point));
    cursor.setAttribute("x2", x(point));
    cursor.setAttribute("visibility", "visible");
  }

  function nearest(event) {
    const box = svg.getBoundingClientRect();
    const wanted = ((event.clientX - box.left) / box.width) * WIDTH;
    const distance = (point) => Math.abs(x(point) - wanted);
    const nearer = (best, point) => (best && distance(best) <= distance(point) ? best : point);
    return stats.points.reduce(nearer, null);
  }
}

function valueOf(stats, point, name) {
  return name === "stored" && point.stored !== null ? point.stored / stats.width_seconds : point[name];
}

function scales({ lines }, stats) {
  const begin = Date.parse(stats.begin);
  const width = stats.width_seconds * 1000;
  const slots = Math.round(WINDOW_SECONDS[stats.window] / stats.width_seconds) + 1;
  const values = stats.points.flatMap((point) => lines.map(([name]) => valueOf(stats, point, name) ?? 0));
  const top = Math.max(...values) || 1;
  return {
    x: (point) => ((Date.parse(point.at) - begin) / width / (slots - 1)) * WIDTH,
    y: (amount) => HEIGHT - 2 - ((HEIGHT - 6) * amount) / top,
    top,
    end: new Date(begin + slots * width).toISOString(),
  };
}

function legendAt(chart, stats, point) {
  const keys = chart.lines.map(([name, label], at) => {
    const amount = point ? valueOf(stats, point, name) : null;
    return element(
      "span",
      { class: `key${at}` },
      (amount ?? null) === null ? label : `${label} ${chart.show(amount)}`,
    );
  });
  return [element("b", {}, chart.title), ...keys, element("small", {}, point ? clock(point.at) : "")];
}

function searchAt({ at }, stats) {
  const end = new Date(Date.parse(at) + stats.width_seconds * 1000).toISOString();
  go({ tab: "messages", q: `after:${at} before:${end}` });
}
