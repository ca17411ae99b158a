// The charting library. Loaded with the view that shows charts. See https://github.com/leeoniya/uPlot.

export { default as Plot } from "../vendor/uplot/dist/uPlot.esm.js";
