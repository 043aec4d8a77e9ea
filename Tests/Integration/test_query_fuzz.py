"""Generated and mutated statements at a server with two tenants' data, for as long as SILO_FUZZ_SECONDS says (20; `make fuzz-query`
goes on for minutes): the server lives, its memory is flat, no row of another tenant comes back, and each error is a known one.

Parameters come with some statements, tokens are an administrator's or a tenant's, and some callers leave before they are answered.
SILO_SEED repeats the statements of a run.
"""

import collections
import concurrent.futures
import os
import random
import re
import time

import grpc
import msgpack
import pytest

from support.client import Client, packed
from support.generated import pb
from support.metrics import Page
from support.resources import MIB, descriptors, memory
from support.statements import Grammar
from support.waiting import until
from test_access import Tokens
from test_query import values
from test_query_tenants import OTHER, OWN, THIRD, canary, fill, word

SECONDS = float(os.environ.get("SILO_FUZZ_SECONDS", 20))
THREADS = 4
#: What a statement may be answered, and how such an error begins.
KNOWN = {
    grpc.StatusCode.INVALID_ARGUMENT: r"SQL error: |SQL parameter error: ",
    grpc.StatusCode.INTERNAL: r"Query execution failed: (cannot cast |a value has more than |integer overflow|a pattern has more than "
                              r"|ESCAPE takes |what is looked for has more |malformed JSON|bad JSON path|JSON path error|JSON cannot hold "
                              r"|string or blob too big|out of memory)",
    grpc.StatusCode.DEADLINE_EXCEEDED: r"statement timeout of \d+ ms exceeded|Deadline Exceeded",
    grpc.StatusCode.RESOURCE_EXHAUSTED: r"the statement needs more than |the result has more than |the shard has as many statements",
    grpc.StatusCode.CANCELLED: "",
}
#: Beyond what the server has after the first quarter of the time. What statements use is gone when they end; the rest is caches'.
GROWTH = 96 * MIB


class Fuzzer:
    def __init__(self, address, tokens, seed):
        self.address = address
        self.tokens = tokens
        self.seed = seed
        self.counts = collections.Counter()
        self.wrong = []

    def run(self, seconds):
        self.end = time.monotonic() + seconds
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for future in [pool.submit(self._work, number) for number in range(THREADS)]:
                future.result()

    def _work(self, number):
        chance = random.Random(f"{self.seed} {number} {self.counts.total()}")
        words = [OWN, OTHER, "%", *[word(t, f"{w}0") for t in (OWN, OTHER) for w in ("held0", "gate", "group", "env", "worker")]]
        grammar = Grammar(chance, words)
        with Client(self.address, token=self.tokens[OWN]) as own, Client(self.address, token=self.tokens["admin"]) as admin:
            while time.monotonic() < self.end and not self.wrong:
                self._ask(chance, grammar.any(), own, admin)

    def _ask(self, chance, sql, own, admin):
        is_own = chance.random() < 0.7
        client = own if is_own else admin
        parameters = [self._parameter(chance) for _ in range(chance.choice([0, 0, 2, 2, 3]))]
        try:
            request = pb.QueryRequest(
                shard="" if chance.random() < 0.5 else admin.shard_of(OTHER), sql=sql, parameters=parameters,
                allow_partial=chance.random() < 0.2)
        except ValueError:
            return
        fields = {f.name: v for f, v in request.ListFields()}
        call = client.begin("Query", timeout=chance.choice([30, 30, 30, 0.05]), **fields)
        if chance.random() < 0.02:
            call.cancel()
        try:
            self._check_answer(call.result(), sql, parameters, is_own)
        except grpc.FutureCancelledError:
            self.counts["cancelled"] += 1
        except grpc.RpcError as error:
            self._check_error(error, sql, parameters, is_own)

    @staticmethod
    def _parameter(chance):
        return chance.choice([
            lambda: pb.QueryParameter(string_value=chance.choice([OTHER, OWN, "", "a\0b", "%" * 50, "x" * 5000])),
            lambda: pb.QueryParameter(int64_value=chance.choice([0, -1, 2**63 - 1, -(2**63)])),
            lambda: pb.QueryParameter(uint64_value=2**64 - 1),
            lambda: pb.QueryParameter(float64_value=chance.choice([0.0, float("nan"), float("inf"), 1e308])),
            lambda: pb.QueryParameter(bytes_value=bytes(chance.randrange(256) for _ in range(chance.randrange(20)))),
            lambda: pb.QueryParameter(null_value=pb.QueryNull()), lambda: pb.QueryParameter(bool_value=True),
        ])()

    def _check_answer(self, answer, sql, parameters, is_own):
        self.counts["rows" if answer.row_count else "no rows"] += 1
        for row in answer.rows:
            # Every row can be read.
            msgpack.unpackb(row.msgpack, strict_map_key=False)
        if is_own:
            self._check_foreign(b"\n".join(row.msgpack for row in answer.rows), sql)

    def _check_error(self, error, sql, parameters, is_own):
        code, text = error.code(), error.details() or ""
        self.counts[code.name] += 1
        if code not in KNOWN or not re.match(KNOWN[code], text):
            self.wrong.append(f"{code.name} {text[:300]}\n  {sql!r}")
        if is_own:
            self._check_foreign(text.encode(), sql)

    def _check_foreign(self, content, sql):
        """The statement's own words may come back, whole or in parts."""
        for tenant in (OTHER, THIRD):
            if canary(tenant).encode() in content and canary(tenant) not in sql:
                self.wrong.append(f"a row of {tenant} came back\n  {sql!r}\n  {content[:500]}")


