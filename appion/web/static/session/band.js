// Where there are too many points to draw: their median over time, and the band of the middle 80 %.

import { exposures } from "./data.js";
import { calcQuantile } from "./format.js";

const BINS = 150;

/** Return the traces of a panel's median and band; `at` gives the place in time of an exposure's id. */
export function constructBand(panel, at, colours) {
  const { name, scale } = panel.column;
  const known = exposures.filter((one) => typeof one[name] === "number" && one.exposed !== null);
  const size = Math.max(1, Math.ceil(known.length / BINS)), x = [], lines = { low: [], high: [], middle: [] };
  for (let start = 0; start < known.length; start += size) {
    const some = known.slice(start, start + size);
    const sorted = Float64Array.from(some, (one) => one[name] * scale).sort();
    x.push(at.get(some[some.length >> 1].id));
    lines.low.push(calcQuantile(sorted, 0.1));
    lines.high.push(calcQuantile(sorted, 0.9));
    lines.middle.push(calcQuantile(sorted, 0.5));
  }
  const common = { type: "scatter", mode: "lines", x, hoverinfo: "skip", yaxis: panel.axis, xaxis: "x" };
  return [
    { ...common, y: lines.low, line: { width: 0 } },
    { ...common, y: lines.high, line: { width: 0 }, fill: "tonexty", fillcolor: colours.band },
    { ...common, y: lines.middle, line: { width: 1.5, color: colours.good } },
  ];
}
