"""NATS JetStream: a stream in files that holds messages until they are acknowledged."""

import asyncio
import subprocess
from importlib.metadata import version

from ..driver import Driver
from ..processes import HOST, tool


class Nats(Driver):
    acknowledged = "publish: in the stream's file, synced (`sync_interval: always`); completion: the answer to `ack_sync`"

    def versions(self):
        text = subprocess.check_output([tool("nats-server"), "-v"], text=True)
        return {"nats-server": text.split()[-1], "nats-py": version("nats-py")}

    def start(self):
        settings = self.folder / "nats.conf"
        settings.write_text(
            f'listen: "{HOST}:{self.port}"\njetstream {{ store_dir: "{self.folder}/streams", sync_interval: always }}\n')
        self.spawn([tool("nats-server"), "-c", settings])

    async def open_producer(self):
        import nats

        self.nats = await nats.connect(f"nats://{HOST}:{self.port}")
        self.stream = self.nats.jetstream(timeout=30)

    def prepare(self):
        from nats.js import api

        async def make():
            await self.open_producer()
            await self.stream.add_stream(
                name="BENCH", subjects=["bench"], retention=api.RetentionPolicy.WORK_QUEUE, storage=api.StorageType.FILE)
            await self.stream.add_consumer("BENCH", api.ConsumerConfig(
                durable_name="workers", deliver_subject="deliver.workers", deliver_group="workers",
                ack_policy=api.AckPolicy.EXPLICIT, ack_wait=60, max_ack_pending=1024))
            await self.nats.close()

        asyncio.run(make())

    def remaining(self):
        async def count():
            await self.open_producer()
            messages = (await self.stream.stream_info("BENCH")).state.messages
            await self.nats.close()
            return messages

        return asyncio.run(count())

    async def enqueue(self, payloads):
        await self.stream.publish("bench", payloads[0].encode(), timeout=30)

    async def work(self, client):
        await self.open_producer()
        finishing = set()

        async def finish(message, body):
            await message.ack_sync(timeout=30)
            client.done(body)

        async def handle(message):
            body = message.data.decode()
            client.got(body)
            task = asyncio.ensure_future(finish(message, body))
            finishing.add(task)
            task.add_done_callback(finishing.discard)

        consumer = await self.stream.consumer_info("BENCH", "workers")
        await self.stream.subscribe_bind("BENCH", cb=handle, manual_ack=True, consumer="workers", config=consumer.config)
        await client.ready()
        await client.until_stopped()
