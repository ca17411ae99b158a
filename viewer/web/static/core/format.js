// Durations, sizes and statuses as text, exactly as the server writes them (viewer/formatting.py), so that a
// reload changes nothing.

export const STATUS_LABELS = { dead: "✖ dead", failed: "✖ failed", lost: "✖ lost", duplicate: "⇉ twice" };

// `sign` is put before a duration that is not negative.
export function duration(seconds, sign = "") {
  if (seconds === null || seconds === undefined) return "";
  return seconds < 0 ? `−${length(-seconds)}` : `${sign}${length(seconds)}`;
}

function length(seconds) {
  const whole = (unit, of = Infinity) => Math.floor((seconds % of) / unit);
  if (seconds < 0.9995) return `${Math.floor(seconds * 1000 + 0.5)} ms`;
  if (seconds < 59.95) return `${(Math.floor(seconds * 10 + 0.5) / 10).toFixed(1)} s`;
  if (seconds < 3600) return `${whole(60)} min ${whole(1, 60)} s`;
  if (seconds < 86_400) return `${whole(3600)} h ${whole(60, 3600)} min`;
  return `${whole(86_400)} d ${whole(3600, 86_400)} h`;
}

export const number = (value) => value.toLocaleString("en");

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1_048_576 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

// Characters that change the direction of text are shown, not obeyed: they could make a text look like
// another one.
export const visible = (text) =>
  text.replace(
    /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (sign) => `⟦U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟧`,
  );
