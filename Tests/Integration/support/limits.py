"""Jobs with limits: many of them stored, run and looked at."""

import collections
import concurrent.futures
import threading
import time

from .client import new_id
from .generated import pb
from .waiting import milliseconds


def enqueue_all(client, group, limits, count, **fields):
    """So many jobs of ascending rank; gives their ids."""
    begin = milliseconds() - 1000
    return [client.enqueue(group, id=new_id(), limits=limits, start_at_ms=begin + n, **fields) for n in range(count)]


def run_all(client, group, workers, most=4, live=None, seconds=60):
    """Workers that succeed with all jobs of the group; gives the ids of the jobs in the order of their reports.

    With `live`, a dict from job id to the keys that it holds, they check that no key is held twice.
    """
    done, lock, holders, broken = [], threading.Lock(), collections.defaultdict(set), []
    end = time.monotonic() + seconds

    def work(number):
        while tasks := client.lease(group, most, f"w{number}", wait_ms=500):
            assert time.monotonic() < end, "the jobs take too long"
            with lock:
                for task in tasks:
                    for key in (live or {}).get(task.job_id, ()):
                        holders[key].add(task.id)
                        if len(holders[key]) > 1:
                            broken.append((key, set(holders[key])))
            for task in tasks:
                with lock:
                    for key in (live or {}).get(task.job_id, ()):
                        holders[key].discard(task.id)
                    done.append(task.job_id)
                client.succeed(task)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    assert broken == []
    return done


def is_waiting(client, id):
    """Waits for a limit: has no ready row that LeaseTask could take, and no timer that Expedite could."""
    kinds = {o.kind for o in client.explain(id).obstacles if o.blocks_now}
    return bool(kinds & {pb.Obstacle.KIND_CONCURRENCY, pb.Obstacle.KIND_FLOATING, pb.Obstacle.KIND_RATE})


def started(client, *ids):
    """When the last attempts of jobs began, by the server's clock."""
    return [client.job(id, attempts=True).attempts[-1].started_at_ms for id in ids]
