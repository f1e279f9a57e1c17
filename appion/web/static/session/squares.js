// The table of grid squares and holes, and the picture of a square with its holes coloured by how many are good.

import { ask, exposures, findExposure, locate } from "./data.js";
import { find, make, write } from "./dom.js";
import { formatShare, formatValue, nameColumn } from "./format.js";
import { countGood, listBrushed } from "./judge.js";
import { groupPlaces, MEDIANS } from "./places.js";
import { change, state } from "./state.js";

const SVG = "http://www.w3.org/2000/svg";
/** Holes are drawn so large, as a share of the picture. */
const RADIUS = 0.018;
const SHORT = { ctf_resolution: { words: "fit to" } };
const AGAIN = 20000;

let squares = new Map(), asked = 0, shown = null;

/** Show the table, and the picture of the square that is chosen, or of the worst. */
export function drawSquares(columns) {
  const brushed = listBrushed(false);
  const level = exposures.some((one) => one.square !== null && one.square !== undefined) ? "square" : "hole";
  const groups = groupPlaces(brushed, level, columns);
  const there = groups.some(({ id }) => id !== null);
  find("squares-box").hidden = !there;
  if (!there) return;
  askSquares(columns);
  const medians = MEDIANS.filter((name) => brushed.some((one) => typeof one[name] === "number"));
  find("squares-head").replaceChildren(...["place", "n", "good", ...medians.map((name) => nameColumn({ ...columns.get(name), ...SHORT[name] })),
    "beside the others"].map((words, place) => make("th", { scope: "col", class: place && place < medians.length + 3
      ? "number" : "" }, words)));
  const rows = [];
  for (const group of groups) {
    rows.push(constructRow(group, level, medians, columns));
    if (level === "square" && group.id !== null && state.square === group.id) {
      rows.push(...groupPlaces(group.found, "hole", columns).filter(({ id }) => id !== null)
        .map((hole) => constructRow(hole, "hole", medians, columns)));
    }
  }
  replaceRows(find("squares-body"), rows);
  drawPicture(state.square ?? groups.find(({ id }) => squares.has(id))?.id, columns);
}

/** Put in new rows; what had the focus has it again. */
function replaceRows(body, rows) {
  const place = body.contains(document.activeElement) ? document.activeElement.dataset.place : null;
  body.replaceChildren(...rows);
  if (place) body.querySelector(`[data-place="${place}"]`)?.focus();
}

function constructRow(group, level, medians, columns) {
  const chosen = state[level] !== null && state[level] === group.id;
  const button = make("button", { type: "button", "aria-pressed": String(chosen), "data-place": `${level}${group.id}` },
    group.id === null ? `no ${level}` : `${level} ${namePlace(group.id, level)}`);
  button.disabled = group.id === null;
  button.addEventListener("click", () => change(level === "square"
    ? { square: chosen ? null : group.id, hole: null } : { hole: chosen ? null : group.id }));
  return make("tr", { class: `${level}${chosen ? " selected" : ""}` },
    make("th", { scope: "row" }, button),
    make("td", { class: "number" }, String(group.found.length)),
    make("td", { class: "number" }, make("progress", { value: group.share ?? 0, max: 1, "aria-hidden": "true" }),
      " ", formatShare(group.good, group.known)),
    ...medians.map((name) => make("td", { class: "number" }, formatValue(columns.get(name), group.medians[name], false))),
    make("td", { class: group.words ? "worse" : "" }, group.words));
}

/** Return the end of a picture's name, by which people know it, or its number. */
function namePlace(id, level) {
  const named = level === "square" ? squares.get(id)?.name
    : [...squares.values()].flatMap(({ holes }) => holes).find((hole) => hole.id === id)?.name;
  return named ? named.split("_").slice(-1)[0] : String(id);
}

/** Ask where squares and holes are, at first and from time to time while new ones come. */
async function askSquares(columns) {
  const lacking = exposures.some(({ square, id }) => square && !squares.get(square)?.places.has(id));
  if (!lacking || Date.now() < asked + AGAIN) return;
  asked = Date.now();
  try {
    const found = await ask("squares.json");
    squares = new Map(found.map((square) => [square.id, { ...square,
      places: new Map(square.holes.flatMap((hole) => hole.exposures.map((id) => [id, hole]))) }]));
    drawSquares(columns);
  } catch {
    asked = Date.now(); // the table does without
  }
}

function drawPicture(id, columns) {
  const square = squares.get(id), box = find("square-picture");
  find("square-box").hidden = !square;
  if (!square) return;
  if (shown !== id) {
    shown = id;
    const image = make("img", { src: locate(`picture/${id}.jpg`, "size=1024"), width: square.width || 1024,
                                height: square.height || 1024, alt: `grid square ${square.name}` });
    box.replaceChildren(image, document.createElementNS(SVG, "svg"));
    image.addEventListener("error", () => box.classList.add("blank"));
    box.classList.remove("blank");
  }
  const tall = (square.height || 1) / (square.width || 1), drawing = box.querySelector("svg");
  drawing.setAttribute("viewBox", `0 0 1 ${tall}`);
  drawing.setAttribute("aria-hidden", "true");
  const circles = square.holes.map((hole) => drawHole(hole, tall, columns)).filter(Boolean);
  drawing.replaceChildren(...circles);
  const found = [...square.places.keys()].map(findExposure).filter(Boolean), [good, known] = countGood(found);
  write(find("square-words"), `${square.name}: ${found.length} exposures in ${square.holes.length} holes, ` +
    `${formatShare(good, known)} good`);
}

function drawHole(hole, tall, columns) {
  const found = hole.exposures.map(findExposure).filter(Boolean), [good, known] = countGood(found);
  const circle = document.createElementNS(SVG, "circle");
  const share = known ? good / known : null;
  circle.setAttribute("cx", hole.x);
  circle.setAttribute("cy", hole.y * tall);
  circle.setAttribute("r", RADIUS);
  circle.setAttribute("class", share === null ? "hole none" : share >= 0.8 ? "hole good" : share >= 0.5 ? "hole fair"
    : "hole bad");
  if (state.hole !== null && hole.id === state.hole) circle.classList.add("selected");
  const title = document.createElementNS(SVG, "title");
  title.textContent = `${hole.name ?? "hole"}: ${found.length} exposures, ${formatShare(good, known)} good` +
    (found.length === 1 && typeof found[0].drift === "number"
      ? `, drift ${formatValue(columns.get("drift"), found[0].drift)}` : "");
  circle.append(title);
  circle.addEventListener("click", () => {
    if (hole.id) change({ square: shown, hole: state.hole === hole.id ? null : hole.id });
    else if (found.length) change({ selected: found[0].id });
  });
  return circle;
}
