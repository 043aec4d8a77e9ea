"""PgQueuer: a queue on PostgreSQL for Python, on asyncpg."""

import asyncio
from datetime import timedelta
from importlib.metadata import version

from .postgres import Postgres


class PgQueuer(Postgres):
    hides_completion = True

    def versions(self):
        return {**super().versions(), "pgqueuer": version("pgqueuer")}

    async def queries(self, connections):
        import asyncpg
        from pgqueuer import AsyncpgPoolDriver, Queries

        return Queries(AsyncpgPoolDriver(await asyncpg.create_pool(self.address, min_size=connections, max_size=connections)))

    def prepare(self):
        async def install():
            await (await self.queries(1)).install()

        asyncio.run(install())

    def remaining(self):
        return int(self.sql("select count(*) from pgqueuer"))

    async def open_producer(self):
        self.producer = await self.queries(self.inflight)

    async def enqueue(self, payloads):
        count = len(payloads)
        await self.producer.enqueue(["bench"] * count, [body.encode() for body in payloads], [0] * count)

    async def work(self, client):
        from pgqueuer import QueueManager

        manager = QueueManager(await self.queries(10))

        @manager.entrypoint("bench")
        async def handle(job):
            body = job.payload.decode()
            client.got(body)
            client.done(body)

        running = asyncio.ensure_future(manager.run(batch_size=self.batch, dequeue_timeout=timedelta(seconds=1)))
        await asyncio.sleep(0.3)  # it says nowhere that it listens
        await client.ready()
        await client.until_stopped()
        manager.shutdown.set()
        await asyncio.wait([running], timeout=3)
