"""A browser without its screen: one connection that stays open, with its cookies."""

import http.client
import html
import json
import re
import time
import urllib.parse


class Visitor:
    def __init__(self, server):
        self.address = server.operator
        self.connection = http.client.HTTPConnection(self.address, timeout=60)
        self.cookies = {}

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def get(self, link):
        """What is there, and how many milliseconds it took until it began to come, and until it was whole."""
        begun = time.perf_counter()
        answer = self._ask(link)
        taken = (time.perf_counter() - begun) * 1000
        body = answer.read()
        whole = (time.perf_counter() - begun) * 1000
        if answer.status != 200:
            raise RuntimeError(f"{link}: {answer.status} {' '.join(re.findall(r'<p>(.*?)</p>', body.decode(errors='replace')))}")
        for text in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = text.split(";", 1)[0].partition("=")
            self.cookies[name] = value
        return body, taken, whole

    def _ask(self, link):
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        self.connection.request("GET", link, headers=headers)
        return self.connection.getresponse()

    def events(self, topic):
        """The regions of each event of a stream, as they come; an empty dict for one without."""
        answer = self._ask(f"/live/{topic}")
        if answer.status != 200:
            raise RuntimeError(f"/live/{topic}: {answer.status}")
        lines = []
        while line := answer.readline():
            if line.strip():
                lines.append(line.decode().rstrip("\n"))
                continue
            kind = next((line[7:] for line in lines if line.startswith("event: ")), "")
            yield json.loads(next(line[6:] for line in lines if line.startswith("data: "))) if kind == "regions" else {}
            lines = []


def links(body):
    """Where a page leads to, on this site, in the order of the page."""
    for link in re.findall(r'<a [^>]*href="(/[^"]*)"', body.decode()):
        link = html.unescape(link)
        if not link.startswith("/assets/"):
            yield link


def name(link):
    """Of a page, by its address: `job` of /job?id=1."""
    parts = urllib.parse.urlsplit(link)
    return parts.path.strip("/").replace("/", "_") or "overview"
