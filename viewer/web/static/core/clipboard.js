// Copying to the clipboard.

import { element } from "./dom.js";
import { toast } from "./toast.js";

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelecting(text);
  }
  toast("copied");
}

// The clipboard API needs https (or localhost) and permission; this works without.
function copyBySelecting(text) {
  const area = element("textarea", { class: "hidden" }, text);
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
