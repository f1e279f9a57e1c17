// The trends: Plotly's chart of all panels, its brush, its pointer.

import {
  CONFIG, constructAxis, constructLayout, convertTime, loadPlotly, MANY, onTheme, readColours, revertTime, thin,
} from "./charts.js";
import { exposures, findExposure } from "./data.js";
import { constructBand } from "./band.js";
import { find, make, write } from "./dom.js";
import { nameColumn } from "./format.js";
import { HEIGHT, listPanels, MARGIN, WORDS } from "./panels.js";
import { drawHandles } from "./handles.js";
import { hideHover, showHover } from "./hover.js";
import { change, clearBrush, state } from "./state.js";

/** The points of a panel by how they look; those that are not shown come first, so that the others lie above them. */
const LOOKS = {
  dim: { colour: "dim", symbol: "circle", size: 3, opacity: 0.55 },
  unknown: { colour: "quiet", symbol: "circle", size: 4, opacity: 0.8 },
  good: { colour: "good", symbol: "circle", size: 5, opacity: 0.85 },
  bad: { colour: "bad", symbol: "diamond", size: 6, opacity: 0.9 },
  edge: { colour: "bad", symbol: "triangle-up", size: 8, opacity: 1 },
};

/** Where fingers scroll, they do not draw boxes. */
const TOUCHED = matchMedia("(pointer: coarse)").matches;

let panels = [];
let traced = [];
let times = [0, 1];

/** Prepare the chart; the returned function draws it anew, with the shown exposures. */
export async function prepareTrends(columns, onSelect) {
  const element = find("trends");
  const Plotly = await loadPlotly();
  let last = null;
  const draw = async (shown) => {
    last = shown;
    panels = listPanels(columns);
    find("trends-box").hidden = !panels.length;
    if (!panels.length) return;
    const colours = readColours();
    const { traces, layout } = constructChart(panels, new Set(shown), colours);
    element.setAttribute("aria-label", `Over time: ${panels.map(({ column }) => column.words).join(", ")}. ` +
      "Limits and the table of exposures say the same in numbers.");
    await Plotly.react(element, traces, layout, CONFIG);
    if (!element.dataset.ready) listen(element, onSelect);
    element.dataset.ready = "yes";
    element.dataset.points = String(traced.reduce((sum, { length }) => Math.max(sum, length), 0));
    write(find("trends-words"), exposures.length <= MANY ? ""
      : "So many exposures are drawn as their median (line) and the middle 80 % (band), with some of the points; " +
        "all are there when fewer are chosen.");
    drawHandles(panels);
    markSelected();
  };
  onTheme(() => last && draw(last));
  return draw;
}

function constructChart(list, shown, colours) {
  const at = new Map(exposures.map((one) => [one.id, convertTime(one.exposed)]));
  times = calcTimes();
  const layout = {
    ...constructLayout(colours), height: list[0].total + MARGIN.t + MARGIN.b, margin: MARGIN,
    hovermode: "closest", hoverdistance: 12, dragmode: TOUCHED ? false : "select", selectdirection: "any", selections: [],
    newselection: { line: { color: colours.text, width: 1, dash: "solid" } },
    xaxis: { ...constructAxis(colours), type: "date", range: times, anchor: list.at(-1).axis, showspikes: true, spikemode: "across",
             spikesnap: "hovered data", spikecolor: colours.quiet, spikethickness: 1, spikedash: "solid" },
    shapes: constructShapes(colours), annotations: [],
  };
  traced = [];
  const traces = [];
  for (const panel of list) {
    layout[panel.layoutAxis] = { ...constructAxis(colours), domain: panel.domain, range: panel.range, nticks: 4 };
    layout.annotations.push({
      text: nameColumn(panel.column) + (panel.beside ? ", found (points) and asked for (line)" : ""), xref: "paper",
      x: 0, yref: "paper", y: panel.domain[1], xanchor: "left", yanchor: "bottom", showarrow: false,
      font: { size: 12, color: colours.text },
    });
    const behind = [...(exposures.length > MANY ? constructBand(panel, at, colours) : []),
      ...(panel.beside ? [constructAsked(panel, at, colours)] : [])];
    traces.push(...behind);
    traced.push(...behind.map(() => []));
    for (const [name, points] of Object.entries(sortPoints(panel, shown, at))) {
      const look = LOOKS[name];
      traces.push({
        type: "scatter", mode: "markers", x: points.x, y: points.y, yaxis: panel.axis, xaxis: "x", hoverinfo: "none",
        marker: { color: colours[look.colour], symbol: look.symbol, size: look.size, opacity: look.opacity },
      });
      traced.push(points.of);
    }
  }
  return { traces, layout };
}

/** The range of time, with a little room at both ends. */
function calcTimes() {
  const known = exposures.filter((one) => one.exposed !== null);
  const [first, last] = known.length ? [known[0].exposed, known.at(-1).exposed].map(convertTime) : [0, 1];
  const room = Math.max(10000, (last - first) * 0.01);
  return [first - room, last + room];
}

function constructAsked(panel, at, colours) {
  const known = exposures.filter((one) => typeof one[panel.beside] === "number");
  return {
    type: "scatter", mode: "lines", line: { color: colours.asked, width: 1.5, shape: "hvh" }, hoverinfo: "skip",
    x: known.map((one) => at.get(one.id)), y: known.map((one) => one[panel.beside] * panel.column.scale),
    yaxis: panel.axis, xaxis: "x",
  };
}

