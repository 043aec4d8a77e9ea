"""That everybody can use every page: what axe-core finds, and what it does not look at: focus that is seen, borders of fields, and
movement."""

import pathlib
import urllib.parse

import axe_core_python
import pytest

from support.client import Client, concurrency, policy
from support.web import PAGES, needs_browser, root
from test_access import Tokens

pytestmark = needs_browser

AXE = (pathlib.Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
FINDINGS = """
    const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ["violations"] }).then(found => done(found.violations.flatMap(violation =>
      violation.nodes.map(node => `${violation.id}: ${node.html.slice(0, 200)}: ${node.failureSummary}`))), error => done([`${error}`]));
"""
#: What is seen of a colour on its ground, as WCAG 2 has it.
CONTRAST = """
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = colour => {
      canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = colour => rgb(colour).map(c => c / 255).map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
      .reduce((sum, c, index) => sum + c * [.2126, .7152, .0722][index], 0);
    const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((a, b) => b - a); return (x + .05) / (y + .05); };
"""


class Scene:
    """A server where every page has something to show, and the pages."""

    def __init__(self, server):
        self.server = server
        with Client(server.address) as client:
            for number in range(3):
                client.enqueue("emails", {"n": number}, id=f"mail-{number}", limits=[concurrency("line", 1)], metadata={"k": "v"})
            client.take("emails", "w1")
            client.fail(client.lease_one(client.enqueue("bad", {"a": [1, {"b": None}], "c": True}, id="bad")), "BROKEN", {"why": "x", "n": 4})
            client.enqueue("later", 1, id="later", start_at_ms=4_000_000_000_000)
            client.enqueue("twice", 1, id="twice", retry_policy=policy(3))
            for _ in range(2):
                client.fail(client.take("twice"), "SLOW", {"message": "too slow"})
            client.pause("deploy", task_group="later")
            action = client.call("StartBulkAction", kind="BULK_ACTION_KIND_CANCEL", condition="task_group = 'none'").action.id
            shard = client.shard
        self.pages = PAGES + [
            "/?span=24h", "/group?name=emails", "/group?name=nobody", "/worker?id=w1", "/tenant?name=-", "/limit?key=line",
            "/jobs?status=Failed", "/jobs?group=nobody", "/job?id=mail-0", "/job?id=mail-1", "/job?id=bad", "/job?id=bad&as=hex",
            "/job?id=twice", "/job?id=none", f"/action?id={action}", "/schedule?span=week", "/search?q=nobody", f"/shards/{shard}",
            "/no-such-page", "/sql?sql=" + urllib.parse.quote("SELECT id, status_kind, task_group, payload FROM jobs"),
            "/sql?sql=SELECT+nothing+FROM+nowhere", "/do/pause?group=emails", "/do/resume?group=emails", "/do/pause?limit=line",
            "/do/quiet?worker=w1", "/do/unquiet?worker=w1", "/do/drop-holders?tenant=-", "/do/drop-holders?tenant=-&limit=line", "/do/drop-tenant?tenant=none",
            "/do/enqueue-again?id=bad", "/do/bulk?verb=cancel&group=emails", f"/do/stop-bulk?id={action}",
            f"/do/jobs?verb=delete&job={shard}:0:bad", "/do/jobs?verb=cancel", f"/do/flush?shard={shard}", f"/do/compact?shard={shard}",
        ]


@pytest.fixture(scope="module")
def scene(start_server):
    return Scene(start_server("--shards", 1))


@pytest.mark.parametrize("dark, width", [(False, 1440), (True, 1440), (False, 360)], ids=["light", "dark", "phone"])
def test_axe_finds_nothing(scene, browser, dark, width):
    browser.screen(width, 900)
    browser.dark(dark, moves=False)
    found = []
    try:
        for path in scene.pages:
            browser.go(root(scene.server) + path)
            browser.run(AXE)
            found += [f"{path}: {finding}" for finding in browser.ask(FINDINGS)]
    finally:
        browser.screen(1440, 900)
        browser.dark(False)
    assert not found, "\n".join(found)


def test_axe_finds_nothing_at_the_door(new_server, tmp_path, browser):
    tokens = Tokens(tmp_path)
    tokens.add("ops", "--role", "admin")
    server = new_server("--tokens-file", tokens.path)
    browser.go(f"{root(server)}/jobs")
    browser.run(AXE)
    assert browser.ask(FINDINGS) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_fields_are_seen(scene, browser, dark):
    """Their borders, 3 to 1 on what is around them, where the field itself is not."""
    browser.dark(dark)
    try:
        for path in ["/jobs", "/groups", "/sql", "/audit", "/schedule", "/do/pause?group=emails"]:
            browser.go(root(scene.server) + path)
            faint = browser.run(CONTRAST + """
                const ground = element => {
                  for (let e = element.parentElement; e; e = e.parentElement) {
                    const colour = getComputedStyle(e).backgroundColor;
                    if (!/, 0\\)$|transparent/.test(colour)) return colour;
                  }
                  return getComputedStyle(document.body).backgroundColor;
                };
                return [...document.querySelectorAll("input:not([type=hidden]):not([type=checkbox]), select, textarea")]
                  .filter(e => e.checkVisibility() && contrast(getComputedStyle(e).borderTopColor, ground(e)) < 3)
                  .map(e => `${e.name} ${contrast(getComputedStyle(e).borderTopColor, ground(e)).toFixed(1)}`);
            """)
            assert faint == [], path
    finally:
        browser.dark(False)


def test_focus_is_seen_wherever_it_goes(scene, browser):
    for path in ["/", "/groups", "/jobs", "/job?id=bad", "/sql", "/do/pause?group=emails"]:
        browser.go(root(scene.server) + path)
        unseen = []
        for _ in range(60):
            browser.press("tab")
            state = browser.run("""
                const e = document.activeElement;
                if (e === document.body) return null;
                const style = getComputedStyle(e), box = e.getBoundingClientRect();
                const isMarked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 || style.boxShadow !== "none";
                return [e.outerHTML.slice(0, 120), isMarked && box.width > 0 && box.height > 0];
            """)
            if state is None:
                break
            if not state[1]:
                unseen.append(state[0])
        assert unseen == [], path


def test_nothing_moves_for_those_who_want_that(scene, browser):
    browser.dark(False, moves=False)
    try:
        for path in ["/", "/jobs", "/job?id=bad", "/sql", "/shards"]:
            browser.go(root(scene.server) + path)
            moving = browser.run("""
                return [...document.querySelectorAll("*")].filter(e => {
                  const style = getComputedStyle(e);
                  const isLong = text => text.split(", ").some(t => parseFloat(t) > 0);
                  return isLong(style.transitionDuration) || isLong(style.animationDuration) || style.scrollBehavior === "smooth";
                }).map(e => e.outerHTML.slice(0, 100));
            """)
            assert moving == [], path
    finally:
        browser.dark(False)

