"""A client of Silo over Python's own gRPC, independent of Silo's code."""

import contextlib
import threading
import uuid

import grpc
import msgpack
import pytest
import xxhash

from .generated import pb, rpc
from .waiting import until

MESSAGE_MAX = 128 << 20
CHANNEL_OPTIONS = [
    ("grpc.max_send_message_length", MESSAGE_MAX),
    ("grpc.max_receive_message_length", MESSAGE_MAX),
    # Each channel its own connection.
    ("grpc.use_local_subchannel_pool", 1),
]

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
ALREADY_EXISTS = grpc.StatusCode.ALREADY_EXISTS
FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
OUT_OF_RANGE = grpc.StatusCode.OUT_OF_RANGE
PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED
RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED

SCHEDULED, RUNNING, SUCCEEDED, FAILED, CANCELLED = range(5)
#: What no test should ever have to wait for.
TIMEOUT = 60


def hash_text(tenant):
    """Where a tenant lies in the routing space (spec/api.md 2.4)."""
    return f"{xxhash.xxh64(tenant.encode(), seed=0).intdigest():016x}"


def packed(value):
    return pb.SerializedBytes(msgpack=msgpack.packb(value))


def unpacked(message):
    return msgpack.unpackb(message.msgpack)


def policy(retries, initial=0, most=0, factor=1.0, randomize=False):
    return pb.RetryPolicy(
        retry_count=retries, initial_interval_ms=initial, max_interval_ms=most, backoff_factor=factor,
        randomize_interval=randomize,
    )


def concurrency(key, most=1):
    """At most so many jobs of the key at once."""
    return pb.Limit(concurrency=pb.ConcurrencyLimit(key=key, max_concurrency=most))


def floating(key, most=1, refresh_ms=60_000, metadata=None):
    """The same with a maximum that workers are asked for again, at most once in `refresh_ms`."""
    return pb.Limit(floating_concurrency=pb.FloatingConcurrencyLimit(
        key=key, default_max_concurrency=most, refresh_interval_ms=refresh_ms, metadata=metadata or {},
    ))


def rate(name, limit, milliseconds, hits=1, key="all", **fields):
    """At most so many hits in so much time."""
    return pb.Limit(rate_limit=pb.GubernatorRateLimit(
        name=name, unique_key=key, limit=limit, duration_ms=milliseconds, hits=hits, **fields,
    ))


LEAKY = pb.GUBERNATOR_ALGORITHM_LEAKY_BUCKET
CALENDAR = pb.GUBERNATOR_BEHAVIOR_DURATION_IS_GREGORIAN


def rate_policy(retries, initial=0, most=0, multiplier=1.0):
    return pb.RateLimitRetryPolicy(
        initial_backoff_ms=initial, max_backoff_ms=most, backoff_multiplier=multiplier, max_retries=retries,
    )


def ids_of(tasks):
    return [task.job_id for task in tasks]


def new_id(prefix="job"):
    return f"{prefix}-{uuid.uuid4()}"


@contextlib.contextmanager
def refused(code, message=None, containing=None):
    """The body must fail with this status; `message` is the whole text of it."""
    with pytest.raises(grpc.RpcError) as caught:
        yield caught
    error = caught.value
    assert (error.code(), error.details()) == (code, error.details() if message is None else message)
    if containing is not None:
        assert containing in error.details()


