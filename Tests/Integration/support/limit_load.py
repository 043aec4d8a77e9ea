"""The load of load.py with limits: what its workers hold at once, and what started when, must be what the limits allow."""

import collections
import time

from .client import LEAKY, Client, concurrency, floating, ids_of, new_id, rate, rate_policy
from .generated import pb
from .load import LEASE_SECONDS, Load, Uncertain
from .waiting import until


class LimitLoad(Load):
    """Jobs with limits. Workers note from when to when they hold each key, by their own clock.

    A lease counts from its acknowledgement until its report is sent, or until it may have expired: it was held for certain
    then. So what is counted as too many at once was too many.
    """

    forgets = 0.1
    #: Slots of each key, for each tenant.
    slots = {"one": 1, "two": 2, "five": 5, "x": 1, "y": 1, "z": 2}
    #: The largest value that any worker reports.
    floats = {"f": 4, "g": 3}
    #: Hits, milliseconds, algorithm.
    rates = {"token": (20, 500, 0), "leaky": (40, 1000, LEAKY), "scarce": (3, 250, 0)}

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.live = collections.defaultdict(dict)  # (tenant, key) -> {task id: held until, for certain}
        self.most = collections.Counter()          # the same -> most at once
        self.refreshes = collections.Counter()
        self.named = {}                            # job -> names of its limits
        self.bounded = set()                       # jobs that a rate limit may fail

    # What is enqueued

    def extra_fields(self, chance, job):
        limits, names = [], []
        kind = chance.random()
        if kind < 0.45:
            names = [chance.choice(["one", "two", "five"])]
        elif kind < 0.65:
            names = chance.sample(["x", "y", "z", "five"], chance.choice([2, 3]))
        elif kind < 0.75:
            names = [chance.choice(["f", "g"])]
        elif kind < 0.85:
            names = [chance.choice(["token", "leaky", "scarce"])]
        elif kind < 0.95:
            names = ["leaky", "five", "f"]
            chance.shuffle(names)
        for name in names:
            if name in self.slots:
                limits.append(concurrency(name, self.slots[name]))
            elif name in self.floats:
                limits.append(floating(name, 1, chance.choice([20, 200]), {"about": name}))
            else:
                hits, length, algorithm = self.rates[name]
                bound = None
                if name == "scarce" and chance.random() < 0.3:
                    bound = rate_policy(2, 20, 100, 2.0)
                    self.bounded.add((job.tenant, job.id))
                limits.append(rate(name, hits, length, algorithm=algorithm, retry_policy=bound))
        self.named[job.tenant, job.id] = names
        return {"limits": limits}

    # What workers see

    def leased(self, task, asked):
        now = time.monotonic()
        for key in self._keys(task):
            held = self.live[key]
            for other, until_ in list(held.items()):
                if until_ <= now:
                    del held[other]
            held[task.id] = asked + LEASE_SECONDS
            self.most[key] = max(self.most[key], len(held))
            most = (self.slots | self.floats)[key[1]]
            if len(held) > most:
                self.violations.append(f"{len(held)} live leases of {key}, which has {most} slots: {list(held)}")

    def renewed(self, task, asked):
        for key in self._keys(task):
            if task.id in self.live[key]:
                self.live[key][task.id] = asked + LEASE_SECONDS

    def letting_go(self, task):
        for key in self._keys(task):
            self.live[key].pop(task.id, None)

    def _keys(self, task):
        names = self.named.get((task.tenant_id, task.job_id), ())
        return [(task.tenant_id, name) for name in names if name in self.slots or name in self.floats]

    def refresh(self, client, chance, refresh):
        if dict(refresh.metadata) != {"about": refresh.queue_key}:
            self.complain(f"a refresh of {refresh.queue_key} with metadata {dict(refresh.metadata)}")
        kind = chance.choices(["success", "failure", "forget"], [90, 5, 0.5])[0]
        self.refreshes[kind] += 1
        fields = dict(task_id=refresh.id, tenant_id=refresh.tenant_id, shard=refresh.shard)
        if kind == "success":
            fields["success"] = pb.RefreshSuccess(new_max_concurrency=chance.randrange(1, self.floats[refresh.queue_key] + 1))
        elif kind == "failure":
            fields["failure"] = pb.RefreshFailure(code="PLANNED")
        else:
            return
        for attempt in range(100):
            try:
                self._call(client, "ReportRefreshOutcome", **fields)
                return
            except Uncertain:
                continue
            except Exception as error:
                # The second time the first report may have been taken.
                if attempt == 0:
                    self.complain(f"the refresh of {refresh.queue_key} was refused: {error!r}")
                return

    # The end

    def judge(self):
        problems = super().judge()
        with Client(self.address, options=self.options) as client:
            problems += self._judge_rates(self._read_all(client))
        return problems

    def may_end_so(self, job, attempt):
        return attempt.error_code == "RATE_LIMITED" and (job.tenant, job.id) in self.bounded

    def _judge_rates(self, found):
        """Starts by the server's clock: a fixed window has at most `hits`, so any stretch of its length at most twice that."""
        starts = collections.defaultdict(list)
        for (tenant, id), job in found.items():
            for name in self.named.get((tenant, id), ()) if job is not None else ():
                if name in self.rates:
                    starts[tenant, name] += [a.started_at_ms for a in job.attempts if a.error_code != "RATE_LIMITED"]
        for key, times in starts.items():
            hits, length, algorithm = self.rates[key[1]]
            times.sort()
            first = 0
            for last, time_ in enumerate(times):
                while times[first] <= time_ - length:
                    first += 1
                most = 2 * hits if algorithm != LEAKY else hits + hits * (time_ - times[first]) / length + 1
                if last - first + 1 > most:
                    yield f"{last - first + 1} starts of {key} within {time_ - times[first]} ms at {time_}, at most {most} may be"
                    break
        self.starts = {key: len(times) for key, times in starts.items()}

    def check_all_is_free(self, client):
        """With nothing running, each key has room for exactly as many as it has slots."""
        for tenant in self.tenants:
            for name, most in self.slots.items():
                group = new_id("free")
                ids = [client.enqueue(group, tenant=tenant, id=new_id(), limits=[concurrency(name, most)]) for _ in range(most + 1)]
                tasks = client.lease(group, 99)
                assert len(ids_of(tasks)) == most, f"{name} of {tenant} has {len(tasks)} free slots of {most}"
                for task in tasks:
                    client.succeed(task)
                client.succeed(client.take(group))
                until(lambda: client.status(ids[-1], tenant=tenant) == pb.JOB_STATUS_SUCCEEDED, what="the last")
