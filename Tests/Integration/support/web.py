"""The web page as a client without scripts sees it, with its cookies."""

import html
import http.client
import http.cookies
import re
import urllib.parse

import pytest

from .browser import CHROMIUM, DRIVER
from .programs import ROOT

#: Of a module whose tests need a browser.
needs_browser = pytest.mark.skipif(not (DRIVER and CHROMIUM), reason="Chromium is not installed: run scripts/setup test")
#: Where tests keep what pages look like.
PICTURES = ROOT / ".build/web"
#: Names that must be shown and do nothing.
HOSTILE = ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "\u202egnp.exe", "a&b=c d/e?f#g"]
#: All that have an address of their own; those of one thing need its name.
PAGES = [
    "/", "/groups", "/workers", "/tenants", "/limits", "/jobs", "/actions", "/failures", "/schedule", "/shards", "/configuration",
    "/audit", "/sql", "/help",
]


def root(server):
    """The address of a server's page."""
    return f"http://{server.operator}"


def rows(browser, within="main"):
    """The texts of a table's cells, row by row."""
    return browser.run("""
        const rows = [...document.querySelectorAll(arguments[0] + " tbody tr")];
        return rows.map(row => [...row.cells].map(cell => cell.innerText.trim()));
    """, within)


def row(browser, name, within="main"):
    """The cells of the row whose first one has this text in it."""
    for line in rows(browser, within):
        if name in line[0]:
            return line
    raise AssertionError(f"no row of {name}: {browser.text()}")


def press(browser, label):
    """A button or a link, by its text, as a person would press it, as soon as its page is there."""
    def pressed(browser):
        for control in browser.all("main a.button, main button"):
            if control.text == label:
                control.click()
                return control
    control = browser.wait(pressed, what=f"{label}, to press it")
    # Without scripts it leads to another page, which may take until after the click.
    if not browser.runs_scripts:
        browser.wait(lambda _: control.is_gone(), what=f"what comes after {label}")


def click(browser, text, within="main"):
    """A link or a button, by what it says, as soon as it is there; its script does it, wherever it stands."""
    browser.wait(lambda b: b.run("""
        const found = [...document.querySelectorAll(["a", "button", "summary"].map(tag => `${arguments[1]} ${tag}`).join())]
          .find(e => e.textContent.trim() === arguments[0]);
        if (found) found.click();
        return !!found;
    """, text, within), what=f"{text} to click")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.text = body.decode(errors="replace")

    @property
    def location(self):
        return self.headers["Location"]

    def form(self, action):
        """The hidden fields of the form that goes to `action`."""
        for form in re.findall(r"<form.*?</form>", self.text, re.S):
            if f'action="{html.escape(action)}"' in form:
                fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form)
                return {html.unescape(name): html.unescape(value) for name, value in fields}
        raise AssertionError(f"no form goes to {action}")


class Visitor:
    """One browser's worth of cookies. Each request has a connection of its own."""

    def __init__(self, address, context=None):
        self.address, self.context = address, context
        self.cookies = {}

    def ask(self, method, path, fields=None, headers=None, timeout=30):
        made = {"Host": self.address}
        if self.cookies:
            made["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if method == "POST":
            made["Content-Type"] = "application/x-www-form-urlencoded"
            made["Origin"] = f"http{'s' if self.context else ''}://{self.address}"
            body = urllib.parse.urlencode(fields or {})
        made |= headers or {}
        connection = self.connect(timeout)
        connection.request(method, path, body, {name: value for name, value in made.items() if value is not None})
        answer = connection.getresponse()
        found = Answer(answer.status, answer.headers, answer.read())
        connection.close()
        for text in answer.headers.get_all("Set-Cookie") or []:
            for name, morsel in http.cookies.SimpleCookie(text).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return found

    def connect(self, timeout=30):
        if self.context:
            return http.client.HTTPSConnection(self.address, timeout=timeout, context=self.context)
        return http.client.HTTPConnection(self.address, timeout=timeout)

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def post(self, path, fields=None, headers=None):
        return self.ask("POST", path, fields, headers)

    def sign_in(self, token, following="/"):
        return self.post("/login", {"token": token, "next": following})
