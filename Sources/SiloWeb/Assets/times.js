// Times: how long ago, kept current, with the exact time in the viewer's zone on hover.
const exact = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, timeZoneName: "short",
});

const units = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];

function relative(milliseconds) {
  if (Math.abs(milliseconds) < 1000) return "now";
  const seconds = Math.floor(Math.abs(milliseconds) / 1000);
  const [, size, unit] = units.find(([bound]) => seconds < bound);
  const length = `${Math.floor(seconds / size)} ${unit}`;
  return milliseconds > 0 ? `${length} ago` : `in ${length}`;
}

/** Writes the times below an element; those that are new get their exact time too. */
export function write(root = document) {
  for (const element of root.querySelectorAll("time[data-at]")) {
    const at = Number(element.dataset.at);
    const text = relative(Date.now() - at);
    if (element.textContent !== text) element.textContent = text;
    if (!element.dataset.exact) {
      const date = new Date(at);
      if (Number.isNaN(date.getTime())) continue;
      element.title = exact.format(date);
      element.dataset.exact = "yes";
    }
  }
}

export function start() {
  const zone = document.getElementById("zone");
  if (zone) zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
  write();
  setInterval(() => { if (!document.hidden) write(); }, 1000);
}
