// The strip at the top: is it good, is it getting worse, how far are things, and is this page live.

import { exposures } from "./data.js";
import { find, make, write } from "./dom.js";
import { formatShare, formatTime } from "./format.js";
import { countGood, listBrushed } from "./judge.js";
import { isBrushed, state } from "./state.js";

const VERDICTS = { ok: "All is well", trouble: "Trouble", stopped: "Not running" };
const WORST = ["trouble", "stopped", "ok"];
const COUNTS = [["taken", "taken"], ["corrected", "corrected"], ["ctf", "CTF"], ["set_aside", "set aside"]];

/** Show what the server says of the session. */
export function drawSummary(summary) {
  const verdict = WORST.includes(summary.verdict) ? summary.verdict : "stopped";
  find("strip").className = `strip ${verdict}`;
  write(find("verdict"), VERDICTS[verdict]);
  const sentences = summary.sentences?.length ? summary.sentences : ["Nothing stands out in the numbers."];
  fill(find("sentences"), sentences.map((text) => text[0].toUpperCase() + text.slice(1)));
  fill(find("trouble"), summary.trouble ?? []);
  fill(find("runs-said"), summary.runs ?? []);
  find("runs-more").hidden = !summary.runs?.length;
  const numbers = COUNTS.map(([name, words]) => [words, summary.counts?.[name]]);
  numbers.push(["behind", summary.behind_minutes, "min", 1], ["per hour", summary.per_hour, "", 0]);
  const list = find("counts");
  if (!list.children.length) {
    list.append(...numbers.map(([words]) => make("div", { "data-count": words }, make("dt", {}, words), make("dd"))));
  }
  for (const [place, [, value, unit, digits]] of numbers.entries()) {
    const known = typeof value === "number";
    write(list.children[place].lastChild, known ? `${value.toFixed(digits ?? 0)}${unit ? ` ${unit}` : ""}` : "–");
  }
}

function fill(list, texts) {
  if (JSON.stringify([...list.children].map((one) => one.textContent)) === JSON.stringify(texts)) return;
  list.replaceChildren(...texts.map((text) => make("li", {}, text)));
}

/** Show how many are good by the limits of this page. */
export function drawGood() {
  const brushed = listBrushed(), [good, known] = countGood(brushed);
  write(find("good-count"), `${good} of ${known}`);
  write(find("good-share"), known ? `${formatShare(good, known)} good` : "nothing to judge yet");
  find("good-bar").value = known ? good / known : 0;
  find("brush-clear").hidden = !isBrushed();
  const parts = [];
  if (state.from !== null || state.to !== null) {
    parts.push(`${state.from === null ? "until" : formatTime(state.from)}${state.from !== null && state.to !== null
      ? " to " : state.from === null ? " " : " and later"}${state.to === null ? "" : formatTime(state.to)}`);
  }
  if (state.in) parts.push(`chosen by ${state.in.replaceAll("_", " ")}`);
  if (state.square !== null || state.hole !== null) parts.push("of one grid square or hole");
  write(find("brush-words"), isBrushed()
    ? `${brushed.length} of ${exposures.length} exposures chosen: ${parts.join(", ")}` : `All ${exposures.length} exposures`);
}

/** Say that the page is live, and when something new came last. */
export function showLive(news) {
  const live = find("live");
  live.className = "live on";
  write(live.querySelector(".words"), "Live");
  if (news || !find("news").textContent) write(find("news"), `, last news ${formatTime(Date.now() / 1000, false)}`);
}

/** Say that the page is not live, and why. */
export function showSilence(reason) {
  const live = find("live");
  if (live.className !== "live off") write(find("news"), `, since ${formatTime(Date.now() / 1000, false)}: ${reason}`);
  live.className = "live off";
  write(live.querySelector(".words"), "Not live");
}