class Client:
    """Calls one server. Methods take the fields of the request by name; shard and tenant are filled in."""

    def __init__(self, address, tenant=None, token=None, credentials=None, options=()):
        options = CHANNEL_OPTIONS + list(options)
        if credentials is None:
            self.channel = grpc.insecure_channel(address, options)
        else:
            self.channel = grpc.secure_channel(address, credentials, options)
        self.stub = rpc.SiloStub(self.channel)
        self.tenant = tenant
        self.headers = [("authorization", f"Bearer {token}")] if token else []
        self._shards = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.channel.close()

    # Routing

    def cluster(self):
        return self.call("GetClusterInfo")

    def shards(self):
        """The shards with their ranges, read once: a shard keeps its id for life."""
        if self._shards is None:
            self._shards = list(self.cluster().shard_owners)
        return self._shards

    def shard_of(self, tenant=None):
        key = hash_text(tenant or self.tenant or "-")
        return next(s.shard_id for s in self.shards() if s.range_start <= key and (not s.range_end or key < s.range_end))

    @property
    def shard(self):
        return self.shard_of()

    # Calls

    def call(self, method, *, timeout=TIMEOUT, headers=(), wait_for_ready=None, **fields):
        return self._method(method)(
            self._request(method, fields), timeout=timeout, metadata=[*self.headers, *headers],
            wait_for_ready=wait_for_ready,
        )

    def begin(self, method, *, timeout=TIMEOUT, **fields):
        """The same without waiting: gives a future."""
        return self._method(method).future(self._request(method, fields), timeout=timeout, metadata=self.headers)

    def _method(self, method):
        return getattr(self.stub, method)

    @staticmethod
    def _request(method, fields):
        return getattr(pb, f"{method}Request")(**fields)

    def _addressed(self, fields):
        tenant = fields.pop("tenant", self.tenant)
        if tenant is not None:
            fields["tenant"] = tenant
        fields.setdefault("shard", self.shard_of(tenant))
        return fields

    def enqueue(self, group="default", payload=None, *, timeout=TIMEOUT, **fields):
        """Stores a job and returns its id. `payload` is any value; give `payload=pb.SerializedBytes(...)` for raw bytes."""
        if payload is not None and not isinstance(payload, pb.SerializedBytes):
            payload = packed(payload)
        return self.call("Enqueue", timeout=timeout, task_group=group, payload=payload, **self._addressed(fields)).id

    def job(self, id, attempts=False, **fields):
        return self.call("GetJob", id=id, include_attempts=attempts, **self._addressed(fields))

    def status(self, id, **fields):
        return self.job(id, **fields).status

    def result(self, id, **fields):
        return self.call("GetJobResult", id=id, **self._addressed(fields))

    def delete(self, id, **fields):
        return self.call("DeleteJob", id=id, **self._addressed(fields))

    def cancel(self, id, **fields):
        return self.call("CancelJob", id=id, **self._addressed(fields))

    def restart(self, id, **fields):
        return self.call("RestartJob", id=id, **self._addressed(fields))

    def expedite(self, id, **fields):
        return self.call("ExpediteJob", id=id, **self._addressed(fields))

    def lease_one(self, id, worker="worker", **fields):
        return self.call("LeaseTask", id=id, worker_id=worker, **self._addressed(fields)).task

    def lease(self, group="default", most=1, worker="worker", *, timeout=TIMEOUT, **fields):
        """Leases from every shard of the server, unless `shard` says otherwise."""
        return list(self.call(
            "LeaseTasks", timeout=timeout, task_group=group, max_tasks=most, worker_id=worker, **fields
        ).tasks)

    def take(self, group="default", worker="worker", seconds=TIMEOUT):
        """Leases exactly one task, waiting for it."""
        tasks = self.lease(group, 1, worker, wait_ms=seconds * 1000, timeout=seconds + 30)
        assert len(tasks) == 1, f"no task came in {seconds} s"
        return tasks[0]

    def lease_with_refreshes(self, group="default", most=10, worker="worker", *, timeout=TIMEOUT, **fields):
        """The same with the refreshes of floating limits: (tasks, refreshes)."""
        answer = self.call(
            "LeaseTasks", timeout=timeout, task_group=group, max_tasks=most, worker_id=worker, **fields
        )
        return list(answer.tasks), list(answer.refresh_tasks)

    def take_refresh(self, group="default", worker="worker", seconds=TIMEOUT):
        """Leases exactly one refresh and no job, waiting for it."""
        tasks, refreshes = self.lease_with_refreshes(group, 1, worker, wait_ms=seconds * 1000, timeout=seconds + 30)
        assert (ids_of(tasks), len(refreshes)) == ([], 1)
        return refreshes[0]

    @staticmethod
    def _of(task):
        fields = {"shard": task.shard, "task_id": task.id}
        if task.HasField("tenant_id"):
            fields["tenant_id"] = task.tenant_id
        return fields

    def succeed(self, task, value=None):
        return self.call("ReportOutcome", success=packed(value), **self._of(task))

    def fail(self, task, code="BROKEN", value=None):
        return self.call("ReportOutcome", failure=pb.Failure(code=code, data=packed(value)), **self._of(task))

    def give_up(self, task):
        return self.call("ReportOutcome", cancelled=pb.Cancelled(), **self._of(task))

    def refresh(self, refresh, most):
        """Reports a floating limit's new maximum."""
        return self.call(
            "ReportRefreshOutcome", success=pb.RefreshSuccess(new_max_concurrency=most), **self._of(refresh)
        )

    def fail_refresh(self, refresh, code="UNREACHABLE", message="nobody answers"):
        return self.call("ReportRefreshOutcome", failure=pb.RefreshFailure(code=code, message=message), **self._of(refresh))

    def heartbeat(self, task, worker="worker"):
        return self.call("Heartbeat", worker_id=worker, **self._of(task))

    @contextlib.contextmanager
    def holding(self, task, worker="worker"):
        """Heartbeats beside what takes longer than a lease, as a real worker does."""
        done = threading.Event()

        def beat():
            while not done.wait(1):
                with contextlib.suppress(grpc.RpcError):
                    self.heartbeat(task, worker)

        thread = threading.Thread(target=beat)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    # Limits

    def explain(self, id, **fields):
        return self.call("ExplainJob", id=id, **self._addressed(fields))

    def wait_for_worker(self, id, workers=1):
        """Waits until so many workers wait for work of the job's group."""
        return until(lambda: self.explain(id).workers_waiting >= workers, what=f"{workers} waiting workers")

    def pause(self, reason="", **target):
        """Pauses `whole_tenant`, `task_group` or `limit_key`; gives whether it was."""
        return self._pause("Pause", target, reason=reason).was_paused

    def resume(self, **target):
        return self._pause("Resume", target).was_paused

    def _pause(self, method, target, **fields):
        fields |= {name: target.pop(name) for name in ("tenant", "shard") if name in target}
        return self.call(method, target=pb.PauseTarget(**target), **self._addressed(fields))

    def pauses(self, shard=None):
        return list(self.call("ListPauses", shard=shard or self.shard).pauses)

    def drop_holders(self, **fields):
        """Frees the slots of a tenant, or of its `limit_key` alone; gives how many."""
        method = "DropLimitHolders" if "limit_key" in fields else "DropTenantHolders"
        return self.call(method, **self._addressed(fields)).holders_dropped

    def import_jobs(self, *jobs, timeout=TIMEOUT):
        """Imports jobs, each a dict of fields; gives their results."""
        return list(self.call("ImportJobs", timeout=timeout, jobs=[
            pb.ImportJobRequest(**self._addressed({"task_group": "default"} | job)) for job in jobs
        ]).results)

    def ghosts(self, seconds=60):
        """Slots that nobody holds, over all shards, by audits that began after this call did."""
        def audits():
            return {s.shard_id: s.audits for s in self.call("GetNodeInfo").owned_shards}

        # The one that goes on now may have begun before.
        wanted = {shard: count + 2 for shard, count in audits().items()}
        until(lambda: all(count >= wanted[shard] for shard, count in audits().items()), seconds, "two audits")
        return sum(s.ghost_holders for s in self.call("GetNodeInfo").owned_shards)

    def counts(self):
        """(jobs stored, finished jobs) over all shards."""
        shards = self.call("GetNodeInfo").owned_shards
        return sum(s.total_jobs for s in shards), sum(s.completed_jobs for s in shards)

    def succeeded(self, group="default", value=None, **fields):
        """A new job that succeeded with `value`; gives its id."""
        id = self.enqueue(group, **fields)
        self.succeed(self.lease_one(id, tenant=fields.get("tenant", self.tenant)), value)
        return id
