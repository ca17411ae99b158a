// Where consumers run with FAULTS: how many messages fail, to watch retries and dead letters.

import { ask, send } from "../../core/api.js";
import { element } from "../../core/dom.js";
import { address } from "../../core/state.js";
import { toast } from "../../core/toast.js";

export async function drawFaults(place) {
  const { faults } = await ask("api/pipeline");
  if (!faults) return;
  const share = element("output", { for: "faults" });
  const slider = element("input", {
    id: "faults",
    type: "range",
    "aria-labelledby": "faults-title",
    step: 5,
    value: Math.round(faults.fail * 100),
    input: show,
    change: choose,
  });
  place.replaceChildren(
    element("h3", { id: "faults-title" }, "Inject failures"),
    element(
      "p",
      { class: "actions" },
      slider,
      share,
      element(
        "span",
        {},
        "of messages always fail: see ",
        element("a", { href: address({ tab: "dead" }), "data-tab": "dead" }, "dead letters"),
      ),
    ),
  );
  show();

  function show() {
    share.textContent = `${slider.value}%`;
  }

  async function choose() {
    try {
      await send("PUT", "api/faults", JSON.stringify({ fail: slider.value / 100 }));
      toast(`${slider.value}% of messages will fail`);
    } catch (error) {
      toast(`Not changed: ${error.message}`);
    }
  }
}
