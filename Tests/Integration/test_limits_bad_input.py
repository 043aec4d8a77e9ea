"""Every bound of a limit, by every call that takes one: what breaks it is refused by name, and nothing is written
(spec/api.md 2.5; the bounds: docs/limits.md). Bounds of other fields: test_api.py for Enqueue, here for imports and pauses.

SILO_SEED says with which chance the random messages are made (a new one; printed).
"""

import math
import os
import random
import time

import grpc
import pytest

from support.client import (
    CALENDAR, INVALID_ARGUMENT, LEAKY, NOT_FOUND, concurrency, floating, new_id, policy, rate, rate_policy, refused,
)
from support.generated import pb

TEN_YEARS = 315_360_000_000
TRILLION = 1_000_000_000_000
INT32, INT64, UINT32 = 2**31 - 1, 2**63 - 1, 2**32 - 1
INFINITY, NAN = math.inf, math.nan
BOUNDED = f"between 1 and {TRILLION}"
A_TIME = f"between 1 and {TEN_YEARS}"
A_BACKOFF = f"between 0 and {TEN_YEARS}"


@pytest.fixture(scope="module")
def server(audited_server):
    return audited_server


def policed(**fields):
    """A rate limit with a policy that is right but for these fields."""
    return rate("n", 5, 1000, retry_policy=pb.RateLimitRetryPolicy(**fields))


def metadata(count=1, key="k", value="v"):
    return {key + str(n) if count > 1 else key: value for n in range(count)}


#: What breaks a bound when it stands alone, and the whole message.
BAD = [
    (concurrency("", 1), "limits[0].concurrency.key is required"),
    (pb.Limit(concurrency=pb.ConcurrencyLimit()), "limits[0].concurrency.key is required"),
    (concurrency("x" * 1025), "limits[0].concurrency.key too long (must be <= 1024 bytes)"),
    (concurrency("é" * 513), "limits[0].concurrency.key too long (must be <= 1024 bytes)"),
    (concurrency("x" * 1_000_000), "limits[0].concurrency.key too long (must be <= 1024 bytes)"),
    (concurrency("x", 0), "limits[0].concurrency.max_concurrency must be at least 1, not 0"),

    (floating(""), "limits[0].floating_concurrency.key is required"),
    (pb.Limit(floating_concurrency=pb.FloatingConcurrencyLimit()), "limits[0].floating_concurrency.key is required"),
    (floating("x" * 1025), "limits[0].floating_concurrency.key too long (must be <= 1024 bytes)"),
    (floating("x", 0), "limits[0].floating_concurrency.default_max_concurrency must be at least 1, not 0"),
    *((floating("x", 1, n), f"limits[0].floating_concurrency.refresh_interval_ms must be {A_TIME}, not {n}")
      for n in (0, -1, TEN_YEARS + 1, INT64, -INT64 - 1)),
    (floating("x", metadata=metadata(17)), "limits[0].floating_concurrency metadata has too many entries (max 16)"),
    (floating("x", metadata=metadata(key="k" * 64)), "limits[0].floating_concurrency metadata key too long (must be < 64 chars)"),
    (floating("x", metadata=metadata(value="v" * 65_535)), "limits[0].floating_concurrency metadata value too long (must be < u16::MAX bytes)"),

    (rate("", 5, 1000), "limits[0].rate_limit.name is required"),
    (rate("n", 5, 1000, key=""), "limits[0].rate_limit.unique_key is required"),
    (pb.Limit(rate_limit=pb.GubernatorRateLimit()), "limits[0].rate_limit.name is required"),
    (rate("x" * 1025, 5, 1000), "limits[0].rate_limit.name too long (must be <= 1024 bytes)"),
    (rate("n", 5, 1000, key="x" * 1025), "limits[0].rate_limit.unique_key too long (must be <= 1024 bytes)"),
    *((rate("n", n, 1000), f"limits[0].rate_limit.limit must be {BOUNDED}, not {n}")
      for n in (0, -1, TRILLION + 1, INT64, -INT64 - 1)),
    *((rate("n", 5, n), f"limits[0].rate_limit.duration_ms must be {A_TIME}, not {n}")
      for n in (0, -1, TEN_YEARS + 1, INT64, -INT64 - 1)),
    *((rate("n", 5, n, behavior=b), f"limits[0].rate_limit.duration_ms must be with DURATION_IS_GREGORIAN, a calendar period between 0 and 5, not {n}")
      for n, b in ((-1, CALENDAR), (6, CALENDAR), (60_000, CALENDAR | 8), (INT64, -1))),
    *((rate("n", 5, 1000, burst=n, algorithm=a), f"limits[0].rate_limit.burst must be between 0 and {TRILLION}, not {n}")
      for n, a in ((-1, LEAKY), (TRILLION + 1, LEAKY), (-INT64 - 1, 0))),
    *((rate("n", 5, 1000, hits=n, **fields), f"limits[0].rate_limit.hits must be at most what the bucket has room for, between 0 and {room}, not {n}")
      for n, room, fields in (
          (6, 5, {}), (-1, 5, {}), (INT32, 5, {}), (-INT32 - 1, 5, {}), (6, 5, dict(algorithm=LEAKY)),
          # A burst is a leaky bucket's.
          (6, 5, dict(burst=9)), (10, 9, dict(burst=9, algorithm=LEAKY)), (4, 3, dict(burst=3, algorithm=LEAKY)),
      )),
    *((policed(**{f: n}), f"limits[0].rate_limit.retry_policy.{f} must be {A_BACKOFF}, not {n}")
      for f in ("initial_backoff_ms", "max_backoff_ms") for n in (-1, TEN_YEARS + 1, INT64, -INT64 - 1)),
    *((policed(backoff_multiplier=n), f"limits[0].rate_limit.retry_policy.backoff_multiplier must be a finite number of at least 0, not {text}")
      for n, text in ((NAN, "nan"), (INFINITY, "inf"), (-INFINITY, "-inf"), (-0.5, "-0.5"))),
]

