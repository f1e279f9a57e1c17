// How the numbers of the chosen exposures are spread, and astigmatism as a vector. Drawn when they come into view.

import { CONFIG, constructAxis, constructLayout, loadPlotly, MANY, onTheme, readColours } from "./charts.js";
import { find, make } from "./dom.js";
import { calcQuantile, formatValue, listFurther, nameColumn, sortValues } from "./format.js";
import { state } from "./state.js";

const SHOWN = ["drift", "ctf_resolution", "confidence", "defocus", "astigmatism", "ice_ring"];
const BINS = 40;
const SIZE = { height: 190, margin: { l: 40, r: 10, t: 6, b: 40 } };

/** Prepare the charts; the returned function draws them anew with the chosen exposures. */
export async function prepareHistograms(columns, onSelect) {
  const Plotly = await loadPlotly();
  const box = find("histograms");
  let last = null, seen = false;
  const draw = async (brushed) => {
    last = brushed;
    if (!seen) return;
    const colours = readColours();
    for (const name of [...SHOWN, ...listFurther(columns)]) {
      await drawHistogram(Plotly, box, columns.get(name), brushed, colours);
    }
    await drawVectors(Plotly, columns, brushed, colours, onSelect);
  };
  onTheme(() => last && draw(last));
  new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting || seen) return;
    seen = true;
    if (last) draw(last);
  }, { rootMargin: "400px" }).observe(find("spread"));
  return draw;
}

async function drawHistogram(Plotly, box, column, brushed, colours) {
  const sorted = column ? sortValues(brushed, column.name) : [];
  let chart = box.querySelector(`[data-column="${column?.name}"]`);
  if (!sorted.length) {
    if (chart) chart.hidden = true;
    return;
  }
  chart ??= box.appendChild(make("div", { class: "chart", role: "img", "data-column": column.name }));
  chart.hidden = false;
  chart.setAttribute("aria-label", `${column.words}: median ${formatValue(column, calcQuantile(sorted, 0.5))}, ` +
    `90 % up to ${formatValue(column, calcQuantile(sorted, 0.9))}, of ${sorted.length}`);
  const low = calcQuantile(sorted, 0.005) * column.scale, high = calcQuantile(sorted, 0.99) * column.scale;
  const size = (high - low || Math.abs(high) || 1) / BINS;
  const xbins = { start: low - size, end: high + 2 * size, size };
  const traces = [["good", "good"], ["bad", "bad"], ["unknown", "quiet"]].map(([grade, colour]) => ({
    type: "histogram", xbins, marker: { color: colours[colour] }, hoverinfo: "x+y",
    x: brushed.filter((one) => typeof one[column.name] === "number" && pickGrade(one) === grade)
      .map((one) => Math.min(one[column.name] * column.scale, high + size)),
  })).filter(({ x }) => x.length);
  const limit = state.limits[column.name];
  const at = limit === undefined ? null : limit * column.scale;
  const layout = {
    ...constructLayout(colours), ...SIZE, barmode: "stack", bargap: 0.05,
    xaxis: { ...constructAxis(colours), title: constructTitle(nameColumn(column), colours), showgrid: false, nticks: 6,
             range: [Math.min(low - size, at ?? low), Math.max(high + 2 * size, at ?? high)] },
    yaxis: { ...constructAxis(colours), nticks: 4, rangemode: "tozero" },
    shapes: at === null ? [] : [{ type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1,
                                  line: { color: colours.text, width: 1.5, dash: "dash" } }],
  };
  await Plotly.react(chart, traces, layout, CONFIG);
}

const constructTitle = (text, colours) => ({ text, standoff: 6, font: { size: 12, color: colours.text } });

const pickGrade = (one) => (one.grade === "good" || one.grade === "bad" ? one.grade : "unknown");

/** Astigmatism as a vector: its axis counts once around in half a turn, so the angle is twice that of the axis. */
async function drawVectors(Plotly, columns, brushed, colours, onSelect) {
  const column = columns.get("astigmatism"), chart = find("vectors");
  const known = brushed.filter((one) => typeof one.astigmatism === "number" && typeof one.astigmatism_axis === "number")
    .slice(-MANY);
  find("vectors-box").hidden = !known.length;
  if (!known.length) return;
  const reach = 1.15 * calcQuantile(sortValues(known, "astigmatism"), 0.995) || 1;
  const points = known.map((one) => {
    const length = Math.min(one.astigmatism, reach), angle = (2 * one.astigmatism_axis * Math.PI) / 180;
    return [length * Math.cos(angle), length * Math.sin(angle)];
  });
  const newest = Math.max(0, known.length - 20);
  const trace = (from, to, marker) => ({
    type: "scatter", mode: "markers", hoverinfo: "none", marker,
    x: points.slice(from, to).map(([x]) => x), y: points.slice(from, to).map(([, y]) => y),
  });
  const axis = { ...constructAxis(colours), range: [-reach, reach], nticks: 5, zeroline: true,
                 zerolinecolor: colours.line };
  const mean = points.reduce(([x, y], [one, other]) => [x + one / points.length, y + other / points.length], [0, 0]);
  const size = Math.hypot(...mean), turned = (Math.atan2(mean[1], mean[0]) * 90) / Math.PI;
  find("vectors-words").textContent = `On average ${formatValue(column, size)} at ${turned.toFixed(0)}° ` +
    `of the last ${known.length}; the newest 20 stand out. Away from the centre: the stigmator is off.`;
  const layout = {
    ...constructLayout(colours), height: 380, margin: { l: 52, r: 10, t: 6, b: 42 }, hovermode: "closest",
    xaxis: { ...axis, title: constructTitle("along 0° (right) or 90° (left) (Å)", colours) },
    yaxis: { ...axis, title: constructTitle("along 45° (up) or -45° (down) (Å)", colours), scaleanchor: "x" },
  };
  await Plotly.react(chart, [
    trace(0, newest, { color: colours.good, size: 4, opacity: 0.35 }),
    trace(newest, known.length, { color: colours.text, size: 7, symbol: "circle-open", line: { width: 1.5 } }),
  ], layout, CONFIG);
  chart.known = known;
  if (chart.dataset.ready) return;
  chart.dataset.ready = "yes";
  chart.on("plotly_click", ({ points: [point] }) => {
    const start = point.curveNumber ? Math.max(0, chart.known.length - 20) : 0;
    onSelect(chart.known[start + point.pointNumber]);
  });
}
