"""Debian's Chromium without a window, driven over the WebDriver protocol (https://www.w3.org/TR/webdriver2/)."""

import base64
import json
import pathlib
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

from .ports import fixed_address
from .waiting import until

DRIVER = shutil.which("chromedriver")
CHROMIUM = shutil.which("chromium")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"enter": "\ue007", "tab": "\ue004", "escape": "\ue00c", "down": "\ue015", "up": "\ue013"}


class Refused(Exception):
    """The driver says that it cannot be done."""


class Browser:
    """One window. `dark`, `width`, `height`: what its viewer has. `scripts=False`: JavaScript is off."""

    def __init__(self, width=1440, height=900, dark=False, scripts=True):
        self.port = int(fixed_address().rsplit(":", 1)[1])
        self.profile = tempfile.mkdtemp(prefix="silo-browser-")
        self.driver = subprocess.Popen(
            [DRIVER, f"--port={self.port}", "--log-level=WARNING"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.session = None
        self.runs_scripts = scripts
        try:
            until(self._is_up, 60, "chromedriver")
            preferences = {} if scripts else {"profile.managed_default_content_settings.javascript": 2}
            self.session = self._request("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"}, "timeouts": {"script": 100_000},
                "goog:chromeOptions": {
                    "binary": CHROMIUM, "prefs": preferences,
                    "args": [
                        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                        "--disable-background-networking", "--no-first-run", f"--user-data-dir={self.profile}",
                        f"--window-size={width},{height}",
                    ],
                },
            }}})["sessionId"]
            # The window of headless Chromium does not get narrower than 500 pixels; a phone's screen is.
            self.screen(width, height)
            self.dark(dark)
        except BaseException:
            self.close()
            raise

    def _is_up(self):
        try:
            return self._request("GET", "/status")["ready"]
        except OSError:
            return False

    def _request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data, method=method, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise Refused(f"{value['error']}: {value['message'].splitlines()[0]}") from None

    def _call(self, method, path, body=None):
        return self._request(method, f"/session/{self.session}{path}", body)

    def devtools(self, command, **parameters):
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def close(self):
        try:
            if self.session:
                self._request("DELETE", f"/session/{self.session}")
        except (OSError, Refused):
            pass
        finally:
            self.driver.terminate()
            self.driver.wait(30)
            shutil.rmtree(self.profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # What its viewer has

    def screen(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def dark(self, is_dark, moves=True):
        features = {"prefers-color-scheme": "dark" if is_dark else "light", "prefers-reduced-motion": "" if moves else "reduce"}
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in features.items()])

    # Going and looking

    def go(self, url):
        self._call("POST", "/url", {"url": url})
        return self

    @property
    def url(self):
        return self._call("GET", "/url")

    @property
    def title(self):
        return self._call("GET", "/title")

    def run(self, script, *arguments):
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def ask(self, script, *arguments):
        """The same of a script that gives its answer later, to the last of its arguments."""
        return self._call("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def find(self, selector):
        """The first element; fails when there is none."""
        return Element(self, self._call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT])

    def all(self, selector):
        found = self._call("POST", "/elements", {"using": "css selector", "value": selector})
        return [Element(self, element[ELEMENT]) for element in found]

    def has(self, selector):
        return bool(self.all(selector))

    def text(self, selector="body"):
        return self.find(selector).text

    def wait(self, condition, seconds=30, what="the page"):
        """Asks `condition` of this browser until it holds; a page on its way may make it fail meanwhile."""
        def holds():
            try:
                return condition(self)
            except Refused:
                return None
        return until(holds, seconds, what, lambda: f"{self.url}\n{self.text()[:2000]}")

    def press(self, *keys):
        """Presses keys one after another, wherever the focus is."""
        actions = []
        for key in keys:
            value = KEYS.get(key, key)
            actions += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    @property
    def focused(self):
        """What of the focused element names it."""
        return self.run("""
            const e = document.activeElement;
            return e === document.body ? "" : (e.getAttribute("aria-label") || e.textContent || e.id).trim();
        """)

    def complaints(self):
        """What the browser said of the pages since it was asked last: scripts that failed, and what the policy forbade."""
        return [line for line in self._call("POST", "/se/log", {"type": "browser"}) if line["level"] in ("SEVERE", "WARNING")]

    def overflows(self):
        """By how many pixels the page is wider than the screen."""
        return self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def picture(self, path, height=8000):
        """The whole page, or its upper part."""
        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height), "scale": 1}
        data = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))
        return path


class Element:
    def __init__(self, browser, id):
        self.browser = browser
        self.id = id

    def _call(self, method, path, body=None):
        return self.browser._call(method, f"/element/{self.id}{path}", body)

    @property
    def text(self):
        return self._call("GET", "/text")

    @property
    def name(self):
        """As assistive technology hears it."""
        return self._call("GET", "/computedlabel")

    def attribute(self, name):
        return self._call("GET", f"/attribute/{name}")

    def click(self):
        self._call("POST", "/click", {})

    def is_gone(self):
        """The page that it was on has been left."""
        try:
            self.name
        except Refused:
            return True
        return False

    def type(self, text):
        self._call("POST", "/value", {"text": text})
