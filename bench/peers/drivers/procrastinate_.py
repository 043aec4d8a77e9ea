"""procrastinate: a task queue on PostgreSQL for Python, on psycopg."""

import asyncio
from importlib.metadata import version

from .postgres import Postgres


class Procrastinate(Postgres):
    hides_completion = True

    def versions(self):
        return {**super().versions(), "procrastinate": version("procrastinate")}

    def application(self, connections):
        import procrastinate

        connector = procrastinate.PsycopgConnector(conninfo=self.address, min_size=connections, max_size=connections)
        application = procrastinate.App(connector=connector)

        @application.task(queue="bench", name="bench")
        async def bench(body):
            self.handle(body)

        self.task = bench
        return application

    def prepare(self):
        async def install():
            async with self.application(1).open_async() as application:
                await application.schema_manager.apply_schema_async()

        asyncio.run(install())

    def remaining(self):
        return int(self.sql("select count(*) from procrastinate_jobs where status in ('todo', 'doing')"))

    async def open_producer(self):
        await self.application(self.inflight).open_async()

    async def enqueue(self, payloads):
        await self.task.batch_defer_async(*({"body": body} for body in payloads))

    async def work(self, client):
        application = self.application(20)

        def handle(body):
            client.got(body)
            client.done(body)

        self.handle = handle
        await application.open_async()
        running = asyncio.ensure_future(application.run_worker_async(
            queues=["bench"], concurrency=32, install_signal_handlers=False, delete_jobs="successful",
            shutdown_graceful_timeout=1))
        await asyncio.sleep(0.3)  # it says nowhere that it listens
        await client.ready()
        await client.until_stopped()
        running.cancel()
        await asyncio.wait([running], timeout=3)
