// Parts of a page that are loaded anew: while something goes on the server says how often, and when it is over; others follow what
// another part says.
import { isHeld, tell } from "./live.js";
import { write as writeTimes } from "./times.js";

async function again(element) {
  if (document.hidden || isHeld()) return later(element);
  try {
    // What an action has to tell is for a page that somebody opens.
    const answer = await fetch(location.href, { cache: "no-store", redirect: "manual", headers: { "Silo-Refresh": "yes" } });
    if (answer.type === "opaqueredirect") return tell("out", "Signed out: reload to sign in");
    if (!answer.ok) {
      tell("off", "The server does not answer well: trying again");
      return later(element);
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = page.getElementById(element.id);
    if (!part) return tell("out", "There is more to see: reload");
    element.innerHTML = part.innerHTML;
    if (part.dataset.at) element.dataset.at = part.dataset.at;
    writeTimes(element);
    if (part.dataset.refresh) {
      tell("on", "Live");
      return later(element);
    }
    delete element.dataset.refresh;
    if (!document.querySelector("[data-live]")) tell("done", "Done");
    takeButtons(page);
  } catch {
    // It may come back.
    tell("off", "The server does not answer: trying again");
    later(element);
  }
}

// What can be done about it is another thing when it is over.
function takeButtons(page) {
  const shown = document.querySelector(".heading .buttons");
  const now = page.querySelector(".heading .buttons");
  if (shown && now) shown.replaceWith(now);
  else shown?.remove();
}

function later(element) {
  setTimeout(() => again(element), 1000 * Number(element.dataset.refresh ?? 5));
}

function follow({ target }) {
  for (const element of document.querySelectorAll(`[data-follows="${target.id}"]`)) {
    if (element.dataset.at === target.textContent) continue;
    // What was chosen stays.
    if (element.querySelector(":checked")) tell("out", "There is more to see: reload");
    else again(element);
  }
}

export function start() {
  document.querySelectorAll("[data-refresh]").forEach(later);
  document.addEventListener("silo:updated", follow);
}
