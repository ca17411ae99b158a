// The search box and the menus beside it.

import { go } from "../../core/state.js";
import { toast } from "../../core/toast.js";
import { fillFacet } from "./facets.js";
import { fillSaved } from "./saved_searches.js";

const form = document.getElementById("search");
const box = document.getElementById("q");
const problem = document.getElementById("search-problem");
const menus = document.querySelectorAll(".menu");

export const searchProblem = () => problem.textContent;

export function showSearch(q) {
  box.value = q;
  showSearchProblem("");
  closeMenus();
}

export function showSearchProblem(why) {
  problem.textContent = why;
  if (why) box.setAttribute("aria-invalid", "true");
  else box.removeAttribute("aria-invalid");
}

export const focusSearch = () => box.focus();

// Returns whether one was open.
export function closeOpenMenu() {
  const open = [...menus].find((menu) => menu.open);
  if (open) open.open = false;
  return Boolean(open);
}

function closeMenus(except = []) {
  for (const menu of menus) if (!except.includes(menu)) menu.open = false;
}

async function fill(menu) {
  if (!menu.open) return;
  try {
    await (menu.dataset.facet ? fillFacet(menu) : fillSaved());
  } catch (error) {
    toast(error.message);
  }
}

export function startSearchForm() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go({ q: box.value.trim(), m: "" });
  });
  box.addEventListener("search", () => {
    if (!box.value) go({ q: "", m: "" });
  });
  for (const menu of menus) menu.addEventListener("toggle", () => fill(menu));
  // The path of the event, because what was clicked may have been drawn anew by now.
  document.addEventListener("click", (event) => closeMenus(event.composedPath()));
}
