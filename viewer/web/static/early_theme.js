// No module: runs before the first paint, so that a chosen theme does not flash (see core/theme.js), nor what is
// only there without scripts, or with them.
document.documentElement.dataset.script = "on";
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
