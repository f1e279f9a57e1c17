// The page of one exposure: size of the micrograph, which of its pictures, arrow keys, and what is still to come.

const LOOK_AGAIN = 10000; // milliseconds
const SIZES = [100, 150, 200, 300, 400, 600, 800];

const zoom = document.getElementById("zoom");
const picture = document.getElementById("micrograph");
const loading = document.getElementById("loading");
let size = 0;

function setSize(wanted) {
  if (!zoom) return;
  const x = (zoom.scrollLeft + zoom.clientWidth / 2) / zoom.scrollWidth;
  const y = (zoom.scrollTop + zoom.clientHeight / 2) / zoom.scrollHeight;
  size = Math.max(0, Math.min(SIZES.length - 1, wanted));
  picture.style.width = `${SIZES[size]}%`;
  zoom.scrollLeft = x * zoom.scrollWidth - zoom.clientWidth / 2;
  zoom.scrollTop = y * zoom.scrollHeight - zoom.clientHeight / 2;
}

function say(words) {
  loading.textContent = words;
}

if (zoom) {
  document.getElementById("larger").addEventListener("click", () => setSize(size + 1));
  document.getElementById("smaller").addEventListener("click", () => setSize(size - 1));
  document.getElementById("whole").addEventListener("click", () => setSize(0));
  zoom.addEventListener("keydown", (event) => {
    const step = { "+": size + 1, "=": size + 1, "-": size - 1, 0: 0 }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    setSize(step);
  });
  zoom.addEventListener("dblclick", () => setSize(size + 2));
  let grip = null;
  picture.draggable = false;
  zoom.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse") grip = [event.clientX + zoom.scrollLeft, event.clientY + zoom.scrollTop];
  });
  window.addEventListener("pointerup", () => (grip = null));
  zoom.addEventListener("pointermove", (event) => {
    if (grip) zoom.scrollTo(grip[0] - event.clientX, grip[1] - event.clientY);
  });
  for (const choice of document.querySelectorAll("input[name=micrograph]")) {
    choice.addEventListener("change", () => {
      say("The picture is being made …");
      picture.src = choice.value;
    });
  }
  picture.addEventListener("load", () => say(""));
  picture.addEventListener("error", () => say("There is no picture; its file may be away."));
  if (!picture.complete) say("The picture is being made …");
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const inside = event.target instanceof Element && event.target.closest("input, textarea, select, #zoom");
  const link = { ArrowLeft: "before", ArrowRight: "after" }[event.key];
  const there = link && !inside && document.getElementById(link);
  if (there) there.click();
});

const state = document.getElementById("state").dataset;
if ("live" in state && ["waiting", "corrected"].includes(state.state)) {
  setTimeout(() => location.reload(), LOOK_AGAIN);
}
