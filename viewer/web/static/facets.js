// What the menus beside the search offer: the values there are in it, with their counts, and times.

import { ask, element, number } from "./words.js";
import { go, state } from "./state.js";
import { addToSearch } from "./detail.js";

const TIMES = { "5m": "last 5 minutes", "1h": "last hour", "1d": "last day", "": "any time" };

export async function fill(menu) {
  const options = menu.querySelector(".options");
  if (menu.dataset.facet === "time") return options.replaceChildren(...Object.entries(TIMES).map(since));
  options.replaceChildren(element("p", { class: "note" }, "counting …"));
  const { counted, complete, facets } = await ask(`api/messages/facets?${new URLSearchParams({ q: state.q })}`);
  const names = Object.keys(facets).filter((name) => name.split(".")[0] === menu.dataset.facet);
  const choice = (name) => ({ value, count }) => element("p", { class: "choice" },
    element("button", { type: "button", title: "search for it (with Alt: exclude it)", click: (event) => addToSearch(name, value, event.altKey) },
      element("span", { class: "words" }, name.startsWith("attr.") ? `${name.slice(5)} = ${value}` : value), element("small", {}, number(count))),
    element("button", { type: "button", class: "exclude", title: `exclude ${value}`, "aria-label": `exclude ${value}`, click: () => addToSearch(name, value, true) }, "−"));
  options.replaceChildren(...names.flatMap((name) => facets[name].map(choice(name))));
  if (!options.childElementCount) options.append(element("p", { class: "note" }, "nothing to choose from"));
  if (!complete) options.append(element("p", { class: "note" }, `of the ${number(counted)} newest`));
}

function since([age, words]) {
  const search = () => {
    const others = state.q.split(" ").filter((word) => word && !word.startsWith("after:"));
    go({ q: [...others, ...(age ? [`after:${age}`] : [])].join(" ") });
  };
  return element("p", { class: "choice" }, element("button", { type: "button", click: search }, words));
}
