// The exposures of the session: asked for once, and then again and again what is new.

const INTERVAL = 2000;
const LONGEST = 30000;

/** In the order of their time. */
export const exposures = [];
const byId = new Map();

/** Which runs are shown, as addresses say it; set by the page. */
export const query = document.getElementById("session").dataset.query;

/** Return the address of something of this session, with the runs that are shown. */
export function locate(path, words = "") {
  const all = [words, query].filter(Boolean).join("&");
  return all ? `${path}?${all}` : path;
}

/** Return the address of an exposure's page. */
export const locateExposure = (exposure) => locate(`exposure/${exposure.id}/`);

/** Return an exposure by its id. */
export const findExposure = (id) => byId.get(id);

/** Return the answer to a question as JSON; an error says why there is none. */
export async function ask(path, words = "") {
  const response = await fetch(locate(path, words), { headers: { Accept: "application/json" }, cache: "no-cache" });
  if (response.ok) return response.json();
  const answer = await response.json().catch(() => ({}));
  throw new Error([answer.error ?? `The server answers ${response.status}.`, answer.remedy].filter(Boolean).join(" "));
}

/**
 * Ask for what is new, at once and then every two seconds; more rarely while the server does not answer.
 * onNews gets (the ids that are new or changed, the summary), onSilence the reason.
 */
export async function follow(onNews, onSilence) {
  let cursor = "", wait = INTERVAL;
  for (;;) {
    try {
      const answer = await ask("series.json", cursor ? `since=${encodeURIComponent(cursor)}` : "");
      cursor = answer.cursor;
      wait = INTERVAL;
      onNews(takeIn(answer), answer.summary);
    } catch (error) {
      wait = Math.min(LONGEST, wait * 2);
      onSilence(error instanceof TypeError ? "The server does not answer." : error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/** Add what an answer brings; return its ids. */
function takeIn({ full, order, columns, states, reasons }) {
  if (full) {
    byId.clear();
    exposures.length = 0;
  }
  const names = Object.keys(columns);
  let sorted = true;
  for (const [row, id] of order.entries()) {
    let exposure = byId.get(id);
    if (!exposure) {
      exposure = { id };
      byId.set(id, exposure);
      exposures.push(exposure);
    }
    for (const name of names) exposure[name] = columns[name][row];
    exposure.state = states[row];
    exposure.reason = reasons[row];
    sorted = false;
  }
  if (!sorted) exposures.sort((one, other) => (one.exposed ?? 0) - (other.exposed ?? 0) || one.id - other.id);
  return order;
}
