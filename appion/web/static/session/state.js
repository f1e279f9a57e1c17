// What a person has chosen: limits, brush, sort, filter, selected exposure. The address bar keeps it, so that a link
// shows the same.

const TEXTS = { sort: "-exposed", show: "all", find: "" };
const NUMBERS = ["from", "to", "low", "high", "square", "hole", "selected"];

/** limits: column -> number; in: column of the brush's low and high; the rest as its names say. */
export const state = { limits: {}, in: null, ...TEXTS, ...Object.fromEntries(NUMBERS.map((name) => [name, null])) };

let defaults = {};
const listeners = [];

/** Have a function called after each change, with the names of what has changed. */
export function onChange(listener) {
  listeners.push(listener);
}

/** Take the limits that the site begins with, and what the address says. */
export function readAddress(columns) {
  const words = new URLSearchParams(location.search);
  const judged = [...columns.values()].filter((column) => column.better);
  defaults = Object.fromEntries(judged.filter((column) => column.threshold !== null)
    .map((column) => [column.name, column.threshold]));
  state.limits = { ...defaults };
  for (const { name } of judged) {
    const text = words.get(`limit-${name}`);
    if (text === "none") delete state.limits[name];
    else if (text && Number.isFinite(Number(text))) state.limits[name] = Number(text);
  }
  for (const name of Object.keys(TEXTS)) state[name] = words.get(name) ?? TEXTS[name];
  for (const name of NUMBERS) {
    const text = words.get(name);
    state[name] = text && Number.isFinite(Number(text)) ? Number(text) : null;
  }
  state.in = columns.has(words.get("in")) ? words.get("in") : null;
}

/** Change what is chosen, write it into the address, and tell everybody. */
export function change(news) {
  const changed = Object.keys(news).filter((name) => news[name] !== state[name]);
  if (!changed.length) return;
  Object.assign(state, news);
  writeAddress();
  for (const listener of listeners) listener(new Set(changed));
}

/** Set the limit of a column, or remove it with null. */
export function changeLimit(name, value) {
  const limits = { ...state.limits };
  if (value === null) delete limits[name];
  else limits[name] = value;
  change({ limits });
}

/** Begin again with the limits of the site. */
export function resetLimits() {
  change({ limits: { ...defaults } });
}

/** Show all times, values, squares and holes again. */
export function clearBrush() {
  change({ from: null, to: null, in: null, low: null, high: null, square: null, hole: null });
}

/** Whether only a part is shown. */
export function isBrushed() {
  return ["from", "to", "in", "square", "hole"].some((name) => state[name] !== null);
}

function listWords() {
  const words = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (["project", "motion", "ctf"].includes(name)) words.set(name, value);
  }
  for (const name of new Set([...Object.keys(defaults), ...Object.keys(state.limits)])) {
    const value = state.limits[name];
    if (value !== defaults[name]) words.set(`limit-${name}`, value === undefined ? "none" : String(value));
  }
  for (const name of Object.keys(TEXTS)) if (state[name] !== TEXTS[name]) words.set(name, state[name]);
  for (const name of ["in", ...NUMBERS]) if (state[name] !== null) words.set(name, String(state[name]));
  return words;
}

// Browsers refuse to have the address changed too often.
let timer = 0;
function writeAddress() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const words = listWords().toString();
    history.replaceState(null, "", words ? `?${words}` : location.pathname);
  }, 200);
}