TOO_LARGE = "limits too large (keys and metadata must be <= 262144 bytes together)"

#: The same of several limits of one job.
BAD_TOGETHER = [
    ([concurrency(str(n)) for n in range(33)], "limits has too many entries (max 32)"),
    ([pb.Limit() for _ in range(33)], "limits has too many entries (max 32)"),
    ([concurrency("a"), concurrency("a", 2)], "limits[1] names the same limit as an earlier entry"),
    ([concurrency("a"), floating("a")], "limits[1] names the same limit as an earlier entry"),
    ([floating("a"), rate("a", 1, 1), floating("a")], "limits[2] names the same limit as an earlier entry"),
    ([rate("a", 1, 1000), concurrency("a"), rate("a", 9, 9, algorithm=LEAKY)], "limits[2] names the same limit as an earlier entry"),
    ([floating("m", metadata={str(n): "v" * 65_000 for n in range(5)})], TOO_LARGE),
    ([floating(str(n), metadata=metadata(value="v" * 9000)) for n in range(30)], TOO_LARGE),
    # The first that is wrong is named, by its place in the request.
    ([concurrency("a"), pb.Limit(), concurrency("b", 0), concurrency("")], "limits[2].concurrency.max_concurrency must be at least 1, not 0"),
    ([*(concurrency(str(n)) for n in range(31)), floating("x", 0)], "limits[31].floating_concurrency.default_max_concurrency must be at least 1, not 0"),
]

CASES = [([limit], message) for limit, message in BAD] + BAD_TOGETHER
ids = [f"{n}-{message[:70]}" for n, (_, message) in enumerate(CASES)]


