// Replays: publishing again what a search finds, or what an exported file holds, and what became of it.

import { ask, canWrite } from "../../core/api.js";
import { repeat } from "../../core/repeat.js";
import { onChange, state } from "../../core/state.js";
import { html, nothing, render } from "../../core/view.js";
import { watchEndpoint } from "../../panes/endpoint.js";
import { replayForm } from "./form.js";
import { isRunning, replayList } from "./list.js";

const POLL_MS = 3000;
const PROGRESS_MS = 700; // while one is running

export function open(place) {
  let replays = [];
  let problem = null;
  let found = null; // by the search: {q, count, exact}

  const endpoint = watchEndpoint(draw);
  const form = replayForm({ changed: draw, began: () => polling.now() });
  draw();
  const polling = repeat(poll, () => (replays.some(isRunning) ? PROGRESS_MS : POLL_MS));
  count();
  const unfollow = onChange((now, before) => {
    if (now.q !== before.q) count();
  });
  return () => {
    unfollow();
    endpoint.stop();
    polling.stop();
  };

  async function poll() {
    try {
      ({ replays } = await ask("api/replays"));
      problem = null;
    } catch (error) {
      problem = error.message;
    }
    draw();
  }

  async function count() {
    const { q } = state;
    found = null;
    draw();
    const counted = await ask(`api/messages/count?${new URLSearchParams(q && { q })}`).catch((error) => ({
      problem: error.message,
    }));
    if (q !== state.q) return;
    found = { q, ...counted };
    draw();
  }

  function draw() {
    render(
      html`<h2>Replay</h2>
        <p class="note">
          Publishes messages again, oldest first. It goes on when this page is closed.
        </p>
        ${canWrite ? form.draw(found, endpoint.topology) : nothing}
        ${problem ? html`<p class="problem">${problem}</p>` : nothing} ${replayList(replays, () => polling.now())}`,
      place,
    );
  }
}
