// Charts on one axis of time. What the reader drags over becomes the range of time of the search; a click leads
// to the messages of that moment.

import { ask } from "../../core/api.js";
import { clock } from "../../core/clock.js";
import { repeat } from "../../core/repeat.js";
import { rangeOfSearch, searchBetween } from "../../core/search.js";
import { go, onChange, state } from "../../core/state.js";
import { html, nothing, render } from "../../core/view.js";
import { drawChart } from "./chart.js";
import { CHARTS, slots } from "./charts.js";

const POLL_MS = 5000;
const WINDOWS = { "5m": "5 minutes", "1h": "1 hour", "24h": "24 hours" };
const iso = (seconds) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z/, "Z");

export function open(place) {
  let stats = null;
  let problem = null;
  let charts = null;

  loadStyle();
  const frame = document.createElement("div");
  place.replaceChildren(frame);
  draw();
  const polling = repeat(poll, () => POLL_MS);
  const recolor = () => charts?.forEach((chart) => chart.redraw());
  const themes = new MutationObserver(recolor);
  themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  const schemes = ["(prefers-color-scheme: dark)", "print"].map((media) => matchMedia(media));
  for (const scheme of schemes) scheme.addEventListener("change", recolor);
  const forget = onChange((now, before) => {
    if (now.window !== before.window) polling.now();
    if (now.q !== before.q) draw();
  });
  return () => {
    forget();
    polling.stop();
    themes.disconnect();
    for (const scheme of schemes) scheme.removeEventListener("change", recolor);
    charts?.forEach((chart) => chart.destroy());
  };

  async function poll() {
    try {
      stats = await ask(`api/stats?window=${state.window}`);
      problem = null;
    } catch (error) {
      problem = error.message;
    }
    draw();
  }

  function draw() {
    const chosen = Object.hasOwn(WINDOWS, state.window) ? state.window : "5m";
    const zoom = rangeOfSearch();
    render(
      html`<h2>Metrics</h2>
        <p class="actions">
          ${Object.entries(WINDOWS).map(
            ([name, label]) =>
              html`<button
                class="second"
                data-window=${name}
                aria-pressed=${name === chosen}
                @click=${() => go({ window: name })}
              >
                ${label}
              </button>`,
          )}
          ${zoom ? zoomed(zoom) : html`<span class="quiet">Drag over a chart to choose a range of time.</span>`}
        </p>
        ${problem ? html`<p class="problem">${problem}</p>` : nothing}
        <div class="charts">${CHARTS.map(() => html`<figure></figure>`)}</div>`,
      frame,
    );
    if (!stats) return;
    charts ??= [...frame.querySelectorAll("figure")].map((figure, at) =>
      drawChart(figure, CHARTS[at], { pick, select }),
    );
    const { times, points } = slots(stats);
    const range = zoom ?? [times[0], times.at(-1)];
    charts.forEach((chart, at) => {
      const values = CHARTS[at].lines.map(({ value }) =>
        points.map((point) => (point ? value(point, stats.width_seconds) : null)),
      );
      chart.show([times, ...values], range);
    });
  }

  function pick(at) {
    searchBetween(iso(at), iso(at + stats.width_seconds));
  }
}

const select = (from, to) => searchBetween(iso(Math.floor(from)), iso(Math.ceil(to)), state.tab);

const zoomed = ([from, to]) =>
  html`<span>${clock(iso(from))} to ${clock(iso(to))}</span>
    <button class="second" @click=${() => go({ tab: "messages", m: "" })}>Show the messages</button>
    <button class="second" @click=${() => searchBetween("", "", state.tab)}>Zoom out</button>`;

function loadStyle() {
  if (document.getElementById("plot-style")) return;
  const link = document.createElement("link");
  Object.assign(link, { id: "plot-style", rel: "stylesheet" });
  link.href = new URL("../../vendor/uplot/dist/uPlot.min.css", import.meta.url).href;
  document.head.append(link);
}
