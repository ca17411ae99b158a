// What the charts show: each has one scale with one meaning, and colours that mean the same in all of them.

import { duration, number } from "../../core/format.js";

const WINDOW_SECONDS = { "5m": 300, "1h": 3600, "24h": 86_400 };
const count = (value) => number(Math.round(value));
const perMinute = (name) => (point, seconds) => (point[name] * 60) / seconds;

// `value(point, seconds)` is what a line shows of a point that stands for so many seconds; `show` writes a
// value with its unit; `least` is the smallest height of the scale.
export const CHARTS = [
  {
    title: "Stored per second",
    show: (value) => `${Number(value.toFixed(2))}/s`,
    least: 1,
    lines: [{ label: "stored", color: "--good", value: (point, seconds) => point.stored / seconds }],
  },
  {
    title: "Latency",
    show: (value) => duration(value),
    least: 0.01,
    lines: [
      { label: "p50", color: "--key", value: ({ p50 }) => p50, width: 1 },
      { label: "p95", color: "--key", value: ({ p95 }) => p95, width: 1.5, dash: [4, 3] },
      { label: "p99", color: "--key", value: ({ p99 }) => p99, width: 2.5 },
    ],
  },
  {
    title: "Messages in the queue",
    show: count,
    whole: true,
    least: 5,
    lines: [
      { label: "visible", color: "--warn", value: ({ visible }) => visible },
      { label: "in flight", color: "--key", value: (point) => point.in_flight },
      { label: "delayed", color: "--quiet", value: ({ delayed }) => delayed },
    ],
  },
  {
    title: "Failures per minute",
    show: (value) => `${Number(value.toFixed(1))}/min`,
    least: 5,
    lines: [
      { label: "failed attempts", color: "--bad", value: perMinute("failed") },
      { label: "duplicates", color: "--quiet", value: perMinute("duplicates") },
    ],
  },
  {
    title: "Dead letters",
    show: count,
    whole: true,
    least: 5,
    lines: [{ label: "in the dead-letter queue", color: "--bad", value: ({ dead }) => dead }],
  },
];

// Every slot of the window; those without a sample have no point, so that an outage is a gap.
export function slots({ begin, window, width_seconds: width, points }) {
  const first = Date.parse(begin) / 1000;
  const length = Math.round(WINDOW_SECONDS[window] / width) + 1;
  const times = Array.from({ length }, (_, at) => first + at * width);
  const known = new Map(
    points.map((point) => [Math.round((Date.parse(point.at) / 1000 - first) / width), point]),
  );
  return { times, points: times.map((_, at) => known.get(at) ?? null) };
}
