"""bench/peers.svg: bars of the medians, readable on light and dark pages."""

from html import escape

from .rows import ROWS

WIDTH, LABELS, BAR, ROW, TITLE = 920, 130, 560, 20, 44
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600; font-size: 14px } .note { fill: #57606a }
  .peer { fill: #8c959f } .silo { fill: #d1480c } .tail { fill-opacity: .35 } .spread { stroke: #24292f }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #9da7b1 } .peer { fill: #768390 } .silo { fill: #ff8a4c } .spread { stroke: #e6edf3 }
  }"""


def svg(summaries):
    """`summaries`: of rows that ran at least once; others are left out."""
    rows = [row for row in summaries if row.runs]
    panels = []
    for batch, single in (("one job a call", True), ("many jobs a call", False)):
        for kind, client in (("compiled clients", "compiled"), ("clients in Python", "Python")):
            chosen = [row for row in rows if (ROWS[row.name].batch == 1) is single and row.told("client") == client]
            title = f"Life cycles a second, {batch}, {kind}"
            panels.append((title, "more is better; the line spans the runs", chosen, "rate", None))
    light = [row for row in rows if ROWS[row.name].batch == 1]
    for key, title in (("ack", "Enqueue acknowledged"), ("pick", "Job picked up"), ("done", "Job done")):
        panels.append((f"{title}, milliseconds after sending the enqueue, light load", "less is better; p50, pale to p99", light,
                       f"{key}_p50_ms", f"{key}_p99_ms"))
    panels.append(("Server CPU, microseconds a job", "less is better", rows, "server_us", None))
    body, top = [], 10
    for panel in panels:
        lines, height = draw(*panel, top)
        body += lines
        top += height
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" role="img">',
        "<title>Silo beside other queues</title>", f"<style>{STYLE}\n</style>", *body, "</svg>", ""])


def draw(title, note, rows, key, tail, top):
    """The lines of one panel and its height."""
    rows = sorted((row for row in rows if row[key] is not None), key=lambda row: row[key], reverse=key == "rate")
    if not rows:
        return [], 0
    scale = BAR / max(row.figures[tail or key].most if key == "rate" else row[tail or key] for row in rows)
    lines = [f'<text class="title" x="10" y="{top + 16}">{title}<tspan class="note" dx="10" font-weight="400" font-size="12">'
             f"{note}</tspan></text>"]
    for index, row in enumerate(rows):
        lines += bar(row, key, tail, scale, top + 28 + index * ROW)
    return lines, TITLE + len(rows) * ROW


def bar(row, key, tail, scale, y):
    kind = "silo" if row.name.startswith("silo") else "peer"
    text = f"{row[key]:.2f} / {row[tail]:.2f}" if tail else f"{row[key]:,.0f}"
    end = length = row[key] * scale
    if tail:
        end = row[tail] * scale
        yield f'<rect class="{kind} tail" x="{LABELS}" y="{y}" width="{end:.1f}" height="{ROW - 6}"/>'
    yield f'<text x="{LABELS - 8}" y="{y + 11}" text-anchor="end">{escape(row.name)}</text>'
    yield f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{length:.1f}" height="{ROW - 6}"/>'
    if key == "rate":
        figure = row.figures[key]
        end = max(end, figure.most * scale)
        yield f'<path class="spread" d="M{LABELS + figure.least * scale:.1f} {y + 7}H{LABELS + figure.most * scale:.1f}"/>'
    yield f'<text x="{LABELS + end + 8:.1f}" y="{y + 11}">{text}</text>'