class TestBadLimits:
    @pytest.mark.parametrize("limits, message", CASES, ids=ids)
    def test_enqueue_refuses_and_writes_nothing(self, client, limits, message):
        before, id = client.counts(), new_id()
        with refused(INVALID_ARGUMENT, message):
            client.enqueue(id=id, limits=limits)
        assert client.counts() == before
        with refused(NOT_FOUND, "job not found"):
            client.job(id)

    @pytest.mark.parametrize("limits, message", CASES, ids=ids)
    def test_a_batch_takes_the_others(self, client, limits, message):
        good, before = [new_id(), new_id()], client.counts()
        bad = pb.EnqueueRequest(id=new_id(), task_group="g", limits=limits)
        results = client.call("EnqueueBatch", shard=client.shard, jobs=[
            pb.EnqueueRequest(id=good[0], task_group="g", limits=[concurrency("good")]), bad,
            pb.EnqueueRequest(id=good[1], task_group="g"),
        ]).results
        assert [(r.id, r.code, r.error) for r in results] == [
            (good[0], 0, ""), (results[1].id, INVALID_ARGUMENT.value[0], message), (good[1], 0, ""),
        ]
        assert client.counts() == (before[0] + 2, before[1]) and [client.job(id).id for id in good] == good
        with refused(NOT_FOUND, "job not found"):
            client.job(bad.id)

    @pytest.mark.parametrize("limits, message", CASES, ids=ids)
    def test_all_or_nothing_takes_nothing(self, client, limits, message):
        before = client.counts()
        jobs = [pb.EnqueueRequest(task_group="g"), pb.EnqueueRequest(task_group="g", limits=limits)]
        with refused(INVALID_ARGUMENT, f"jobs[1]: {message}"):
            client.call("EnqueueBatch", shard=client.shard, all_or_nothing=True, jobs=jobs)
        assert client.counts() == before

    @pytest.mark.parametrize("limits, message", CASES, ids=ids)
    def test_an_import_takes_the_others(self, client, limits, message):
        good, before = [new_id(), new_id()], client.counts()
        results = client.import_jobs({"id": good[0]}, {"id": "bad", "limits": limits}, {"id": good[1]})
        assert [(r.id, r.success, r.status) for r in results] == [
            (good[0], True, pb.JOB_STATUS_SCHEDULED), ("bad", False, pb.JOB_STATUS_FAILED), (good[1], True, pb.JOB_STATUS_SCHEDULED),
        ]
        assert results[1].error == f"INVALID_ARGUMENT: {message}" and not results[0].error
        assert client.counts() == (before[0] + 2, before[1])

    def test_the_same_name_of_other_kinds_is_no_repetition(self, client, group):
        limits = [concurrency("n"), rate("n", 1, 1000), rate("n", 1, 1000, key="n"), rate("m", 1, 1000), floating("n2")]
        assert len(client.job(client.enqueue(group, limits=limits)).limits) == 5

    def test_names_that_run_together_the_same_are_no_repetition(self, client, group):
        limits = [rate("a b", 1, 1000, key="c"), rate("a", 1, 1000, key="b c"), rate("a ", 1, 1000, key="b c")]
        assert len(client.job(client.enqueue(group, limits=limits)).limits) == 3
        # Names are bytes: é as one character and as two.
        limits = [concurrency("\u00e9"), concurrency("e\u0301"), rate("\u00e9", 1, 1000), rate("e\u0301", 1, 1000)]
        assert len(client.job(client.enqueue(group, limits=limits)).limits) == 4


