// Which exposures are good by the limits, and which are shown.

import { exposures } from "./data.js";
import { isBrushed, state } from "./state.js";

/** What an exposure can be, in words. */
export const GRADES = {
  good: "good", bad: "beyond a limit", unknown: "no number to judge by", waiting: "waiting", failed: "failed",
};

/** Return whether a value is on the wrong side of the limit of its column. */
export function isBeyond(column, value, limit) {
  return column.better === "high" ? value < limit : value > limit;
}

/** Give each exposure its grade, and the names of the columns that are beyond their limits. */
export function judge(columns) {
  const limits = Object.entries(state.limits).filter(([name]) => columns.has(name))
    .map(([name, limit]) => [columns.get(name), limit]);
  for (const exposure of exposures) {
    const known = limits.filter(([{ name }]) => typeof exposure[name] === "number");
    exposure.beyond = known.filter(([column, limit]) => isBeyond(column, exposure[column.name], limit))
      .map(([{ name }]) => name);
    if (exposure.state === "failed") exposure.grade = "failed";
    else if (known.length) exposure.grade = exposure.beyond.length ? "bad" : "good";
    else exposure.grade = exposure.state === "waiting" ? "waiting" : "unknown";
  }
}

/** Return how many of these are within the limit of one column, and how many have its number. */
export function countPassing(chosen, column, limit) {
  let pass = 0, known = 0;
  for (const exposure of chosen) {
    const value = exposure[column.name];
    if (typeof value !== "number") continue;
    known += 1;
    if (limit === undefined || !isBeyond(column, value, limit)) pass += 1;
  }
  return [pass, known];
}

/** Return how many of these are good, and how many have a number to judge by. */
export function countGood(chosen) {
  let good = 0, known = 0;
  for (const { grade } of chosen) {
    if (grade === "good") good += 1;
    if (grade === "good" || grade === "bad") known += 1;
  }
  return [good, known];
}

/** Return the exposures in the brush; without `places`, of all squares and holes. */
export function listBrushed(places = true) {
  if (!isBrushed()) return exposures;
  const { from, to, low, high, square, hole } = state, name = state.in;
  return exposures.filter((one) =>
    (from === null || one.exposed >= from) && (to === null || one.exposed <= to) &&
    (name === null || (typeof one[name] === "number" && (low === null || one[name] >= low) &&
      (high === null || one[name] <= high))) &&
    (!places || ((square === null || one.square === square) && (hole === null || one.hole === hole))));
}

/** Return those of them that the filter lets through. */
export function listShown(brushed) {
  const words = state.find.toLowerCase();
  if (state.show === "all" && !words) return brushed;
  return brushed.filter((one) => (state.show === "all" || one.grade === state.show) &&
    (!words || one.name.toLowerCase().includes(words)));
}
