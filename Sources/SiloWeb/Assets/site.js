// What pages do beyond links and forms. Everything works without it, but for what is live.
import { start as live } from "./live.js";
import { start as charts } from "./chart.js";
import { start as keys } from "./keys.js";
import { start as times } from "./times.js";
import { start as refresh } from "./refresh.js";
import { start as tools } from "./tools.js";
import { start as sql } from "./sql.js";

document.documentElement.classList.add("scripts");
times();
charts();
keys();
refresh();
tools();
sql();
live();

// A second press while the first is on its way would be refused by the server; it need not be sent.
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) return event.preventDefault();
  if (form.method === "post") form.dataset.sent = "yes";
});
// A page that comes back from the browser's memory may send its forms anew.
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
