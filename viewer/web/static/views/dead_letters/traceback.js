// A traceback whose first frames, those of the consumer that called the handler, are folded away.

import { html } from "../../core/view.js";

const FRAMEWORK = /^ {2}File ".*\/(?:consumer|pipeline|concurrent\/futures)\/[\w/]+\.py"/;
const FRAME = /^ {2}File "/;

export function tracebackBlock(text) {
  const lines = text.split("\n");
  const first = lines.findIndex((line) => FRAME.test(line));
  const end = lines.findIndex((line, at) => at >= first && !line.startsWith("  "));
  const frames = lines.flatMap((line, at) => (FRAME.test(line) && (end < 0 || at < end) ? [at] : []));
  const own = frames.findIndex((at) => !FRAMEWORK.test(lines[at]));
  if (own < 1) return block(text);
  const folded = lines.slice(first, frames[own]).join("\n");
  return html`<details class="frames">
      <summary>${own} ${own === 1 ? "frame" : "frames"} of the consumer</summary>
      ${block(folded)}
    </details>
    ${block(lines.slice(frames[own]).join("\n"))}`;
}

const block = (text) => html`<pre><bdi>${text}</bdi></pre>`;
