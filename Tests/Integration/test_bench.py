"""What the benchmarks print: silo-bench under load."""

import json

import pytest

from support.programs import run


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