class TestLargestAndSmallest:
    """What is just within a bound is taken, comes back as it was sent, and harms nobody."""

    @pytest.mark.parametrize("limit", [
        concurrency("x" * 1024, UINT32), concurrency("é" * 512), concurrency("\0", 1), concurrency("日", 1),
        floating("x" * 1024, UINT32, TEN_YEARS), floating("x", 1, 1),
        floating("m16", metadata=metadata(16, "k" * 61, "v")), floating("k", metadata=metadata(key="é" * 63)),
        floating("v", metadata=metadata(value="v" * 65_534)), floating("e", metadata={"": ""}),
        rate("x" * 1024, TRILLION, TEN_YEARS, hits=INT32, key="x" * 1024), rate("one", 1, 1, hits=1), rate("none", 1, 1, hits=0),
        rate("burst", 1, 1, hits=9, burst=9, algorithm=LEAKY), rate("large", TRILLION, 1, burst=TRILLION, algorithm=LEAKY),
        rate("token burst", 1, 1, burst=TRILLION), rate("slow", 1, TEN_YEARS, algorithm=LEAKY),
        rate("minute", 1, 0, behavior=CALENDAR), rate("year", 1, 5, behavior=CALENDAR), rate("all bits", 1, 3, behavior=-1),
        rate("leaky year", 7, 5, behavior=CALENDAR, algorithm=LEAKY), rate("other bits", 1, 1000, behavior=INT32 - CALENDAR),
        rate("p", 1, 1000, retry_policy=pb.RateLimitRetryPolicy(
            initial_backoff_ms=TEN_YEARS, max_backoff_ms=TEN_YEARS, backoff_multiplier=1.7e308, max_retries=UINT32)),
        rate("q", 1, 1000, retry_policy=pb.RateLimitRetryPolicy()),
        rate("tiny", 1, 1000, retry_policy=rate_policy(3, 1, 1, 5e-324)),
    ], ids=lambda l: f"{l.WhichOneof('limit')}-{getattr(getattr(l, l.WhichOneof('limit')), 'name', 'slots')[:12]}")
    def test_it_is_taken_and_comes_back(self, client, group, limit):
        ids = [client.enqueue(group, id=new_id(), limits=[limit]) for _ in range(3)]
        wanted = pb.Limit()
        wanted.CopyFrom(limit)
        if limit.HasField("rate_limit") and not limit.rate_limit.HasField("retry_policy"):
            wanted.rate_limit.retry_policy.CopyFrom(rate_policy(0, 100, 30_000, 2.0))
        assert list(client.job(ids[0]).limits) == [wanted]
        tasks = client.lease(group, 3)
        assert tasks and list(tasks[0].limits) == [wanted]
        for id in ids:
            assert client.explain(id).id == id
        for task in tasks:
            client.succeed(task)

    def test_thirty_two_limits_of_every_kind_with_the_longest_keys(self, client, group):
        long = "x" * 1000
        limits = [make(n) for n in range(8) for make in (
            lambda n: concurrency(f"{long}c{n}"), lambda n: floating(f"{long}f{n}", metadata=metadata(value="v" * 5000)),
            lambda n: rate(f"{long}r{n}", 9, 1000, key=long), lambda n: rate(f"{long}l{n}", 9, 1000, key=long, algorithm=LEAKY),
        )]
        ids = [client.enqueue(group, id=new_id(), limits=limits) for _ in range(2)]
        task = client.take(group)
        assert task.job_id == ids[0] and len(task.limits) == 32
        assert client.explain(ids[1]).obstacles[0].kind == pb.Obstacle.KIND_CONCURRENCY
        client.succeed(task)
        assert client.take(group).job_id == ids[1]


#: Fields of an import that break a bound, and the message.
BAD_IMPORTS = [
    (dict(id=""), "job id is required for import"),
    (dict(id="x" * 1025), "id too long (must be <= 1024 bytes)"),
    (dict(task_group=""), "task_group is required"),
    (dict(task_group="x" * 65), "task_group too long (must be <= 64 chars)"),
    (dict(priority=100), "priority must be between 0 and 99"),
    (dict(priority=UINT32), "priority must be between 0 and 99"),
    (dict(metadata=metadata(17)), "metadata has too many entries (max 16)"),
    (dict(metadata=metadata(key="k" * 64)), "metadata key too long (must be < 64 chars)"),
    (dict(metadata=metadata(value="v" * 65_535)), "metadata value too long (must be < u16::MAX bytes)"),
    (dict(retry_policy=policy(1, factor=NAN)), "retry_policy.backoff_factor must be a finite number of at least 0, not nan"),
    (dict(attempts=[pb.ImportAttempt(status=pb.ATTEMPT_STATUS_RUNNING)]), "import attempts must be terminal (not Running)"),
    (dict(attempts=[pb.ImportAttempt()]), "import attempts must be terminal (not Running)"),
    (dict(attempts=[pb.ImportAttempt(status=9)]), "invalid attempt status"),
    (dict(attempts=[pb.ImportAttempt(status=-1)]), "invalid attempt status"),
    (dict(attempts=[pb.ImportAttempt(status=2), pb.ImportAttempt(status=2, error_code="é" * 8193)]),
     "attempts[1].error_code too long (must be <= 16384 bytes)"),
    # The order of checks: id, group, priority, metadata, limits, attempts.
    (dict(id="", task_group="", priority=100), "job id is required for import"),
    (dict(task_group="", priority=100), "task_group is required"),
    (dict(priority=100, metadata=metadata(17)), "priority must be between 0 and 99"),
    (dict(metadata=metadata(17), limits=[concurrency("")]), "metadata has too many entries (max 16)"),
    (dict(limits=[concurrency("")], attempts=[pb.ImportAttempt()]), "limits[0].concurrency.key is required"),
]


