// Links to other views.

import { opensElsewhere } from "../core/dom.js";
import { visible } from "../core/format.js";
import { address, go } from "../core/state.js";
import { html } from "../core/view.js";

// Shows what the changes of the address lead to: see core/state.js.
export function placeLink(content, changes) {
  const click = (event) => {
    if (opensElsewhere(event)) return;
    event.preventDefault();
    go(changes);
  };
  return html`<a href=${address(changes)} @click=${click}
    >${typeof content === "string" ? html`<bdi>${visible(content)}</bdi>` : content}</a
  >`;
}

// Leads into a queue, by its name or ARN.
export function queueLink(queue) {
  const name = queue.split(":").at(-1);
  return placeLink(name, { tab: "queues", queue: name, m: "" });
}
