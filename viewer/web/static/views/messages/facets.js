// What the menus beside the search offer: the values that it finds, with their counts.

import { ask } from "../../core/api.js";
import { element } from "../../core/dom.js";
import { number } from "../../core/format.js";
import { addToSearch } from "../../core/search.js";
import { state } from "../../core/state.js";

export async function fillFacet(menu) {
  const options = menu.querySelector(".options");
  const { facet } = menu.dataset;
  options.replaceChildren(note("counting …"));
  const { counted, complete, facets } = await ask(
    `api/messages/facets?${new URLSearchParams({ q: state.q })}`,
  );
  const names = Object.keys(facets).filter((name) => name.split(".")[0] === facet);
  const choices = names.flatMap((name) => facets[name].map((one) => choice(name, one)));
  options.replaceChildren(
    ...(choices.length ? choices : [note("no values")]),
    ...(complete ? [] : [note(`counted in the ${number(counted)} newest messages`)]),
  );
}

const note = (text) => element("p", { class: "note" }, text);

function choice(name, { value, count }) {
  const label = name.startsWith("attr.") ? `${name.slice(5)} = ${value}` : value;
  const add = (event) => addToSearch(name, value, event.altKey);
  const exclude = () => addToSearch(name, value, true);
  return element(
    "p",
    { class: "choice" },
    element(
      "button",
      { type: "button", title: "add to the search (Alt-click: exclude)", click: add },
      element("span", { class: "ellipsis" }, label),
      element("small", {}, number(count)),
    ),
    element(
      "button",
      {
        type: "button",
        class: "exclude",
        title: `exclude ${value}`,
        "aria-label": `exclude ${value}`,
        click: exclude,
      },
      "−",
    ),
  );
}
