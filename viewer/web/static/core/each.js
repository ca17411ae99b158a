// Lists whose parts keep their elements when others come and go: each(items, key, template). See
// https://lit.dev/docs/templates/directives/#repeat.

export { repeat as each } from "../vendor/lit-html/directives/repeat.js";
