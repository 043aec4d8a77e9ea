"""awa: a queue on PostgreSQL whose core is in Rust, called from Python."""

import asyncio
from dataclasses import dataclass
from importlib.metadata import version

from .postgres import Postgres


@dataclass
class BenchJob:
    body: str


class Awa(Postgres):
    hides_completion = True

    def versions(self):
        return {**super().versions(), "awa-pg": version("awa-pg")}

    def open(self, connections):
        import awa

        return awa.AsyncClient(self.address, connections)

    def prepare(self):
        async def migrate():
            async with self.open(4) as connection:
                await connection.migrate()

        asyncio.run(migrate())

    def remaining(self):
        async def count():
            async with self.open(2) as connection:  # its queue_stats() takes seconds after some thousands of jobs
                states = [await connection.list_jobs(state=state, queue="bench", limit=10)
                          for state in ("available", "running", "retryable")]
                return sum(map(len, states))

        return asyncio.run(count())

    async def open_producer(self):
        self.producer = self.open(self.inflight)

    async def enqueue(self, payloads):
        if self.batch == 1:
            await self.producer.insert(BenchJob(payloads[0]), queue="bench")
        else:
            await self.producer.enqueue_many_copy([BenchJob(body) for body in payloads], queue="bench")

    async def work(self, client):
        worker = self.open(20)

        @worker.task(BenchJob, queue="bench")
        async def handle(job):
            client.got(job.args.body)
            client.done(job.args.body)

        await worker.start([{"name": "bench", "max_workers": 256}], poll_interval_ms=20)
        await client.ready()
        await client.until_stopped()
        await worker.shutdown(2000)
