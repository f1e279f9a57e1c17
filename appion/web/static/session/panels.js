// What the trends show: one panel below the other for each number, all over the same time.

import { exposures } from "./data.js";
import { calcQuantile, listFurther, sortValues } from "./format.js";
import { state } from "./state.js";

/** Columns of the panels; `beside` is drawn as a line behind the points. */
const PANELS = [
  { name: "drift" }, { name: "ctf_resolution" }, { name: "confidence" },
  { name: "defocus", beside: "defocus_nominal" }, { name: "astigmatism" }, { name: "ice_ring" },
  { name: "seconds_to_result" },
];

/** Pixels: margins of the chart, height of a panel and of the words above it. */
export const MARGIN = { l: 56, r: 62, t: 4, b: 40 };
export const HEIGHT = 104;
export const WORDS = 24;

/** Return the panels whose numbers are known of any exposure, with their column, range and place in pixels. */
export function listPanels(columns) {
  const all = [...PANELS, ...listFurther(columns).map((name) => ({ name }))];
  const known = all.filter(({ name }) => columns.has(name) && exposures.some((one) => typeof one[name] === "number"));
  const total = known.length * (HEIGHT + WORDS);
  return known.map((panel, place) => {
    const top = place * (HEIGHT + WORDS) + WORDS;
    return {
      ...panel, column: columns.get(panel.name), axis: place ? `y${place + 1}` : "y",
      layoutAxis: place ? `yaxis${place + 1}` : "yaxis", top: MARGIN.t + top, total,
      domain: [1 - (top + HEIGHT) / total, 1 - top / total], range: calcRange(columns.get(panel.name), panel.beside),
    };
  });
}

/** Return the range of a panel in shown units: nearly all values, and the limit. A few far away stand at the edge. */
function calcRange(column, beside) {
  const sorted = sortValues(exposures, column.name);
  let low = calcQuantile(sorted, 0.005), high = calcQuantile(sorted, 0.99);
  const wanted = [state.limits[column.name]];
  if (beside) for (const value of sortValues(exposures, beside)) wanted.push(value);
  for (const value of wanted) {
    if (value === undefined) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const span = high - low || Math.abs(high) || 1;
  const bottom = low >= 0 ? Math.max(0, low - 0.12 * span) : low - 0.12 * span;
  return [bottom * column.scale, (high + 0.12 * span) * column.scale];
}

/** Return how far from the top of its panel a value (in its column's unit) stands, in pixels. */
export function calcPlace(panel, value) {
  const [low, high] = panel.range;
  return HEIGHT * (1 - (value * panel.column.scale - low) / (high - low));
}

/** Return the value (in its column's unit) at so many pixels from the top of a panel. */
export function calcValueAt(panel, pixels) {
  const [low, high] = panel.range;
  return (low + (1 - pixels / HEIGHT) * (high - low)) / panel.column.scale;
}

/** Return by how much a limit moves with an arrow key: a hundredth of the panel, rounded to 1, 2 or 5. */
export function calcStep(panel) {
  const wanted = (panel.range[1] - panel.range[0]) / panel.column.scale / 100;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= wanted * 0.99);
}