function sortPoints(panel, shown, at) {
  const points = Object.fromEntries(Object.keys(LOOKS).map((name) => [name, { x: [], y: [], of: [] }]));
  const { name, scale } = panel.column, [low, high] = panel.range, edge = 0.03 * (high - low);
  const known = exposures.filter((one) => typeof one[name] === "number" && one.exposed !== null);
  const sorted = Object.fromEntries(Object.keys(LOOKS).map((look) => [look, []]));
  for (const one of known) {
    const look = !shown.has(one) ? "dim" : one[name] * scale > high ? "edge" : one.grade in LOOKS ? one.grade : "unknown";
    sorted[look].push(one);
  }
  const drawn = exposures.length <= MANY ? sorted : thinPoints(sorted);
  for (const [look, one] of Object.entries(drawn).flatMap(([look, list]) => list.map((one) => [look, one]))) {
    const value = one[name] * scale;
    points[look].x.push(at.get(one.id));
    points[look].y.push(Math.min(high - edge, Math.max(low, value)));
    points[look].of.push(one);
  }
  return points;
}

/** Of many exposures those that are not chosen are but part of the band, and of the others some are drawn. */
function thinPoints(sorted) {
  const chosen = Object.entries(sorted).filter(([look]) => look !== "dim");
  const all = chosen.reduce((sum, [, list]) => sum + list.length, 0);
  const most = (look) => (all <= MANY ? MANY : { bad: MANY / 2, edge: MANY / 12 }[look] ?? MANY / 3);
  return { dim: [], ...Object.fromEntries(chosen.map(([look, list]) => [look, thin(list, most(look))])) };
}

/** The brush as a band over all panels, or as a box in one, and the selected exposure as a line. */
function constructShapes(colours) {
  const shapes = [];
  const panel = panels.find(({ name }) => name === state.in);
  if (state.from !== null || state.to !== null || panel) {
    const scale = panel?.column.scale;
    shapes.push({
      type: "rect", layer: "below", line: { width: 1, color: colours.quiet }, fillcolor: colours.raised,
      ...(state.from === null && state.to === null ? { xref: "paper", x0: 0, x1: 1 } : {
        xref: "x", x0: convertTime(state.from ?? exposures[0]?.exposed ?? 0),
        x1: convertTime(state.to ?? exposures.at(-1)?.exposed ?? 0) }),
      ...(panel ? { yref: panel.axis, y0: state.low === null ? panel.range[0] : state.low * scale,
                    y1: state.high === null ? panel.range[1] : state.high * scale }
        : { yref: "paper", y0: 0, y1: 1 }),
    });
  }
  return shapes;
}

/** Show where the selected exposure stands in time, without drawing the chart anew. */
export function markSelected() {
  const line = find("trends-mark"), one = findExposure(state.selected), element = find("trends");
  line.hidden = true;
  if (!one || one.exposed === null || !panels.length) return;
  const share = (convertTime(one.exposed) - times[0]) / (times[1] - times[0]);
  line.style.left = `${Math.round(MARGIN.l + share * (element.clientWidth - MARGIN.l - MARGIN.r))}px`;
  line.style.height = `${panels.length * (HEIGHT + WORDS)}px`;
  line.hidden = false;
}

function listen(element, onSelect) {
  const findOne = ({ points }) => {
    const point = points.find(({ curveNumber }) => traced[curveNumber]?.length);
    return point && traced[point.curveNumber][point.pointNumber];
  };
  element.on("plotly_hover", (event) => showHover(findOne(event), event.event));
  element.on("plotly_unhover", hideHover);
  element.on("plotly_click", (event) => {
    const one = findOne(event);
    if (one) onSelect(one);
  });
  element.on("plotly_selected", (event) => event?.range && takeBrush(event.range));
  element.addEventListener("dblclick", clearBrush);
  new ResizeObserver(() => markSelected()).observe(element);
}

/** Make a brush of the box that was drawn: times, unless it takes in all of them; values, likewise. */
function takeBrush(range) {
  const axis = Object.keys(range).find((name) => name.startsWith("y"));
  const panel = panels.find((one) => one.axis === axis);
  const [from, to] = range.x.map(revertTime).sort((one, other) => one - other);
  const [low, high] = range[axis].slice().sort((one, other) => one - other);
  const span = panel.range[1] - panel.range[0];
  const tall = low <= panel.range[0] + 0.01 * span && high >= panel.range[1] - 0.01 * span;
  const wide = from <= exposures[0].exposed && to >= exposures.at(-1).exposed;
  const round = (value) => Number((value / panel.column.scale).toPrecision(5));
  change({
    from: wide ? null : Math.floor(from), to: wide ? null : Math.ceil(to),
    in: tall ? null : panel.name, low: tall ? null : round(low),
    high: tall || high >= panel.range[1] ? null : round(high),
  });
}

/** Return the explanation of symbols that stands below the chart. */
export function constructLegend() {
  return ["good", "bad", "edge", "dim"].map((name) => make("span", { class: `key ${name}` }, {
    good: "good", bad: "beyond a limit", edge: "beyond the range of the chart", dim: "not chosen",
  }[name]));
}
