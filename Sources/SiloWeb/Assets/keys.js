// The keyboard: every key does what a link or a button on the page does as well. The help page lists them.
import { pause } from "./live.js";

let isGoing = false;

/** Gives each entry of the menu a letter: the first of its title that is free. */
function letters() {
  const taken = new Map();
  for (const link of document.querySelectorAll(".menu a")) {
    const letter = [...link.textContent.toLowerCase()].find((letter) => /[a-z]/.test(letter) && !taken.has(letter));
    if (letter) taken.set(letter, link);
  }
  return taken;
}

/** Underlines the letters while one is waited for. */
function going(is) {
  isGoing = is;
  document.body.classList.toggle("going", is);
  for (const [letter, link] of letters()) {
    const text = link.textContent;
    if (!is) {
      link.textContent = text;
      continue;
    }
    const at = text.toLowerCase().indexOf(letter);
    const mark = document.createElement("u");
    mark.textContent = text[at];
    link.replaceChildren(text.slice(0, at), mark, text.slice(at + 1));
  }
}

function rows() { return [...document.querySelectorAll("main tbody tr")].filter((row) => row.offsetParent); }

/** Goes from row to row: to the link in it, or to the row itself. */
function step(by) {
  const all = rows();
  const now = all.findIndex((row) => row.contains(document.activeElement));
  const row = all[Math.max(0, Math.min(all.length - 1, now < 0 ? (by > 0 ? 0 : all.length - 1) : now + by))];
  if (!row) return;
  const target = row.querySelector("a") ?? row.querySelector("button, input") ?? row;
  if (target === row) row.tabIndex = -1;
  target.focus();
  row.scrollIntoView({ block: "nearest" });
}

const actions = {
  "/": () => document.getElementById("search")?.focus(),
  "?": () => location.assign("/help"),
  g: () => going(true),
  j: () => step(1),
  k: () => step(-1),
  n: () => document.querySelector("a[rel=next]")?.click(),
  p: () => pause(),
};

export function start() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") {
      if (isGoing) going(false);
      else if (document.activeElement?.matches("input, select, textarea")) document.activeElement.blur();
      return;
    }
    if (event.target.closest?.("input:not([type=checkbox]), select, textarea, [contenteditable]")) return;
    if (isGoing) {
      const link = letters().get(event.key.toLowerCase());
      going(false);
      if (link) {
        event.preventDefault();
        link.click();
      }
      return;
    }
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
