// A short note at the bottom of the page, which disappears by itself.

const SHOWN_MS = 2500;
const place = document.getElementById("toast");
let timer = null;

export function toast(text) {
  place.textContent = text;
  place.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => {
    place.hidden = true;
  }, SHOWN_MS);
}
