// What the grid squares and holes are like: medians of each, and how each compares with the others.

import { calcMedian, formatValue } from "./format.js";
import { countGood } from "./judge.js";

/** Medians that stand in the table. */
export const MEDIANS = ["drift", "ctf_resolution", "confidence", "ice_ring"];

/** So many exposures tell how a place is, and from so many times the others' on it is worth a word. */
const ENOUGH = 5, RATIO = 1.5;

/** Return the places of a level ("square" or "hole") with their exposures and numbers. */
export function groupPlaces(exposures, level, columns) {
  const groups = new Map();
  for (const one of exposures) {
    const id = one[level] ?? null;
    if (!groups.has(id)) groups.set(id, []);
    groups.get(id).push(one);
  }
  return [...groups].map(([id, found]) => {
    const [good, known] = countGood(found);
    const medians = Object.fromEntries(MEDIANS.filter((name) => columns.has(name))
      .map((name) => [name, calcMedian(found, name)]));
    return { id, found, good, known, share: known ? good / known : null, medians,
             words: describePlace(found, exposures, columns, good, known) };
  }).sort((one, other) => (one.share ?? 2) - (other.share ?? 2));
}

/** Return in words what is worse here than in all other places; empty if nothing is. */
function describePlace(found, all, columns, good, known) {
  if (known < ENOUGH) return "";
  const inside = new Set(found), others = all.filter((one) => !inside.has(one));
  const [otherGood, otherKnown] = countGood(others);
  if (otherKnown < ENOUGH) return "";
  const parts = [];
  const bad = (known - good) / known, otherBad = (otherKnown - otherGood) / otherKnown;
  if (known - good >= 3 && bad >= RATIO * otherBad) {
    parts.push(otherBad ? `${(bad / otherBad).toFixed(1)} times as many bad as elsewhere` : "all that are bad are here");
  }
  for (const name of MEDIANS) {
    const column = columns.get(name);
    const [here, there] = [calcMedian(found, name), calcMedian(others, name)];
    if (!column?.better || !here || !there || here < 0 || there < 0) continue;
    const ratio = here / there;
    if ((column.better === "low" ? ratio : 1 / ratio) >= RATIO) {
      parts.push(`${column.words} ${ratio.toFixed(1)} times the others' (${formatValue(column, there)})`);
    }
  }
  return parts.join("; ");
}
