"""Producers and workers that write down everything the server acknowledged, and a judge who compares that with the end."""

import collections
import random
import threading
import time

import grpc

from .client import CANCELLED, FAILED, RUNNING, SCHEDULED, SUCCEEDED, Client, packed, policy
from .generated import pb
from .waiting import until

#: Clients that look for the server often while it is away.
EAGER = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 250),
]
LEASE_SECONDS = 10
#: How often a lease that nobody heard of is not counted as an attempt.
UNHEARD_MAX = 3


class Uncertain(Exception):
    """The call ended with no answer that says whether it was done."""


def is_uncertain(error):
    code = error.code()
    # What a stopping server may answer is the subject of test_services.py; here CANCELLED is as good as UNAVAILABLE.
    return code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED) or (
        code == grpc.StatusCode.INTERNAL and "RST_STREAM" in (error.details() or "")
    )


class JobRecord:
    """What one job's clients know of it."""

    def __init__(self, tenant, id, payload, retries):
        self.tenant, self.id, self.payload, self.retries = tenant, id, payload, retries
        self.stored = False       # the enqueue was acknowledged
        self.leases = {}          # attempt -> (task id, asked at, renewed at), acknowledged
        self.renewed = {}         # task id -> when it was last renewed
        self.heard = set()        # attempts of which the server was told something
        self.given = collections.Counter()  # attempt -> how often it was leased
        self.outcomes = collections.defaultdict(list)  # attempt -> [(kind, value, acknowledged)]
        self.cancel_sent = False
        self.cancelled_at = None  # when its cancel was acknowledged
        self.delete_sent = False
        self.deleted = False

    @property
    def is_over(self):
        """A success was acknowledged."""
        return any(kind == "success" and acknowledged for o in self.outcomes.values() for kind, _, acknowledged in o)


