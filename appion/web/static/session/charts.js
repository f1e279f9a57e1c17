// Plotly, loaded after everything else is on the page, and how every chart looks.

let loading = null;

/** Return a promise of Plotly; its script is large, so that nothing waits for it that can do without. */
export function loadPlotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.getElementById("session").dataset.plotly;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("Plotly could not be loaded"));
    document.head.append(script);
  });
  return loading;
}

/** Up to so many exposures each has its point in every chart. */
export const MANY = 600;

/** Return every so manyth of a list, that no more than `most` are left, the last among them. */
export function thin(list, most) {
  if (list.length <= most) return list;
  const step = list.length / most;
  return Array.from({ length: most }, (_, place) => list[Math.ceil((place + 1) * step) - 1]);
}

/** Return the page's colours by name, as they are now, light or dark. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ground", "raised", "line", "grid", "text", "quiet", "good", "bad", "dim", "asked", "band"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** Call a function when the page turns light or dark. */
export function onTheme(call) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", call);
}

/** Options of every chart: nothing that would need styles or addresses of its own. */
export const CONFIG = { displayModeBar: false, responsive: true, showTips: false, doubleClick: false };

/** Return what every layout begins with. */
export function constructLayout(colours) {
  return {
    font: { family: "system-ui, sans-serif", size: 12, color: colours.quiet },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, autosize: true,
  };
}

/** Return what every axis begins with. */
export function constructAxis(colours) {
  return {
    gridcolor: colours.grid, linecolor: colours.line, zeroline: false, fixedrange: true, automargin: false,
    tickfont: { size: 11 },
  };
}

/** Return a time (s since 1970) as Plotly's axes take it: ms, in this computer's time zone. */
export function convertTime(seconds) {
  return seconds * 1000 - new Date(seconds * 1000).getTimezoneOffset() * 60000;
}

/** Return what Plotly's axes give as a time, in s since 1970. */
export function revertTime(value) {
  const ms = typeof value === "number" ? value : Date.parse(`${String(value).replace(" ", "T")}Z`);
  const local = new Date(ms);
  return new Date(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate(), local.getUTCHours(),
    local.getUTCMinutes(), local.getUTCSeconds(), local.getUTCMilliseconds()).getTime() / 1000;
}
