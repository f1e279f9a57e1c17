// The limits as lines in the trends that can be dragged, or moved with the arrow keys as any slider.

import { find, make, write } from "./dom.js";
import { formatLimit, formatShare } from "./format.js";
import { countPassing, listBrushed } from "./judge.js";
import { calcPlace, calcStep, calcValueAt, HEIGHT } from "./panels.js";
import { changeLimit, state } from "./state.js";

const handles = new Map();
let dragged = null;

/** Put a handle where the limit of each panel is. One that is being dragged stays where it is. */
export function drawHandles(panels) {
  const box = find("trends-handles");
  const limited = panels.filter(({ name }) => state.limits[name] !== undefined);
  for (const [name, { element }] of handles) {
    if (!limited.some((panel) => panel.name === name)) {
      element.remove();
      handles.delete(name);
    }
  }
  for (const panel of limited) {
    if (!handles.has(panel.name)) {
      const element = constructHandle(panel);
      handles.set(panel.name, { element });
      box.append(element);
    }
    const handle = handles.get(panel.name);
    if (dragged !== panel.name) handle.panel = panel;
    placeHandle(panel.name);
  }
}

/** Move the handles and their words to the limits as they are now. */
export function placeHandles() {
  for (const name of handles.keys()) if (state.limits[name] !== undefined) placeHandle(name);
}

function placeHandle(name) {
  const { element, panel } = handles.get(name), { column } = panel, limit = state.limits[name];
  const [pass, known] = countPassing(listBrushed(), column, limit);
  const shown = `${column.better === "high" ? "≥" : "≤"} ${formatLimit(column, limit)}`;
  element.style.top = `${panel.top + Math.min(HEIGHT, Math.max(0, calcPlace(panel, limit)))}px`;
  write(element.querySelector(".grip"), `${shown} ${column.unit}`.trim());
  const low = Math.min(panel.range[0] / column.scale, limit), high = Math.max(panel.range[1] / column.scale, limit);
  element.setAttribute("aria-valuemin", low);
  element.setAttribute("aria-valuemax", high);
  element.setAttribute("aria-valuenow", limit);
  element.setAttribute("aria-valuetext",
    `${shown} ${column.unit}: ${pass} of ${known} pass, ${formatShare(pass, known)}`);
}

function constructHandle({ name, column }) {
  const element = make("div", {
    class: "handle", role: "slider", tabindex: "0", "aria-orientation": "vertical", "data-column": name,
    "aria-label": `Limit of ${column.words}`,
  }, make("span", { class: "grip" }));
  element.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    element.focus();
    element.setPointerCapture(event.pointerId);
    dragged = name;
  });
  element.addEventListener("pointermove", (event) => {
    if (dragged !== name) return;
    const { panel } = handles.get(name);
    const pixels = event.clientY - element.parentElement.getBoundingClientRect().top - panel.top;
    setLimit(panel, calcValueAt(panel, Math.min(HEIGHT, Math.max(0, pixels))));
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    element.addEventListener(end, () => {
      dragged = null;
    });
  }
  element.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!steps) return;
    event.preventDefault();
    event.stopPropagation();
    const { panel } = handles.get(name);
    setLimit(panel, state.limits[name] + steps * calcStep(panel));
  });
  return element;
}

/** Set a limit, rounded to the steps of its panel, not below zero where no value is. */
function setLimit(panel, value) {
  const step = calcStep(panel), least = panel.range[0] >= 0 ? 0 : -Infinity;
  changeLimit(panel.name, Number(Math.max(least, Math.round(value / step) * step).toPrecision(6)));
}
