// The selected exposure: pictures, numbers, and the way to its page.

import { findExposure, locate, locateExposure } from "./data.js";
import { find, make, write } from "./dom.js";
import { formatTime, formatValue, listFurther } from "./format.js";
import { GRADES } from "./judge.js";
import { state } from "./state.js";

const SHOWN = ["drift", "drift_early", "drift_late", "drift_jump", "ctf_resolution", "confidence", "defocus",
  "defocus_nominal", "astigmatism", "astigmatism_axis", "phase_shift", "ice_ring", "thickness", "dose",
  "seconds_to_result"];

let drawn = "";

/** Show the selected exposure, if it has changed. */
export function drawCard(columns) {
  const one = findExposure(state.selected);
  find("card-empty").hidden = Boolean(one);
  find("card").hidden = !one;
  if (!one) return;
  const mark = JSON.stringify(one);
  if (mark === drawn) return;
  drawn = mark;
  const link = find("card-name");
  write(link, one.name);
  link.href = locateExposure(one);
  write(find("card-grade"), `${formatTime(one.exposed)}, ${GRADES[one.grade]}${one.hidden ? ", hidden" : ""}`);
  find("card-grade").className = `grade ${one.grade}`;
  write(find("card-reason"), one.reason ?? "");
  const pictures = [
    [one.thumb, `thumb/${one.id}.jpg`, `micrograph of ${one.name}`],
    [one.spectrum, `spectrum/${one.id}.jpg`, `spectrum and fit of ${one.name}`],
    [one.thumb && typeof one.drift === "number", `drift/${one.id}.png`, `drift of ${one.name}`],
  ];
  find("card-pictures").replaceChildren(...pictures.filter(([there]) => there).map(([, path, alt]) => {
    const image = make("img", { src: locate(path), alt });
    image.addEventListener("error", () => image.remove());
    return image;
  }));
  const all = [...SHOWN, ...listFurther(columns)];
  find("card-numbers").replaceChildren(...all.filter((name) => columns.has(name) && typeof one[name] === "number")
    .flatMap((name) => [
      make("dt", {}, columns.get(name).words),
      make("dd", { class: one.beyond.includes(name) ? "beyond" : "" }, formatValue(columns.get(name), one[name])),
    ]));
}
