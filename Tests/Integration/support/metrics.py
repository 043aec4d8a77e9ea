"""Reads the page of metrics as a collector does, and runs Debian's Prometheus."""

import json
import pathlib
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from .ports import fixed_address
from .programs import ROOT
from .waiting import until

PROMETHEUS = ROOT / ".deps/bin/prometheus"
SAMPLE = re.compile(r'^([a-z0-9_]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def get(address, path, scheme="http", method="GET", context=None, timeout=30):
    """(status, headers, text) of a page."""
    request = urllib.request.Request(f"{scheme}://{address}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


class Page:
    """One look at all metrics."""

    def __init__(self, text):
        self.text = text
        self.samples = []
        for line in text.splitlines():
            if not line.startswith("#"):
                name, labels, value = SAMPLE.match(line).groups()
                self.samples.append((name, dict(LABEL.findall(labels or "")), float(value)))

    @classmethod
    def of(cls, server):
        status, _, text = get(server.operator, "/metrics")
        assert status == 200
        return cls(text)

    def sum(self, name, **labels):
        return sum(value for sample, has, value in self.samples if sample == name and labels.items() <= has.items())

    def values(self, name, label):
        return {has.get(label) for sample, has, _ in self.samples if sample == name}


class Prometheus:
    """Debian's Prometheus on a folder of its own, with the rules of deploy/."""

    def __init__(self, folder, target):
        self.folder = pathlib.Path(folder)
        self.address = fixed_address()
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ROOT / "deploy/prometheus/alerts.yml"), str(ROOT / "deploy/prometheus/recording.yml")],
            "scrape_configs": [{"job_name": "silo", "static_configs": [{"targets": [target]}]}],
        }
        (self.folder / "prometheus.yml").write_text(json.dumps(config))

    def __enter__(self):
        self.log = open(self.folder / "prometheus.log", "wb")
        self.process = subprocess.Popen(
            [
                PROMETHEUS, "--config.file", self.folder / "prometheus.yml", "--storage.tsdb.path", self.folder / "data",
                "--web.listen-address", self.address, "--web.enable-lifecycle",
            ], stdout=self.log, stderr=self.log)
        try:
            until(self._is_ready, 60, "Prometheus to start", lambda: (self.folder / "prometheus.log").read_text()[-2000:])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(30)
        self.log.close()

    def _is_ready(self):
        try:
            return get(self.address, "/-/ready")[0] == 200
        except OSError:
            return False

    def query(self, expression):
        """The values, by their labels in a frozen set."""
        _, _, text = get(self.address, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        answer = json.loads(text)
        assert answer["status"] == "success", answer
        return {frozenset(r["metric"].items()): float(r["value"][1]) for r in answer["data"]["result"]}

    def number(self, expression):
        return next(iter(self.query(expression).values()), None)

    def rules(self):
        groups = json.loads(get(self.address, "/api/v1/rules")[2])["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]
