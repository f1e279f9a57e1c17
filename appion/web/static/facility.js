// The page of all runs: its rows are drawn anew when the server says something else.

const EVERY = 5000; // milliseconds
const WORDS = { ok: "well", trouble: "trouble", stopped: "not running" };
const SHORT = { ctf_resolution: "resolution" };
const SVG = "http://www.w3.org/2000/svg";

const table = document.getElementById("runs");
const body = table.tBodies[0];
const waiting = document.getElementById("waiting");
const waitingHeads = Array.from(waiting.tHead.rows[0].cells, (cell) => cell.textContent);
const heads = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);

function add(parent, name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined && text !== null) element.textContent = text;
  if (className) element.className = className;
  parent.append(element);
  return element;
}

function addCell(row, text) {
  return add(row, "td", text ?? "–", "number");
}

function drawTrend(cell, { trend: values, trend_of: of, trend_words: long, trend_unit: unit }) {
  const known = values.filter((value) => value !== null);
  if (!known.length) {
    cell.textContent = "–";
    return;
  }
  const words = SHORT[of] ?? long;
  const low = Math.min(...known);
  const range = Math.max(...known) - low || 1;
  const svg = document.createElementNS(SVG, "svg");
  const last = known[known.length - 1];
  svg.setAttribute("viewBox", "0 0 96 24");
  svg.setAttribute("class", "trend");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${words} ${known[0]} to ${last} ${unit}`);
  const points = values.map((value, step) => (value === null ? null : [2 + (step * 92) / (values.length - 1), 21 - (18 * (value - low)) / range]));
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.filter(Boolean).map((point) => point.map((number) => number.toFixed(1)).join(",")).join(" "));
  svg.append(line);
  const [x, y] = points.filter(Boolean).at(-1);
  const dot = document.createElementNS(SVG, "circle");
  dot.setAttribute("cx", x.toFixed(1));
  dot.setAttribute("cy", y.toFixed(1));
  dot.setAttribute("r", "2");
  svg.append(dot);
  cell.append(svg);
  add(cell, "span", `${words} ${last} ${unit}`, "quiet small");
}

function drawRow(run) {
  const row = document.createElement("tr");
  row.className = run.verdict;
  row.dataset.session = run.session;
  const verdict = add(row, "td");
  const light = add(verdict, "span", null, "light");
  light.setAttribute("aria-hidden", "true");
  add(verdict, "strong", WORDS[run.verdict], "word");
  if (run.words !== "WELL: running") add(verdict, "div", run.words, "quiet small says");
  const session = add(row, "th");
  session.scope = "row";
  if (run.url) {
    add(session, "a", run.session).href = run.url;
  } else {
    session.textContent = run.session;
  }
  add(session, "div", run.microscope, "quiet small");
  add(row, "td", `${run.kind_words}, ${run.run}`);
  for (const name of ["taken", "corrected", "ctf", "set_aside"]) addCell(row, run[name]);
  addCell(row, run.behind_minutes === null ? null : Math.round(run.behind_minutes));
  addCell(row, run.per_hour === null ? null : Math.round(run.per_hour));
  addCell(row, run.good);
  drawTrend(add(row, "td"), run);
  const workers = add(row, "td", run.workers);
  add(workers, "div", run.disk, "quiet small");
  const waits = add(row, "td");
  add(waits, "div", run.waits || "–", "waits").title = run.waits;
  Array.from(row.cells).forEach((cell, column) => (cell.dataset.label = heads[column]));
  return row;
}

function drawWaiting(run) {
  const row = document.createElement("tr");
  row.className = run.verdict;
  row.dataset.session = run.session;
  const state = add(row, "td");
  if (run.verdict === "trouble") add(state, "span", null, "light").setAttribute("aria-hidden", "true");
  add(state, "strong", run.state, "word");
  const session = add(row, "th", run.session);
  session.scope = "row";
  add(row, "td", run.run || "–");
  add(row, "td", run.profile);
  add(row, "td", run.why || "–");
  add(row, "td", run.since === null ? "–" : new Date(1000 * run.since).toLocaleString("en-GB"));
  Array.from(row.cells).forEach((cell, column) => (cell.dataset.label = waitingHeads[column]));
  return row;
}

function drawKeeper(keeper) {
  const section = document.getElementById("keeper");
  section.hidden = !keeper;
  if (!keeper) return;
  document.getElementById("keeper-words").textContent = `The keeper: ${keeper.words}`;
  waiting.tBodies[0].replaceChildren(...keeper.waiting.map(drawWaiting));
  if (!keeper.waiting.length) add(add(waiting.tBodies[0], "tr"), "td", "All that it looks after is started.").colSpan = 6;
}

function draw(facility) {
  body.replaceChildren(...facility.rows.map(drawRow));
  if (!facility.rows.length) add(add(body, "tr"), "td", "No run is alive, and none was within a day.").colSpan = 13;
  const running = facility.rows.filter((run) => run.verdict !== "stopped").length;
  const troubled = [...facility.rows, ...(facility.keeper?.waiting ?? [])].filter((run) => run.verdict === "trouble");
  say(`${running} running, ${troubled.length} in trouble`);
  drawKeeper(facility.keeper);
  const problems = document.getElementById("problems");
  problems.replaceChildren();
  for (const problem of facility.problems ?? []) add(problems, "li", problem);
  problems.hidden = !problems.children.length;
}

function say(words) {
  const summary = document.getElementById("summary");
  if (summary.textContent !== words) summary.textContent = words;
}

async function ask() {
  try {
    const answer = await fetch(table.dataset.url, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error((await answer.json()).error);
    draw(await answer.json());
  } catch (error) {
    say(`What is shown is old: ${error.message || "the server does not answer"}`);
  }
  setTimeout(ask, EVERY);
}

draw(JSON.parse(document.getElementById("facility").textContent));
setTimeout(ask, EVERY);
