// What is below the pointer in a chart: a small card with picture and numbers. The selected exposure says the same.

import { locate } from "./data.js";
import { find, make } from "./dom.js";
import { formatTime, formatValue, listFurther } from "./format.js";
import { GRADES } from "./judge.js";

const SHOWN = ["drift", "drift_early", "drift_late", "ctf_resolution", "confidence", "defocus", "defocus_nominal",
  "astigmatism", "ice_ring", "seconds_to_result"];

let columns = new Map();

/** Tell the card which columns there are. */
export function prepareHover(known) {
  columns = known;
}

/** Show the card of an exposure beside the pointer. */
export function showHover(exposure, event) {
  if (!exposure || !event) return;
  const card = find("hover"), all = [...SHOWN, ...listFurther(columns)];
  card.replaceChildren(
    ...(exposure.thumb ? [make("img", { src: locate(`thumb/${exposure.id}.jpg`), alt: "", width: 160 })] : []),
    make("strong", {}, exposure.name),
    make("span", { class: "quiet" }, `${formatTime(exposure.exposed)}, ${GRADES[exposure.grade]}`),
    make("dl", {}, ...all.filter((name) => columns.has(name) && typeof exposure[name] === "number").flatMap((name) =>
      [make("dt", {}, columns.get(name).words),
       make("dd", { class: exposure.beyond.includes(name) ? "beyond" : "" },
         formatValue(columns.get(name), exposure[name]))])),
  );
  card.hidden = false;
  const { width, height } = card.getBoundingClientRect();
  const left = event.clientX + 18 + width < innerWidth ? event.clientX + 18 : event.clientX - 18 - width;
  card.style.left = `${Math.max(4, left)}px`;
  card.style.top = `${Math.max(4, Math.min(event.clientY - 20, innerHeight - height - 8))}px`;
}

/** Hide the card. */
export function hideHover() {
  find("hover").hidden = true;
}
