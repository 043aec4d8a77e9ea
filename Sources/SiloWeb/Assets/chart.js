// Shows the values of a chart under the pointer. They are read from the lines, which the server draws in a box of 720 by 160.
const width = 720;
const height = 160;
const top = 8;

function points(path) {
  return [...path.getAttribute("d").matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);
}

function value(y, svg) {
  const [low, high] = [Number(svg.dataset.low), Number(svg.dataset.high)];
  const share = (height - y) / (height - top);
  return svg.dataset.scale === "logarithmic" ? low * (high / low) ** share : low + (high - low) * share;
}

function digits(number) {
  const size = Math.abs(number);
  if (size >= 999.5) {
    const [factor, unit] = size >= 999500 ? [1e6, " M"] : [1e3, " k"];
    return digits(number / factor) + unit;
  }
  return String(Number(number.toPrecision(3)));
}

function text(number, svg) {
  if (svg.dataset.scale !== "logarithmic") return digits(number);
  const units = [[5400000, 3600000, "h"], [99950, 60000, "min"], [999.5, 1000, "s"], [0, 1, "ms"]];
  const [, factor, unit] = units.find(([bound]) => number >= bound);
  return `${digits(number / factor)} ${unit}`;
}

/** Where a point is, of a chart over something else than the last minutes. */
function place(svg, x) {
  const [from, to] = [Number(svg.dataset.from), Number(svg.dataset.to)];
  const at = from + ((to - from) * x) / width;
  return svg.dataset.x === "time" ? new Date(at).toLocaleString() : digits(at);
}

function ago(svg, x) {
  if (svg.dataset.x) return place(svg, x);
  const seconds = Math.round((1 - x / width) * Number(svg.dataset.span) * (Number(svg.dataset.slots) - 1));
  if (seconds < Number(svg.dataset.span)) return "now";
  const clock = new Date(Date.now() - seconds * 1000);
  const parts = { hour: "2-digit", minute: "2-digit" };
  return clock.toLocaleTimeString(undefined, seconds < 3600 ? { ...parts, second: "2-digit" } : parts);
}

function readout(plot, clientX) {
  const svg = plot.querySelector("svg");
  const box = svg.getBoundingClientRect();
  const wanted = Math.max(0, Math.min(1, (clientX - box.left) / box.width)) * width;
  const values = [];
  let at = wanted;
  for (const path of svg.querySelectorAll(".line")) {
    const all = points(path);
    if (!all.length) continue;
    const nearest = all.reduce((best, point) => (Math.abs(point[0] - wanted) < Math.abs(best[0] - wanted) ? point : best));
    if (Math.abs(nearest[0] - wanted) > width / 20) continue;
    at = nearest[0];
    values.push(`${path.dataset.name} ${text(value(nearest[1], svg), svg)}`);
  }
  return { at, text: values.length ? `${ago(svg, at)}: ${values.join(", ")}` : "" };
}

let held = null;

function show(plot, clientX) {
  let mark = plot.querySelector(".mark-line");
  let label = plot.parentElement.querySelector(".readout");
  const found = readout(plot, clientX);
  if (!found.text) return hide(plot);
  if (!mark) {
    mark = document.createElement("span");
    mark.className = "mark-line";
    plot.append(mark);
  }
  if (!label) {
    label = document.createElement("p");
    label.className = "readout";
    plot.parentElement.append(label);
  }
  mark.style.left = `${(found.at / width) * 100}%`;
  label.textContent = found.text;
}

function hide(plot) {
  plot.querySelector(".mark-line")?.remove();
  plot.parentElement?.querySelector(".readout")?.remove();
}

export function start() {
  document.addEventListener("pointermove", (event) => {
    const plot = event.target.closest?.(".plot");
    if (held && held.plot !== plot) hide(held.plot);
    held = plot ? { plot, x: event.clientX } : null;
    if (held) show(held.plot, held.x);
  });
  // A chart that was drawn anew under the pointer shows what is there now.
  document.addEventListener("silo:updated", (event) => {
    const plot = event.target.querySelector(".plot:hover");
    if (plot && held) {
      held.plot = plot;
      show(plot, held.x);
    }
  });
}
