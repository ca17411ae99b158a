// Keyboard shortcuts. They do nothing while the reader types, and can be turned off.

export const keysAreOff = () => localStorage.getItem("keys") === "off";
export const turnKeys = (on) => localStorage.setItem("keys", on ? "on" : "off");

let previous = "";

// `actions` maps a key, or two keys in a row such as "g m", to what it does.
export function listen(actions) {
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (field && event.key === "Escape") field.blur();
    if (field || event.ctrlKey || event.metaKey || event.altKey) return;
    if (keysAreOff() && event.key !== "?") return;
    if (event.key === " " && event.target.closest("button, summary, a, input, [role=tabpanel]")) return;
    const action = actions[`${previous} ${event.key}`] ?? actions[event.key];
    previous = event.key;
    if (!action) return;
    event.preventDefault();
    action();
  });
}
