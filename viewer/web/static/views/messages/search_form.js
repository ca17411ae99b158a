// The search box and the menus beside it.

import { go, onChange } from "../../core/state.js";
import { toast } from "../../core/toast.js";
import { fillColumns } from "./columns.js";
import { fillFacet } from "./facets.js";
import { fillSaved } from "./saved_searches.js";
import { fillTimes } from "./time_range.js";

const form = document.getElementById("search");
const box = document.getElementById("q");
const problem = document.getElementById("search-problem");
const filters = document.getElementById("filters");
const menus = form.querySelectorAll(".menu");

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

const FILL = {
  facet: (_, menu) => fillFacet(menu),
  time: fillTimes,
  columns: fillColumns,
  more: fillSaved,
};

async function fill(menu) {
  if (!menu.open) return;
  try {
    await FILL[menu.dataset.menu](menu.querySelector(".options"), menu);
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
  onChange((now, before) => {
    const columns = form.querySelector("[data-menu=columns]");
    if (now.cols !== before.cols) fill(columns);
  });
  filters.addEventListener("click", () => {
    filters.ariaExpanded = String(form.classList.toggle("filtering"));
  });
  for (const menu of menus) menu.addEventListener("toggle", () => fill(menu));
  // The path of the event, because what was clicked may have been drawn anew by now.
  document.addEventListener("click", (event) => closeMenus(event.composedPath()));
}
