// The theme: as the system has it, light or dark. early_theme.js applies the stored one before the first
// paint.

const THEMES = ["auto", "light", "dark"];

// Returns the next theme, which is applied and stored.
export function switchTheme() {
  const { dataset } = document.documentElement;
  dataset.theme = THEMES[(THEMES.indexOf(dataset.theme) + 1) % THEMES.length];
  localStorage.setItem("theme", dataset.theme);
  return dataset.theme;
}
