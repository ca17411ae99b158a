// The view library: what is drawn again changes only where it differs, so that focus, selection, scroll
// position and open parts stay. See https://lit.dev/docs/templates/overview/.

export { html, nothing, render, svg } from "../vendor/lit-html/lit-html.js";
export { guard } from "../vendor/lit-html/directives/guard.js";