class Load:
    """Threads at work on one server, whatever becomes of it."""

    #: How often in a hundred a worker forgets a task.
    forgets = 0.4
    #: Bytes of a payload.
    sizes = (0, 10, 200, 5000)

    def __init__(self, address, seed, producers=2, workers=4, tenants=("a", "b", "c", "d", "e"), backlog=600, extra_options=()):
        self.address, self.seed, self.backlog = address, seed, backlog
        self.tenants = tenants
        self.options = [*EAGER, *extra_options]
        self.lock = threading.Lock()
        self.jobs = {}
        self.violations = []
        self.acknowledged = collections.Counter()
        self.producing = threading.Event()
        self.working = threading.Event()
        self.producing.set()
        self.working.set()
        self.producers = [self._thread(self._produce, n) for n in range(producers)]
        self.threads = self.producers + [self._thread(self._work, n) for n in range(workers)]

    def _thread(self, body, number):
        return threading.Thread(target=self._guard, args=(body, number), daemon=True)

    def begin(self):
        for thread in self.threads:
            thread.start()
        return self

    def end(self):
        self.producing.clear()
        self.working.clear()
        for thread in self.threads:
            thread.join(90)
            if thread.is_alive():
                self.complain("a client thread hangs")

    def complain(self, text):
        with self.lock:
            self.violations.append(text)

    def _backlog(self, client):
        """Jobs stored and not finished, as the server counts."""
        try:
            shards = self._call(client, "GetNodeInfo").owned_shards
        except Uncertain:
            return 0
        return sum(shard.total_jobs - shard.completed_jobs for shard in shards)

    # What a load of another kind adds

    def extra_fields(self, chance, job):
        """More fields of a job that is about to be enqueued."""
        return {}

    def leased(self, task, asked):
        """A lease was acknowledged. Called with the lock held."""

    def renewed(self, task, asked):
        """It was renewed. Called with the lock held."""

    def letting_go(self, task):
        """Its outcome is about to be sent. Called with the lock held."""

    def refresh(self, client, chance, refresh):
        """Does the refresh of a floating limit."""

    def may_end_so(self, job, attempt):
        """Whether the server may have ended an attempt in this way by itself."""
        return False

    # Clients

    def _guard(self, body, number):
        chance = random.Random(f"{self.seed}-{body.__name__}-{number}")
        try:
            with Client(self.address, options=self.options) as client:
                body(client, number, chance)
        except Exception as error:
            self.complain(f"{body.__name__} {number} failed: {error!r}")

    def _call(self, client, method, **fields):
        try:
            response = client.call(method, wait_for_ready=True, timeout=20, **fields)
        except grpc.RpcError as error:
            if is_uncertain(error):
                self.acknowledged[f"lost answers, {error.code().name}"] += 1
                # A server that is stopping refuses at once; a worker is not to use up its sends meanwhile.
                time.sleep(0.01)
                raise Uncertain from None
            raise
        self.acknowledged[method] += 1
        return response

    def _shard(self, client, tenant):
        # The map never changes, but the first look at it may fall into a restart.
        while client._shards is None:
            try:
                client._shards = list(self._call(client, "GetClusterInfo").shard_owners)
            except Uncertain:
                time.sleep(0.05)
        return client.shard_of(tenant)

    def _produce(self, client, number, chance):
        count = 0
        while self.producing.is_set():
            if self._backlog(client) > self.backlog:
                time.sleep(0.02)
                continue
            tenant = chance.choice(self.tenants)
            jobs = []
            for _ in range(chance.choice([1, 1, 1, 5, 40])):
                count += 1
                id = f"p{number}-{count}"
                size = chance.choice(self.sizes)
                payload = [tenant, id, chance.randbytes(size)]
                record = JobRecord(tenant, id, payload, chance.choice([0, 100, 100, 100]))
                jobs.append(record)
            with self.lock:
                for job in jobs:
                    self.jobs[job.tenant, job.id] = job
            self._enqueue(client, chance, tenant, jobs)
            if chance.random() < 0.1:
                self._cancel(client, chance)
            if chance.random() < 0.1:
                self._delete(client, chance)

    def _enqueue(self, client, chance, tenant, jobs):
        shard = self._shard(client, tenant)
        fields = [
            dict(
                tenant=tenant, id=job.id, task_group="load", payload=packed(job.payload), priority=chance.randrange(100),
                retry_policy=policy(job.retries, 20, 50, 1) if job.retries else None, metadata={"n": job.id},
                start_at_ms=int(time.time() * 1000) + 300 if chance.random() < 0.1 else 0,
                **self.extra_fields(chance, job),
            )
            for job in jobs
        ]
        try:
            if len(jobs) == 1:
                self._call(client, "Enqueue", shard=shard, **fields[0])
            else:
                response = self._call(
                    client, "EnqueueBatch", shard=shard, jobs=[pb.EnqueueRequest(**f) for f in fields],
                    all_or_nothing=chance.random() < 0.5,
                )
                if any(result.code for result in response.results) or len(response.results) != len(jobs):
                    self.complain(f"a batch of new jobs was not taken whole: {response}")
        except Uncertain:
            return
        with self.lock:
            for job in jobs:
                job.stored = True

    def _cancel(self, client, chance):
        with self.lock:
            job = chance.choice([j for j in list(self.jobs.values())[-300:] if j.stored] or [None])
            if job:
                job.cancel_sent = True
        if not job:
            return
        try:
            self._call(client, "CancelJob", shard=self._shard(client, job.tenant), tenant=job.tenant, id=job.id)
            job.cancelled_at = time.monotonic()
        except Uncertain:
            pass
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.FAILED_PRECONDITION and not job.delete_sent:
                self.complain(f"cancel of {job.id}: {error.code()} {error.details()}")

    def _delete(self, client, chance):
        with self.lock:
            job = chance.choice([j for j in list(self.jobs.values())[-2000:] if j.is_over and not j.delete_sent] or [None])
            if job:
                job.delete_sent = True
        if not job:
            return
        try:
            self._call(client, "DeleteJob", shard=self._shard(client, job.tenant), tenant=job.tenant, id=job.id)
            job.deleted = True
        except Uncertain:
            pass

    def _work(self, client, number, chance):
        worker = f"w{number}"
        while self.working.is_set():
            asked = time.monotonic()
            try:
                response = self._call(
                    client, "LeaseTasks", task_group="load", worker_id=worker, max_tasks=chance.choice([1, 5, 20]),
                    wait_ms=chance.choice([0, 300]),
                )
            except Uncertain:
                continue
            for refresh in response.refresh_tasks:
                self.refresh(client, chance, refresh)
            reports = [(task, job) for task in response.tasks if (job := self._leased(task, asked))]
            if not reports and not response.tasks:
                time.sleep(0.005)
            if len(reports) > 1 and chance.random() < 0.5:
                for shard in dict.fromkeys(task.shard for task, _ in reports):
                    self._report_together(client, chance, shard, [(t, j) for t, j in reports if t.shard == shard])
            else:
                for task, job in reports:
                    self._finish(client, chance, worker, task, job)

    def _leased(self, task, asked):
        """Notes a lease, and whether it may be."""
        now = time.monotonic()
        with self.lock:
            job = self.jobs.get((task.tenant_id, task.job_id))
            name = f"{task.tenant_id}/{task.job_id} attempt {task.attempt_number}"
            if job is None:
                self.violations.append(f"leased a job that nobody enqueued: {name}")
                return None
            if task.payload != packed(job.payload):
                self.violations.append(f"leased with another payload: {name}")
            job.given[task.attempt_number] += 1
            if job.given[task.attempt_number] > 1:
                # Of the first its worker may never have heard: that is not counted, a bounded number of times.
                first = job.leases[task.attempt_number][0]
                if task.attempt_number in job.heard or job.given[task.attempt_number] > 1 + UNHEARD_MAX:
                    self.violations.append(f"leased twice: {name}, first as task {first}, then {task.id}")
            if job.is_over:
                self.violations.append(f"leased after its success was acknowledged: {name}")
            if job.cancelled_at and asked > job.cancelled_at:
                self.violations.append(f"leased after its cancel was acknowledged: {name}")
            if job.deleted:
                self.violations.append(f"leased after its delete was acknowledged: {name}")
            for attempt, (_, _, renewed) in job.leases.items():
                if attempt > task.attempt_number:
                    self.violations.append(f"attempt numbers went back: {name} after {attempt}")
                if not job.outcomes[attempt] and now - renewed < LEASE_SECONDS - 0.1:
                    self.violations.append(f"leased while attempt {attempt} held it for {now - renewed:.2f} s: {name}")
            job.leases[task.attempt_number] = (task.id, asked, asked)
            job.renewed[task.id] = asked
            job.stored = True
            self.leased(task, asked)
        return job

    def _outcome(self, chance, task, job):
        """Decides what becomes of a task; nothing for a worker that forgets about it."""
        fields = dict(task_id=task.id, tenant_id=task.tenant_id)
        kind = chance.choices(["success", "failure", "cancelled", "forget"], [88, 9, 2, self.forgets])[0]
        value = [kind, task.id, chance.random()]
        if kind == "success":
            fields["success"] = packed(value)
        elif kind == "failure":
            fields["failure"] = pb.Failure(code="PLANNED", data=packed(value))
        elif kind == "cancelled":
            fields["cancelled"] = pb.Cancelled()
        else:
            return None
        return kind, value, fields

    def _finish(self, client, chance, worker, task, job):
        shard = task.shard
        if chance.random() < 0.1:
            asked = time.monotonic()
            try:
                self._call(client, "Heartbeat", shard=shard, worker_id=worker, task_id=task.id, tenant_id=task.tenant_id)
                with self.lock:
                    job.leases[task.attempt_number] = (task.id, asked, asked)
                    job.renewed[task.id] = asked
                    job.heard.add(task.attempt_number)
                    self.renewed(task, asked)
            except Uncertain:
                pass
            except grpc.RpcError as error:
                self._check_lost_lease(error, task, job)
        outcome = self._outcome(chance, task, job)
        if outcome is None:
            return
        kind, value, fields = outcome
        entry = [kind, value, False]
        with self.lock:
            job.outcomes[task.attempt_number].append(entry)
            self.letting_go(task)
        for attempt in range(100):
            try:
                self._call(client, "ReportOutcome", shard=shard, **fields)
                entry[2] = True
                break
            except Uncertain:
                continue
            except grpc.RpcError as error:
                # Refused the second time: the first report may have been taken.
                if attempt == 0 or error.code() != grpc.StatusCode.NOT_FOUND:
                    self._check_lost_lease(error, task, job)
                return
        # Of a report whose answers were all lost nothing is known: the next may be the first that is taken.
        if entry[2] and chance.random() < 0.05:
            try:
                self._call(client, "ReportOutcome", shard=shard, **(fields | {"failure": pb.Failure(code="SECOND")}))
                self.complain(f"a second outcome of {job.id} attempt {task.attempt_number} was acknowledged")
            except Uncertain:
                pass
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    self.complain(f"a second outcome was refused with {error.code()} {error.details()}")

    def _report_together(self, client, chance, shard, reports):
        batch = []
        for task, job in reports:
            outcome = self._outcome(chance, task, job)
            if outcome:
                entry = [outcome[0], outcome[1], False]
                with self.lock:
                    job.outcomes[task.attempt_number].append(entry)
                    self.letting_go(task)
                batch.append((task, job, outcome[2], entry))
        for attempt in range(100):
            try:
                response = self._call(
                    client, "ReportOutcomes", shard=shard,
                    outcomes=[pb.ReportOutcomeRequest(**fields) for _, _, fields, _ in batch],
                )
            except Uncertain:
                continue
            for result, (task, job, _, entry) in zip(response.results, batch, strict=True):
                if result.code == 0:
                    entry[2] = True
                elif attempt == 0 and time.monotonic() - job.renewed[task.id] < LEASE_SECONDS - 0.5:
                    self.complain(f"the outcome of {job.id} was refused: {result.error}")
            return

    def _check_lost_lease(self, error, task, job):
        """A lease may only be gone when it has expired."""
        held = time.monotonic() - job.renewed[task.id]
        if error.code() != grpc.StatusCode.NOT_FOUND or held < LEASE_SECONDS - 0.5:
            self.complain(
                f"{job.id} attempt {task.attempt_number}, held for {held:.2f} s: {error.code()} {error.details()}"
            )

    # The end

    def drain(self, seconds=180):
        """Stops producing and waits until every stored job is finished."""
        self.producing.clear()
        with Client(self.address, options=self.options) as client:
            def done():
                try:
                    total, finished = client.counts()
                except grpc.RpcError:
                    return False
                return total == finished and not any(thread.is_alive() for thread in self.producers)

            until(done, seconds, "every job to be finished")
        self.end()

    def judge(self):
        """Compares what was acknowledged with what the server has. Gives what does not hold."""
        with Client(self.address, options=self.options) as client:
            found = self._read_all(client)
            problems = list(self.violations)
            for key, job in self.jobs.items():
                problems += [f"{key}: {text}" for text in self._judge(job, found[key])]
            present = [job for job in found.values() if job is not None]
            finished = [job for job in present if job.status in (SUCCEEDED, FAILED, CANCELLED)]
            if client.counts() != (len(present), len(finished)):
                problems.append(f"the server counts {client.counts()}, found were {(len(present), len(finished))}")
        return problems

    def _read_all(self, client):
        found = {}
        keys = list(self.jobs)
        for first in range(0, len(keys), 200):
            page = keys[first:first + 200]
            futures = [
                client.begin("GetJob", shard=client.shard_of(tenant), tenant=tenant, id=id, include_attempts=True)
                for tenant, id in page
            ]
            for key, future in zip(page, futures):
                try:
                    found[key] = future.result()
                except grpc.RpcError as error:
                    if error.code() != grpc.StatusCode.NOT_FOUND:
                        raise
                    found[key] = None
        return found

    def _judge(self, job, found):
        if found is None:
            if job.stored and not job.delete_sent:
                yield "was acknowledged and is gone"
            return
        if job.deleted:
            yield "is there after its delete was acknowledged"
        if found.payload != packed(job.payload) or dict(found.metadata) != {"n": job.id}:
            yield "is not what was enqueued"
        if found.status in (SCHEDULED, RUNNING):
            yield f"is not finished: status {found.status}"
        if job.cancelled_at and found.status not in (CANCELLED, SUCCEEDED):
            yield f"has status {found.status} after its cancel was acknowledged"
        numbers = [attempt.attempt_number for attempt in found.attempts]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"has attempts {numbers}"
        attempts = {attempt.attempt_number: attempt for attempt in found.attempts}
        for number, (task, _, _) in job.leases.items():
            if number not in attempts or attempts[number].task_id != task:
                yield f"lost the acknowledged lease of attempt {number}"
        for number, attempt in attempts.items():
            yield from self._judge_attempt(job, found, attempt, job.outcomes.get(number, []))
        for number, outcomes in job.outcomes.items():
            if sum(acknowledged for _, _, acknowledged in outcomes) > 1:
                yield f"has two acknowledged outcomes of attempt {number}"

    def _judge_attempt(self, job, found, attempt, outcomes):
        seen = self._seen(attempt)
        acknowledged = [(kind, value) for kind, value, was in outcomes if was]
        if acknowledged:
            kind, value = acknowledged[0]
            if seen != (kind, None if kind == "cancelled" else packed(value)):
                yield f"attempt {attempt.attempt_number} is {seen}, acknowledged was {acknowledged[0]}"
            if kind == "success" and (found.status != SUCCEEDED or found.result != packed(value)):
                yield f"has status {found.status} and not the result that was acknowledged"
            return
        allowed = [(kind, None if kind == "cancelled" else packed(value)) for kind, value, _ in outcomes]
        is_expired = attempt.error_code == "WORKER_CRASHED" or (job.cancel_sent and seen[0] == "cancelled")
        if seen not in allowed and not is_expired and not self.may_end_so(job, attempt):
            yield f"attempt {attempt.attempt_number} is {seen}, which nobody reported"

    @staticmethod
    def _seen(attempt):
        if attempt.status == pb.ATTEMPT_STATUS_SUCCEEDED:
            return "success", attempt.result
        if attempt.status == pb.ATTEMPT_STATUS_CANCELLED:
            return "cancelled", None
        if attempt.status == pb.ATTEMPT_STATUS_FAILED:
            return "failure", attempt.error_data
        return "running", None
