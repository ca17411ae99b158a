// One chart: axes, a crosshair that all charts share, and a legend that reads it.

import { clock, isUtc } from "../../core/clock.js";
import { Plot } from "../../core/plot.js";
import { html, render } from "../../core/view.js";

const HEIGHT = 190;
const X_AXIS_HEIGHT = 30;
const X_LABEL_WIDTH = 64;
const X_STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400,
]; // s
const Y_AXIS_WIDTH = 84;
const MIN_DRAG_PIXELS = 6;
const CROSSHAIR = "metrics";
const FONT = "12px system-ui, sans-serif";

// A canvas knows no CSS variables.
function color(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

// Draws the chart into `place`. Calls `pick(at)` for a click at that time, and `select(from, to)` when the
// reader has dragged over a range; times are in seconds. Returns {show(data, range), redraw(), destroy()}.
export function drawChart(place, { title, lines, show, least, whole }, { pick, select }) {
  const caption = document.createElement("figcaption");
  const canvas = document.createElement("div");
  place.replaceChildren(caption, canvas);
  const colors = () => lines.map((line) => color(line.color));
  let strokes = colors();

  const axis = {
    stroke: () => color("--quiet"),
    grid: { stroke: () => color("--line"), width: 1 },
    font: FONT,
  };
  const plot = new Plot(
    {
      width: canvas.clientWidth || 300,
      height: HEIGHT,
      tzDate: (at) => (isUtc() ? Plot.tzDate(new Date(at * 1000), "Etc/UTC") : new Date(at * 1000)),
      legend: { show: false },
      cursor: {
        sync: { key: CROSSHAIR },
        drag: { x: true, y: false, setScale: false },
        y: false,
      },
      scales: { y: { range: (_, __, max) => [0, Math.max(least, (max ?? 0) * 1.1)] } },
      axes: [
        {
          ...axis,
          ticks: { show: false },
          size: X_AXIS_HEIGHT,
          space: X_LABEL_WIDTH,
          incrs: X_STEPS,
          values: timeLabels,
        },
        {
          ...axis,
          ticks: { show: false },
          size: Y_AXIS_WIDTH,
          values: (_, values) => values.map((value) => (whole && value % 1 ? "" : show(value))),
        },
      ],
      series: [
        {},
        ...lines.map(({ label, width = 1.8, dash }, at) => ({
          label,
          width,
          dash,
          stroke: () => strokes[at],
          points: { show: false },
        })),
      ],
      hooks: { setLegend: [drawLegend], setSelect: [takeSelection] },
    },
    [[], ...lines.map(() => [])],
    canvas,
  );
  let dragged = false;
  plot.over.addEventListener("mousedown", () => {
    dragged = false;
  });
  plot.over.addEventListener("click", () => {
    const at = plot.data[0][plot.cursor.idx];
    if (!dragged && at) pick(at);
  });
  const resized = new ResizeObserver(() => plot.setSize({ width: canvas.clientWidth, height: HEIGHT }));
  resized.observe(canvas);

  function takeSelection() {
    const { left, width } = plot.select;
    dragged = width >= MIN_DRAG_PIXELS;
    if (!dragged) return;
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    select(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  }

  // At the crosshair, or at the newest point.
  function drawLegend() {
    const { data, cursor } = plot;
    const newest = data[0].findLastIndex((_, index) => data.slice(1).some((line) => line[index] !== null));
    const at = cursor.idx ?? newest;
    const value = (line) => data[line + 1][at] ?? null;
    const key = ({ label, color: name, width = 1.8 }, line) =>
      html`<span class="series" data-color=${name} data-width=${width}>
        ${label} ${value(line) === null ? "–" : show(value(line))}
      </span>`;
    const time = data[0][at] ? clock(new Date(data[0][at] * 1000).toISOString()) : "";
    render(html`<h3>${title}</h3> ${lines.map(key)} <small>${time}</small>`, caption);
  }

  return {
    show(data, [min, max]) {
      plot.setData(data, false);
      plot.setScale("x", { min, max });
      drawLegend();
    },
    redraw() {
      strokes = colors();
      plot.redraw();
    },
    destroy() {
      resized.disconnect();
      plot.destroy();
    },
  };
}

const timeLabels = (plot, times) => {
  const span = plot.scales.x.max - plot.scales.x.min;
  const length = span > 600 ? 5 : 8; // hours and minutes, or seconds, too
  return times.map((at) =>
    clock(new Date(at * 1000).toISOString())
      .slice(-8)
      .slice(0, length),
  );
};
