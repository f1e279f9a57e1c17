// The keyboard: arrows move the selected exposure, Enter opens its page, Escape shows everything again.

import { findExposure, locateExposure } from "./data.js";
import { find } from "./dom.js";
import { change, clearBrush, isBrushed, state } from "./state.js";

/** Elements that have a use of their own for arrows and Enter. */
const BUSY = "input, select, textarea, button, summary, [role=slider], [contenteditable]";

/** Listen to keys. `listOrder` gives the exposures newest first, `listRows` those of the table; `show` brings one up. */
export function prepareKeys(listOrder, listRows, show) {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest?.(BUSY)) return;
    const inTable = find("table-body").contains(event.target), inFilm = find("film").contains(event.target);
    const steps = { ArrowLeft: -1, ArrowRight: 1, ...(inTable || inFilm ? { ArrowUp: -1, ArrowDown: 1 } : {}) }[event.key];
    if (steps) {
      event.preventDefault();
      const order = inTable ? listRows() : listOrder();
      const here = order.findIndex(({ id }) => id === state.selected);
      const next = here < 0 ? order[0] : order[Math.max(0, Math.min(order.length - 1, here + steps))];
      if (!next) return;
      change({ selected: next.id });
      show(next, inTable ? "table" : inFilm ? "film" : "");
    } else if (event.key === "Enter" && !event.target.closest?.("a")) {
      const one = findExposure(state.selected);
      if (one) location.assign(locateExposure(one));
    } else if (event.key === "Escape" && isBrushed()) clearBrush();
  });
}
