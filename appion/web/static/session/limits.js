// The limits as numbers that can be typed, and how many exposures pass each of them.

import { exposures } from "./data.js";
import { find, make, write } from "./dom.js";
import { formatLimit, formatShare, listFurther } from "./format.js";
import { countPassing, listBrushed } from "./judge.js";
import { changeLimit, resetLimits, state } from "./state.js";

/** What is judged by first. */
const ORDER = ["drift", "drift_jump", "ctf_resolution", "confidence", "astigmatism", "ice_ring", "seconds_to_result"];
const SHORT = { ctf_resolution: "fit to", seconds_to_result: "time to result" };
const rows = new Map();

/** Prepare the button that begins again. */
export function prepareLimits() {
  find("limits-reset").addEventListener("click", resetLimits);
}

/** Show a field for each number that is better low or high, and that is known of any exposure. */
export function drawLimits(columns) {
  const body = find("limits");
  const brushed = listBrushed();
  const order = [...ORDER, ...listFurther(columns)];
  for (const name of order) {
    const column = columns.get(name);
    if (!column?.better) continue;
    if (!rows.has(name) && exposures.some((one) => typeof one[name] === "number")) {
      rows.set(name, constructRow(column));
      const later = order.slice(order.indexOf(name) + 1).find((one) => rows.has(one));
      body.insertBefore(rows.get(name), later ? rows.get(later) : null);
    }
    if (rows.has(name)) fillRow(rows.get(name), column, brushed);
  }
}

function constructRow(column) {
  const id = `limit-${column.name}`;
  const field = make("input", { id, type: "number", step: "any", inputmode: "decimal", placeholder: "none" });
  field.addEventListener("change", () => {
    const value = field.valueAsNumber;
    changeLimit(column.name, Number.isFinite(value) ? Number((value / column.scale).toPrecision(6)) : null);
  });
  return make("tr", { "data-column": column.name },
    make("th", { scope: "row" }, make("label", { for: id, title: column.words }, SHORT[column.name] ?? column.words)),
    make("td", {}, make("span", { class: "side" }, column.better === "high" ? "≥" : "≤"), " ", field,
      make("span", { class: "unit" }, column.unit)),
    make("td", { class: "number pass" }));
}

function fillRow(row, column, brushed) {
  const limit = state.limits[column.name], field = row.querySelector("input");
  const text = limit === undefined ? "" : formatLimit(column, limit);
  if (document.activeElement !== field || field.valueAsNumber !== Number(text)) {
    if (field.value !== text) field.value = text;
  }
  const [pass, known] = countPassing(brushed, column, limit);
  write(row.querySelector(".pass"), limit === undefined ? "–" : `${pass} of ${known} (${formatShare(pass, known)})`);
}