class TestBadImports:
    @pytest.mark.parametrize("fields, message", BAD_IMPORTS, ids=lambda v: v[:60] if isinstance(v, str) else "")
    def test_it_is_refused_by_name_and_the_others_are_taken(self, client, fields, message):
        before, good = client.counts(), new_id()
        bad, result = client.import_jobs({"id": new_id()} | fields, {"id": good})
        assert (bad.success, bad.status, bad.error) == (False, pb.JOB_STATUS_FAILED, f"INVALID_ARGUMENT: {message}")
        assert result.success and client.job(good).id == good
        assert client.counts() == (before[0] + 1, before[1])


class TestAnything:
    """Random limits: a refusal names a field; whatever is taken can be run, explained and cancelled; nothing is INTERNAL."""

    @pytest.fixture
    def chance(self):
        seed = os.environ.get("SILO_SEED") or str(random.randrange(2**32))
        print(f"SILO_SEED={seed}")
        return random.Random(seed)

    def text(self, chance):
        return chance.choice([
            lambda: "", lambda: chance.choice("abc"), lambda: "x" * chance.choice([1, 63, 64, 1023, 1024, 1025, 70_000]),
            lambda: "".join(chr(chance.choice([0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFD, 0x10FFFF, chance.randrange(0xD800)])) for _ in range(chance.randrange(9))),
        ])()

    def number(self, chance, low, high):
        """Near a bound, near a power of two, small, or anything."""
        value = chance.choice([
            lambda: chance.choice([0, 1, 2, 5, 1000, 60_000]), lambda: chance.choice([low, high]),
            lambda: chance.choice([TRILLION, TEN_YEARS, 99, 2**31, 2**32, 2**53]) + chance.randrange(-2, 3),
            lambda: -chance.randrange(1, 1000), lambda: chance.randrange(low, high + 1),
        ])()
        return max(low, min(high, value))

    def double(self, chance):
        return chance.choice([0.0, -0.0, 1.0, 2.0, -1.0, NAN, INFINITY, -INFINITY, 5e-324, 1.7e308, chance.uniform(-10, 10)])

    def limit(self, chance):
        int64 = lambda: self.number(chance, -INT64 - 1, INT64)  # noqa: E731
        int32 = lambda: self.number(chance, -INT32 - 1, INT32)  # noqa: E731
        uint32 = lambda: self.number(chance, 0, UINT32)  # noqa: E731
        kind = chance.randrange(4)
        if kind == 0:
            return concurrency(self.text(chance), uint32())
        if kind == 1:
            entries = {self.text(chance): self.text(chance) for _ in range(chance.choice([0, 0, 1, 16, 17]))}
            return floating(self.text(chance), uint32(), int64(), entries)
        if kind == 2:
            limit = rate(
                self.text(chance), int64(), int64(), hits=int32(), key=self.text(chance), burst=int64(), behavior=int32(),
                algorithm=chance.choice([0, 0, 1, 1, 7, -1]),
            )
            if chance.random() < 0.5:
                limit.rate_limit.retry_policy.CopyFrom(pb.RateLimitRetryPolicy(
                    initial_backoff_ms=int64(), max_backoff_ms=int64(), backoff_multiplier=self.double(chance), max_retries=uint32(),
                ))
            return limit
        # More often one that is right.
        return chance.choice([
            lambda: concurrency(chance.choice("abc"), chance.randrange(1, 4)),
            lambda: floating(chance.choice("defg"), chance.randrange(1, 4), chance.choice([1, 50, 60_000])),
            lambda: rate(
                chance.choice("rst"), (most := chance.choice([1, 2, 5, TRILLION])), chance.choice([1, 50, 1000, TEN_YEARS]),
                hits=min(most, chance.randrange(3)), algorithm=chance.randrange(2), burst=chance.choice([0, 5, TRILLION]), behavior=chance.choice([0, 8, 16, 24]),
                retry_policy=rate_policy(chance.randrange(3), chance.choice([0, 10, TEN_YEARS]), chance.choice([0, 10, TEN_YEARS]), chance.choice([0, 1e300, 1.5])),
            ),
            lambda: pb.Limit(),
        ])()

    def test_random_limits(self, client, chance, group):
        taken = []
        for _ in range(60):
            jobs = [
                pb.EnqueueRequest(
                    id=new_id(), task_group=group, limits=[self.limit(chance) for _ in range(chance.choice([1, 1, 1, 2, 5]))],
                    priority=chance.randrange(100), start_at_ms=chance.choice([0, 0, 0, 1, int(time.time() * 1000) + 50]),
                ) for _ in range(20)
            ]
            futures = [client.begin("Enqueue", **({f.name: v for f, v in job.ListFields()} | {"shard": client.shard})) for job in jobs]
            for job, future in zip(jobs, futures):
                code = future.code()
                assert code in (grpc.StatusCode.OK, INVALID_ARGUMENT), (code, future.details(), job)
                if code == INVALID_ARGUMENT:
                    assert future.details().startswith("limits["), (future.details(), job)
                else:
                    taken.append(job)
            self.disturb(client, chance, group, taken)
        assert len(taken) > 100, "too few were right to show anything"
        for job in taken:
            found = client.job(job.id)
            assert len(found.limits) == sum(limit.WhichOneof("limit") is not None for limit in job.limits)
            if found.status == pb.JOB_STATUS_SCHEDULED:
                client.cancel(job.id)
        for task in client.lease(group, 9999):
            client.succeed(task)

    def disturb(self, client, chance, group, jobs):
        """Runs, explains and cancels some of them."""
        tasks, refreshes = client.lease_with_refreshes(group, 20)
        for task in tasks:
            chance.choice([client.succeed, client.fail, client.give_up])(task)
        for refresh in refreshes:
            chance.choice([lambda: client.refresh(refresh, chance.choice([0, 1, 5, UINT32])), lambda: client.fail_refresh(refresh)])()
        for job in chance.sample(jobs, min(5, len(jobs))):
            assert client.explain(job.id).id == job.id
            if chance.random() < 0.5 and client.status(job.id) == pb.JOB_STATUS_SCHEDULED:
                try:
                    client.cancel(job.id)
                except grpc.RpcError as error:
                    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error.details()

    def test_changed_bytes(self, client, chance, group):
        """Messages with limits, some of whose bytes were changed, by every call that takes them."""
        good = [self.right(chance) for _ in range(6)]
        requests = [
            pb.EnqueueRequest(shard=client.shard, task_group=group, limits=good),
            pb.EnqueueBatchRequest(shard=client.shard, jobs=[pb.EnqueueRequest(task_group=group, limits=good)] * 2),
            pb.ImportJobsRequest(jobs=[pb.ImportJobRequest(shard=client.shard, id="fuzz", task_group=group, limits=good)]),
        ]
        codes = set()
        for _ in range(15):
            futures = []
            for _ in range(100):
                request = chance.choice(requests)
                body = bytearray(request.SerializeToString())
                for _ in range(chance.randrange(1, 4)):
                    # Behind the shard's name, mostly.
                    body[chance.randrange(len(body) // 4, len(body))] = chance.randrange(256)
                method = type(request).__name__.removesuffix("Request")
                futures.append(client.channel.unary_unary(f"/silo.v1.Silo/{method}").future(bytes(body), timeout=30))
            codes |= {future.code() for future in futures}
        assert codes <= {
            grpc.StatusCode.OK, INVALID_ARGUMENT, NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ALREADY_EXISTS,
        }, codes
        assert {grpc.StatusCode.OK, INVALID_ARGUMENT} <= codes
        tasks = client.lease(group, 9999)
        for task in tasks:
            client.succeed(task)
        assert client.enqueue(group)

    def right(self, chance):
        return chance.choice([
            concurrency(new_id(), 3), floating(new_id(), 3, 1000, {"a": "b"}),
            rate(new_id(), 9, 1000, hits=2, burst=20, algorithm=LEAKY, retry_policy=rate_policy(3, 10, 100, 2.0)),
        ])
