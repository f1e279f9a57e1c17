// Columns, numbers and times as the page shows them: defocus in µm, everything else in the unit of its column.

const MICRONS = new Set(["defocus", "defocus1", "defocus2", "defocus_error", "defocus_nominal"]);

/** Return the columns by name, each with the factor by which its values are shown. */
export function prepareColumns(list) {
  return new Map(list.map((column) => [column.name, MICRONS.has(column.name)
    ? { ...column, scale: 1e-4, unit: "µm", digits: 2 } : { ...column, scale: 1 }]));
}

/** Return the names of the columns of steps that other packages bring, which are shown behind all others. */
export const listFurther = (columns) => [...columns.values()].filter(({ step }) => step).map(({ name }) => name);

/** Return a value with the digits of its column, and its unit; "–" for what is not known. */
export function formatValue(column, value, withUnit = true) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  const text = (value * column.scale).toFixed(column.digits ?? 0);
  return withUnit && column.unit ? `${text} ${column.unit}` : text;
}

/** Return a limit with no more digits than it needs, without its unit. */
export function formatLimit(column, value) {
  return String(Number((value * column.scale).toPrecision(4)));
}

/** Return the words of a column and its unit: "drift (Å)". */
export function nameColumn(column) {
  const words = column.words[0].toUpperCase() + column.words.slice(1);
  return column.unit ? `${words} (${column.unit})` : words;
}

/** Return a time (s since 1970) as this computer's clock shows it; with the day, of this year's without the year. */
export function formatTime(seconds, withDay = true) {
  if (seconds === null || seconds === undefined) return "–";
  const time = new Date(seconds * 1000);
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(pad).join(":");
  const year = time.getFullYear() === new Date().getFullYear() ? "" : `${time.getFullYear()}-`;
  return withDay ? `${year}${pad(time.getMonth() + 1)}-${pad(time.getDate())} ${clock}` : clock;
}

const pad = (number) => String(number).padStart(2, "0");

/** Return a share in per cent: "83 %"; "–" of nothing. */
export function formatShare(part, whole) {
  return whole ? `${Math.round((100 * part) / whole)} %` : "–";
}

/** Return the value below which a share of sorted values lies; null if there are none. */
export function calcQuantile(sorted, share) {
  if (!sorted.length) return null;
  const place = (sorted.length - 1) * share, low = Math.floor(place);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (place - low);
}

/** Return the known values of a column of exposures, sorted. */
export function sortValues(exposures, name) {
  const values = [];
  for (const exposure of exposures) if (typeof exposure[name] === "number") values.push(exposure[name]);
  return Float64Array.from(values).sort();
}

/** Return the median of a column of exposures; null if no value is known. */
export function calcMedian(exposures, name) {
  return calcQuantile(sortValues(exposures, name), 0.5);
}
