// The film strip: small pictures, the newest first, framed by whether the exposure is good.

import { locate, locateExposure } from "./data.js";
import { find, make } from "./dom.js";
import { formatTime, formatValue } from "./format.js";
import { GRADES } from "./judge.js";
import { change, state } from "./state.js";

/** Pictures in the strip at first, and so many more each time they are asked for. */
const STEP = 48;

let many = STEP;
const tiles = new Map();

/** Prepare the button for more; `again` draws the strip anew. */
export function prepareFilm(again) {
  find("film-more").addEventListener("click", () => {
    many += STEP;
    again();
  });
}

/** Show the newest of the exposures, and the selected one if it is older. Tiles that have not changed stay. */
export function drawFilm(shown, columns) {
  const newest = shown.slice(-many).reverse();
  const wanted = newest.map((one) => drawTile(one, columns));
  const list = find("film");
  const now = new Set(newest.map(({ id }) => id));
  for (const [id, tile] of tiles) {
    if (!now.has(id)) {
      tile.element.remove();
      tiles.delete(id);
    }
  }
  wanted.forEach((element, place) => {
    if (list.children[place] !== element) list.insertBefore(element, list.children[place] ?? null);
  });
  find("film-more").hidden = shown.length <= many;
  find("film-empty").hidden = shown.length > 0;
}

function drawTile(one, columns) {
  const words = describe(one, columns);
  const mark = [one.grade, words, one.thumb, one.id === state.selected, one.hidden].join("|");
  const known = tiles.get(one.id);
  if (known?.mark === mark) return known.element;
  const element = known?.element ?? make("li");
  const again = known && document.activeElement === element.firstChild;
  const selected = one.id === state.selected;
  const link = make("a", {
    href: locateExposure(one), class: `tile ${one.grade}${selected ? " selected" : ""}`, "data-id": one.id,
    "aria-current": selected ? "true" : null,
  },
  one.thumb ? constructPicture(one) : make("span", { class: "blank" }, one.reason ?? ""),
  make("span", { class: "caption" },
    make("span", { class: "grade" }, words),
    make("span", { class: "quiet" }, formatTime(one.exposed, false)),
    make("span", { class: "spoken" }, one.name)));
  link.addEventListener("focus", () => change({ selected: one.id }));
  element.replaceChildren(link);
  tiles.set(one.id, { element, mark });
  if (again) link.focus({ preventScroll: true });
  return element;
}

function constructPicture(one) {
  const image = make("img", { src: locate(`thumb/${one.id}.jpg`), alt: "", loading: "lazy", width: 512, height: 364 });
  image.addEventListener("error", () => image.replaceWith(make("span", { class: "blank" })));
  return image;
}

/** In a few words: what is beyond its limit, else how good it is. */
function describe(one, columns) {
  const hidden = one.hidden ? "hidden, " : "";
  if (one.grade === "bad") {
    const name = one.beyond[0], more = one.beyond.length > 1 ? ` +${one.beyond.length - 1}` : "";
    return `${hidden}${columns.get(name).words.replace("resolution of the fit", "fit to")} ` +
      formatValue(columns.get(name), one[name]) + more;
  }
  if (one.grade === "good" && typeof one.ctf_resolution === "number") {
    return `${hidden}good, ${formatValue(columns.get("ctf_resolution"), one.ctf_resolution)}`;
  }
  return hidden + GRADES[one.grade];
}

/** Bring the selected tile into view; with the focus if a key asked for it. */
export function showTile(id, focus) {
  const link = tiles.get(id)?.element.firstChild;
  if (!link) return;
  const list = find("film"), { left, right } = link.getBoundingClientRect(), box = list.getBoundingClientRect();
  if (left < box.left || right > box.right) list.scrollBy({ left: left - box.left - box.width / 2 });
  if (focus) link.focus({ preventScroll: true });
}
