// Keeps the parts of a page current that change: the server renders them and sends those that differ.
import { write as writeTimes } from "./times.js";

const again = 5000;
let source = null;
let isPaused = false;
let timer = 0;

/** Says how current the page is, on the button that stops and continues that; `out`: it is current no more until it is reloaded. */
export function tell(state, text) {
  const element = document.getElementById("live");
  if (!element) return;
  element.hidden = false;
  element.dataset.state = state;
  element.title = { on: "Stop live updates", paused: "Continue live updates", out: "Reload this page" }[state] ?? "";
  if (element.textContent === text) return;
  element.textContent = text;
  document.getElementById("live-said").textContent = text;
}

function press(event) {
  if (event.currentTarget.dataset.state === "out") location.reload();
  else pause();
}

/** Puts what changed in its place. What the viewer selected, scrolled or stands on stays. */
function show(regions) {
  for (const [id, html] of Object.entries(regions)) {
    const element = document.getElementById(id);
    const active = document.activeElement;
    if (!element || element.contains(active) && active.matches("input, select, textarea")) continue;
    const selection = getSelection();
    if (selection && !selection.isCollapsed && element.contains(selection.anchorNode)) continue;
    const scrolled = [...element.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    const focused = [...element.querySelectorAll("a, button, [tabindex]")].indexOf(document.activeElement);
    element.innerHTML = html;
    element.querySelectorAll(".scroll").forEach((box, index) => { box.scrollLeft = scrolled[index] ?? 0; });
    if (focused >= 0) element.querySelectorAll("a, button, [tabindex]")[focused]?.focus({ preventScroll: true });
    writeTimes(element);
    element.dispatchEvent(new CustomEvent("silo:updated", { bubbles: true }));
  }
}

/** The stream ended for good: because nobody is signed in any more, there is no room, or the server is away. */
async function lost(url) {
  close();
  try {
    const answer = await fetch("/session", { cache: "no-store" });
    if (answer.status === 401) return tell("out", "Signed out: reload to sign in");
    tell("off", "Live updates are full: trying again");
  } catch {
    tell("off", "The server does not answer: trying again");
  }
  timer = setTimeout(() => open(url), again);
}

function open(url) {
  close();
  if (isPaused || document.hidden) return;
  source = new EventSource(url);
  source.addEventListener("hello", (event) => {
    // Another build has other scripts and other pages.
    if (event.data !== document.documentElement.dataset.build) return location.reload();
    tell("on", "Live");
  });
  source.addEventListener("regions", (event) => show(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (source?.readyState === EventSource.CLOSED) return lost(url);
    tell("off", "The server does not answer: trying again");
  });
}

function close() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

export function start() {
  document.getElementById("live")?.addEventListener("click", press);
  const url = document.querySelector("[data-live]")?.dataset.live;
  if (!url) return;
  open(url);
  // Nobody looks at a hidden page.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open(url)));
  addEventListener("pagehide", close);
}

/** Whether the viewer wants no updates now. */
export function isHeld() { return isPaused; }

/** Stops updates until it is called again. */
export function pause() {
  const url = document.querySelector("[data-live]")?.dataset.live;
  if (!url && !document.querySelector("[data-refresh]")) return;
  isPaused = !isPaused;
  if (isPaused) {
    close();
    tell("paused", "Paused");
  } else if (url) {
    open(url);
  } else {
    tell("on", "Live");
  }
}
