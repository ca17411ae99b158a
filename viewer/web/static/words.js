// How times, durations and sizes are written: in the same words as the server's (viewer/words.py), so that a
// reload changes nothing.

export function duration(seconds, sign = "") {
  if (seconds === null || seconds === undefined) return "";
  return seconds < 0 ? `−${length(-seconds)}` : `${sign}${length(seconds)}`;
}

function length(seconds) {
  const whole = (unit, of = Infinity) => Math.floor((seconds % of) / unit);
  if (seconds < 0.9995) return `${Math.floor(seconds * 1000 + 0.5)} ms`;
  if (seconds < 59.95) return `${(Math.floor(seconds * 10 + 0.5) / 10).toFixed(1)} s`;
  if (seconds < 3600) return `${whole(60)} min ${whole(1, 60)} s`;
  if (seconds < 86400) return `${whole(3600)} h ${whole(60, 3600)} min`;
  return `${whole(86400)} d ${whole(3600, 86400)} h`;
}

export const FATES = { dead: "✖ dead", failed: "✖ failed", duplicate: "⇉ twice" };

export const number = (value) => value.toLocaleString("en");

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`;
}

// ---- times, in the reader's zone or in UTC

const utc = () => localStorage.getItem("utc") === "yes";

// Making a formatter costs a hundred times what using one does.
const formatters = new Map();

function formatter(name, options) {
  const key = `${name} ${utc()}`;
  if (!formatters.has(key)) formatters.set(key, new Intl.DateTimeFormat([], { ...options, ...(utc() ? { timeZone: "UTC" } : {}) }));
  return formatters.get(key);
}

export function clock(iso, precise = false) {
  const date = new Date(iso);
  const parts = { hour12: false, hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const time = (precise ? formatter("precise", { ...parts, fractionalSecondDigits: 3 }) : formatter("time", parts)).format(date);
  const day = formatter("day", { day: "numeric", month: "short" });
  const [then, today] = [day.format(date), day.format(Date.now())];
  return then === today ? time : `${then} ${time}`;
}

export function localize(time) {
  if (!time.dateTime) return;
  time.textContent = clock(time.dateTime);
  time.title = `${new Date(time.dateTime).toString()}\n${time.dateTime}`;
}

export function switchZone() {
  localStorage.setItem("utc", utc() ? "no" : "yes");
  for (const time of document.querySelectorAll("time")) localize(time);
  return utc() ? "times in UTC" : "times in your zone";
}

// ---- elements

// element("p", { class: "note", title: "…" }, "text", child): text is only ever text.
export const element = (name, attributes, ...children) => dress(document.createElement(name), attributes, children);

export const shape = (name, attributes, ...children) =>
  dress(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

function dress(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

// The style of what is not seen at first is fetched with the first of it.
let more = null;
export const styled = () => (more ??= new Promise((resolve) => {
  document.head.append(element("link", { rel: "stylesheet", href: "static/sheet.css", load: resolve, error: resolve }));
}));

export const send = (method, path, body) => ask(path, { method, headers: { "Content-Type": "application/json" }, body });

export async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("the viewer does not answer");
  }
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail ?? answer.statusText);
  return answer.json();
}