@pytest.fixture
def tokens(tmp_path):
    tokens = Tokens(tmp_path)
    return tokens, {"admin": tokens.add("admin", "--role", "admin"), OWN: tokens.add(OWN, "--role", "read", "--tenant", OWN)}


def test_whatever_is_asked_the_server_answers_and_lives(new_server, tokens, tmp_path, seed):
    file, made = tokens
    settings = tmp_path / "silo.toml"
    settings.write_text("[server]\nstatement_timeout_ms = 1000\n")
    server = new_server("--config", settings, "--shards", 2, "--tenancy", "--tokens-file", file.path)
    with Client(server.address, token=made["admin"]) as admin:
        for tenant in (OWN, OTHER, THIRD):
            fill(admin, tenant)
        hostile = {"": "", "a\0b": "c\0d", "k" * 60: "v" * 4000, "'; DROP TABLE jobs; --": "\U0001f980" * 100}
        admin.enqueue("g", payload=pb.SerializedBytes(msgpack=b"\xc1\xff\x00"), tenant=OWN, id="bad payload", metadata=hostile)
        admin.enqueue("g", payload=packed([[[[]]]] * 1000), tenant=OWN, id="a\0'\"%_\u202e")
        fuzzer = Fuzzer(server.address, made, seed)
        fuzzer.run(SECONDS / 4)
        assert not fuzzer.wrong, "\n".join(fuzzer.wrong)
        at_rest, open_files = memory(server.process.pid)[0], descriptors(server.process.pid)
        fuzzer.run(SECONDS * 3 / 4)
        assert not fuzzer.wrong, "\n".join(fuzzer.wrong)
        assert server.is_running
        # Nothing goes on, and nothing is kept.
        until(lambda: Page.of(server).sum("silo_query_inflight") == 0, 30, "statements to end")
        until(lambda: memory(server.process.pid)[0] < at_rest + GROWTH, 30, "memory to come back",
              lambda: f"{at_rest / MIB:.0f} MiB, then {memory(server.process.pid)[0] / MIB:.0f} MiB")
        assert descriptors(server.process.pid) <= open_files + 2 * THREADS
        assert values(admin, "SELECT COUNT(*) FROM jobs", shard="") == [18 * 3 + 2]
        assert fuzzer.counts["rows"] > fuzzer.counts.total() / 20, "some statements have rows"
        at_last = memory(server.process.pid)[0]
        assert server.stop() == 0
    print(f"{fuzzer.counts.total()} statements: {dict(fuzzer.counts.most_common())}; memory after a quarter of the time "
          f"{at_rest / MIB:.0f} MiB, at last {at_last / MIB:.0f} MiB")
