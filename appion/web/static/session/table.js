// The table of exposures: sorted by any column, filtered, fifty at a time.

import { locateExposure } from "./data.js";
import { afterRest, find, make, write } from "./dom.js";
import { formatTime, formatValue, listFurther } from "./format.js";
import { GRADES } from "./judge.js";
import { change, state } from "./state.js";

const PAGE = 50;
const NAMES = ["name", "exposed", "grade", "drift", "ctf_resolution", "confidence", "defocus", "defocus_error",
  "astigmatism", "ice_ring", "dose", "seconds_to_result"];
const OWN = { name: ["exposure", ""], exposed: ["time", ""], grade: ["is", ""], ctf_resolution: ["fit to", "Å"],
  defocus_error: ["defocus error", "µm"], seconds_to_result: ["to result", "s"] };

let names = NAMES, page = 0, sorted = [], columns = new Map(), again = () => {};

/** Prepare head, filter and buttons; `redraw` draws the table anew. */
export function prepareTable(known, redraw) {
  columns = known;
  names = [...NAMES, ...listFurther(columns)];
  again = redraw;
  const head = find("table-head");
  head.replaceChildren(...names.filter((name) => name in OWN || columns.has(name)).map((name) => {
    const [words, unit] = OWN[name] ?? [columns.get(name).words, columns.get(name).unit];
    const button = make("button", { type: "button" }, unit ? `${words} (${unit})` : words);
    button.addEventListener("click", () => {
      page = 0;
      change({ sort: state.sort === `-${name}` ? name : state.sort === name ? `-${name}` : chooseFirst(name) });
    });
    return make("th", { scope: "col", "data-column": name, class: isNumber(name) ? "number" : "" }, button);
  }));
  const field = find("filter-find"), choice = find("filter-show");
  field.value = state.find;
  choice.value = state.show;
  if (choice.selectedIndex < 0) choice.value = "all";
  field.addEventListener("input", afterRest(() => change({ find: field.value.trim() }), 150));
  choice.addEventListener("change", () => change({ show: choice.value }));
  find("filter").addEventListener("submit", (event) => event.preventDefault());
  for (const [id, step] of [["page-before", -1], ["page-after", 1]]) {
    find(id).addEventListener("click", () => {
      page += step;
      again();
    });
  }
}

const isNumber = (name) => columns.get(name)?.digits !== null && columns.has(name) && name !== "exposed";

/** The worst come first. */
function chooseFirst(name) {
  return name === "name" || columns.get(name)?.better === "high" ? name : `-${name}`;
}

/** Begin at the first page again: others are shown now. */
export function beginTable() {
  page = 0;
}

/** Return the exposures in the order of the table. */
export function listSorted() {
  return sorted;
}

/** Show the page of these exposures that is chosen. */
export function drawTable(shown) {
  const down = state.sort.startsWith("-"), name = state.sort.replace(/^-/, "");
  const known = names.includes(name) ? name : "exposed";
  sorted = shown.slice().sort((one, other) => compare(one[known], other[known], down) || one.id - other.id);
  page = Math.max(0, Math.min(page, Math.ceil(sorted.length / PAGE) - 1));
  for (const cell of find("table-head").children) {
    cell.setAttribute("aria-sort", cell.dataset.column !== known ? "none" : down ? "descending" : "ascending");
  }
  const rows = sorted.slice(page * PAGE, (page + 1) * PAGE);
  find("table-body").replaceChildren(...rows.map(constructRow));
  const first = page * PAGE + 1, last = page * PAGE + rows.length;
  write(find("page-words"), sorted.length ? `${first} to ${last} of ${sorted.length}` : "none");
  find("page-before").disabled = !page;
  find("page-after").disabled = last >= sorted.length;
}

/** What is not known comes last, whichever way. */
function compare(one, other, down) {
  const [there, too] = [one ?? null, other ?? null].map((value) => value !== null);
  if (!there || !too) return Number(too) - Number(there);
  const order = one < other ? -1 : one > other ? 1 : 0;
  return down ? -order : order;
}

function constructRow(one) {
  const row = make("tr", { "data-id": one.id, class: one.id === state.selected ? "selected" : "" },
    ...[...find("table-head").children].map(({ dataset: { column: name } }) => constructCell(one, name)));
  row.addEventListener("click", () => change({ selected: one.id }));
  return row;
}

function constructCell(one, name) {
  if (name === "name") {
    return make("th", { scope: "row" }, make("a", { href: locateExposure(one) }, one.name));
  }
  if (name === "exposed") return make("td", {}, formatTime(one.exposed));
  if (name === "grade") {
    return make("td", { class: `grade ${one.grade}` },
      make("span", {}, GRADES[one.grade]), one.reason && one.grade === "failed" ? `: ${one.reason}` : "");
  }
  return make("td", { class: one.beyond.includes(name) ? "number beyond" : "number" },
    formatValue(columns.get(name), one[name], false));
}

/** Mark the row of the selected exposure; turn to its page if `turn`. */
export function markRow(turn) {
  const place = sorted.findIndex(({ id }) => id === state.selected);
  if (turn && place >= 0 && Math.floor(place / PAGE) !== page) {
    page = Math.floor(place / PAGE);
    again();
  }
  for (const row of find("table-body").children) {
    row.className = Number(row.dataset.id) === state.selected ? "selected" : "";
  }
}
