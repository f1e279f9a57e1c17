// The session page: asks for what is new, judges it, and has each part of the page draw itself.

import { drawCard } from "./card.js";
import { ask, exposures, follow } from "./data.js";
import { afterRest, atNextFrame, find, write } from "./dom.js";
import { drawFilm, prepareFilm, showTile } from "./film.js";
import { prepareColumns } from "./format.js";
import { placeHandles } from "./handles.js";
import { prepareHistograms } from "./histograms.js";
import { prepareHover } from "./hover.js";
import { judge, listBrushed, listShown } from "./judge.js";
import { prepareKeys } from "./keys.js";
import { drawLimits, prepareLimits } from "./limits.js";
import { drawSquares } from "./squares.js";
import { change, clearBrush, onChange, readAddress, state } from "./state.js";
import { drawGood, drawSummary, showLive, showSilence } from "./strip.js";
import { beginTable, drawTable, listSorted, markRow, prepareTable } from "./table.js";
import { constructLegend, markSelected, prepareTrends } from "./trends.js";

/** Milliseconds without a change after which charts are drawn: while a limit is dragged, the numbers follow at once. */
const REST = 120;

let columns = new Map(), charts = [], shown = [], tellFirst;
const first = new Promise((resolve) => {
  tellFirst = resolve;
});

async function start() {
  try {
    columns = prepareColumns(await ask("columns.json"));
  } catch (error) {
    showSilence(error.message);
    return;
  }
  readAddress(columns);
  prepareFilm(drawAll);
  prepareLimits();
  prepareHover(columns);
  prepareTable(columns, () => drawTable(shown));
  prepareKeys(() => shown.slice().reverse(), listSorted, showSelected);
  find("brush-clear").addEventListener("click", clearBrush);
  find("brush-hour").addEventListener("click", () => change({ from: Math.floor(Date.now() / 1000 - 3600), to: null }));
  find("legend").append(...constructLegend());
  onChange(takeChange);
  follow(takeNews, showSilence);
  const select = (one) => {
    change({ selected: one.id });
    showSelected(one, "");
  };
  await first; // the charts' library is large: everything else comes before it
  try {
    charts = [await prepareTrends(columns, select), await prepareHistograms(columns, select)];
    drawCharts();
  } catch (error) {
    write(find("trends-silence"), `No charts: ${error.message}.`);
  }
}

function takeNews(ids, summary) {
  drawSummary(summary);
  showLive(ids.length > 0);
  if (ids.length || find("session").ariaBusy === "true") drawAll();
}

function takeChange(changed) {
  if (changed.size === 1 && changed.has("selected")) {
    drawSelected();
    return;
  }
  if (!changed.has("limits")) beginTable();
  drawAll();
}

const drawAll = atNextFrame(() => {
  judge(columns);
  const brushed = listBrushed();
  shown = listShown(brushed);
  drawGood();
  drawLimits(columns);
  placeHandles();
  drawFilm(shown, columns);
  drawTable(shown);
  drawSquares(columns);
  drawCard(columns);
  write(find("table-words"), `${shown.length} of ${exposures.length} exposures`);
  drawChartsSoon();
  find("session").setAttribute("aria-busy", "false");
  requestAnimationFrame(tellFirst);
});

const drawCharts = async () => {
  if (!exposures.length || !charts.length) return;
  const [drawTrends, drawHistograms] = charts;
  await drawTrends(shown);
  await drawHistograms(listBrushed());
};
const drawChartsSoon = afterRest(drawCharts, REST);

const drawSelected = atNextFrame(() => {
  drawFilm(shown, columns);
  drawCard(columns);
  markRow(false);
  markSelected();
});

/** Bring the selected exposure into view where it is; `where` has the keyboard. */
function showSelected(one, where) {
  requestAnimationFrame(() => {
    drawFilm(shown, columns);
    showTile(one.id, where === "film");
    markRow(true);
    if (where === "table") find("table-body").querySelector(`tr[data-id="${state.selected}"] a`)?.focus();
  });
}

start();
