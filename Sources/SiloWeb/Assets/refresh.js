// Parts of a page that are loaded anew while something goes on: the server says how often, and when it is over.
import { write as writeTimes } from "./times.js";

async function again(element) {
  if (document.hidden) return later(element);
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) return later(element);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = page.getElementById(element.id);
    if (!part) return;
    element.innerHTML = part.innerHTML;
    writeTimes(element);
    if (part.dataset.refresh) later(element);
    else takeButtons(page);
  } catch {
    // The server is away; it may come back.
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
  setTimeout(() => again(element), 1000 * Number(element.dataset.refresh));
}

export function start() {
  document.querySelectorAll("[data-refresh]").forEach(later);
}
