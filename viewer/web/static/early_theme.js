// No module: runs before the first paint, so that a chosen theme does not flash. See core/theme.js.
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
