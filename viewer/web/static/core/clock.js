// Times of day, in the reader's time zone or in UTC.

import { html } from "./view.js";

export const isUtc = () => localStorage.getItem("utc") === "yes";

// Creating a formatter costs a hundred times as much as using one.
const formatters = new Map();

function formatter(name, options) {
  const key = `${name} ${isUtc()}`;
  if (!formatters.has(key)) {
    const zone = isUtc() ? { timeZone: "UTC" } : {};
    formatters.set(key, new Intl.DateTimeFormat([], { ...options, ...zone }));
  }
  return formatters.get(key);
}

// The time of day, after the date if that is not today, with its year if that is not this one.
export function clock(iso, precise = false) {
  const date = new Date(iso);
  const parts = { hour12: false, hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const time = precise
    ? formatter("precise", { ...parts, fractionalSecondDigits: 3 })
    : formatter("time", parts);
  const day = formatter("day", { day: "numeric", month: "short", year: "numeric" });
  const [then, today] = [day.format(date), day.format(Date.now())];
  if (then === today) return time.format(date);
  const year = formatter("year", { year: "numeric" });
  const short = formatter("short day", { day: "numeric", month: "short" });
  const isThisYear = year.format(date) === year.format(Date.now());
  return `${isThisYear ? short.format(date) : then} ${time.format(date)}`;
}

// Writes the time of a <time> element for this reader.
export function localize(time) {
  if (!time.dateTime) return;
  time.textContent = clock(time.dateTime, "precise" in time.dataset);
  time.title = titleOf(time.dateTime);
}

const titleOf = (iso) => `${new Date(iso).toString()}\n${iso}`;

// A <time> element for this reader.
export const localTime = (iso, precise = false) =>
  html`<time
    datetime=${iso}
    title=${titleOf(iso)}
    ?data-precise=${precise}
    .textContent=${clock(iso, precise)}
  ></time>`;

// The value of a datetime-local input for a time, in the reader's zone; "" for what is none, such as "5m".
export function toInput(iso) {
  const date = new Date(iso);
  if (!/^\d{4}-/.test(iso) || Number.isNaN(date.getTime())) return "";
  const shift = isUtc() ? 0 : date.getTimezoneOffset() * 60_000;
  return new Date(date.getTime() - shift).toISOString().slice(0, 19);
}

// The time that a datetime-local input holds, "" if it is empty.
export const toIso = (value) =>
  value && new Date(isUtc() ? `${value}Z` : value).toISOString().replace(".000Z", "Z");

// Returns what to tell the reader.
export function switchZone() {
  localStorage.setItem("utc", isUtc() ? "no" : "yes");
  for (const time of document.querySelectorAll("time")) localize(time);
  return isUtc() ? "times in UTC" : "times in your time zone";
}
