// What a queue holds, and how that changed while it was watched.

import { duration, number } from "../core/format.js";
import { html, nothing } from "../core/view.js";

const MIN_SLOTS = 18; // a queue that is watched for a moment has a short line
const HEIGHT = 16;
export const STATES = {
  missing: "does not exist",
  elsewhere: "another account or region",
  unread: "not read",
};

export const isRead = ({ state }) => state === "known";

// In words, as of when it was read.
export function holds(queue) {
  const { state, visible: ready, in_flight: inFlight, delayed } = queue;
  if (!isRead(queue)) return STATES[state];
  const more = [
    [inFlight, "in flight"],
    [delayed, "delayed"],
  ].filter(([many]) => many);
  const counts = [[ready, "waiting"], ...more].map(([many, what]) => `${number(many)} ${what}`);
  return [...counts, ...(queue.oldest_sent_at ? [`oldest ${age(queue)}`] : [])].join(" · ");
}

// How old its oldest message was when the queue was read.
export function age({ oldest_sent_at: sent, read_at: read }) {
  const seconds = Math.max(0, Math.round((Date.parse(read) - Date.parse(sent)) / 1000));
  return seconds < 60 ? `${seconds} s` : duration(seconds);
}

export const depthOf = ({ visible: ready, in_flight: inFlight, delayed }) => ready + inFlight + delayed;

// A small chart from nothing to the most; nothing is drawn of a queue whose depth did not change.
export function depthChart({ depths }, slotSeconds) {
  if (!depths.length) return nothing;
  const most = Math.max(...depths, 1);
  const width = Math.max(depths.length, MIN_SLOTS);
  return html`<svg class="spark depths" viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none" role="img">
    <title>${mostOf({ depths }, slotSeconds)}</title>
    <polyline points=${points(depths, most, width)} />
  </svg>`;
}

// What the chart shows, in words.
export const mostOf = ({ depths }, slotSeconds) =>
  `up to ${number(Math.max(...depths))} in the last ${minutes(depths.length * slotSeconds)}`;

const minutes = (seconds) =>
  seconds < 7200 ? `${Math.ceil(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;

// A step for each slot, the newest at the right.
function points(depths, most, width) {
  const begin = width - depths.length;
  const y = (depth) => (HEIGHT - 1 - ((HEIGHT - 2) * depth) / most).toFixed(1);
  return depths.map((depth, at) => `${begin + at},${y(depth)} ${begin + at + 1},${y(depth)}`).join(" ");
}
