"""What the benchmarks print: silo-bench under load, and the page of job queues side by side."""

import json
import sys

import pytest

from support.programs import ROOT, run

sys.path.insert(0, str(ROOT))

from bench.peers import report  # noqa: E402
from bench.peers.rows import ROWS  # noqa: E402
from bench.peers.summary import FIGURES, Summary, verdicts  # noqa: E402


class TestLoad:
    """The client library asks for work out of sight: how often nobody knows."""

    @pytest.mark.parametrize("mode, is_told", [("grpc", True), ("library", False)])
    def test_polls_are_told_where_they_are_known(self, server, mode, is_told):
        load = ["--mode", mode, "--address", server.address, "--duration-secs", 1, "--report-interval-secs", 1]
        ended = run("silo-bench", *load)
        assert ended.returncode == 0 and "completed   " in ended.stdout, ended.stderr
        assert ("\npolls       " in ended.stdout) is is_told and ("empty polls" in ended.stdout) is is_told
        totals = json.loads(run("silo-bench", *load, "--json").stdout.splitlines()[-1])
        assert totals["completed"] > 0 and ("polls" in totals) is ("empty_polls" in totals) is is_told


class TestPeers:
    @staticmethod
    def summaries():
        """Rows with many jobs a call are the faster, whatever is measured."""
        def result(name, row):
            client = {"client": "compiled" if "bench" in name or name == "siloclient" else "Python"}
            return client | {"left": 0, "doubled": 0} | {key: 100 / row.batch for key in FIGURES}

        return [Summary(name, [result(name, row)]) for name, row in ROWS.items()]

    def test_at_a_light_load_rows_with_one_job_a_call_are_compared(self):
        judged = verdicts({each.name: each for each in self.summaries()})
        light = [each for each in judged if "at a light load" in each.what]
        assert len(light) == 6 and all(each.value == 1 for each in light)
        assert not any("-100" in each.what for each in light)

    def test_latencies_are_told_of_rows_with_one_job_a_call(self):
        text = report.document(self.summaries(), [], {}, "one run")
        tables = text.split("\n### ")[1:]
        assert len(tables) == 4
        for table in tables:
            lines = [line for line in table.splitlines()[1:] if line.startswith("| ") or line.startswith("|---")]
            lines = lines[:next((place for place, line in enumerate(lines) if "versions" in line), None)]
            assert ("ack p50" in lines[0]) is ("one job a call" in table.splitlines()[0])
            assert len({line.count("|") for line in lines}) == 1, lines
