"""beanstalkd with a log that is synced on every write. Its protocol is spoken by hand: no client writes many commands at once."""

import asyncio
import subprocess

from ..driver import Driver
from ..processes import HOST, tool


class Beanstalkd(Driver):
    acknowledged = "put and delete: in its log, synced with every write (`-f 0`); reserve is not logged"

    RESERVED_AT_ONCE = 25

    def versions(self):
        return {"beanstalkd": subprocess.check_output([tool("beanstalkd"), "-v"], text=True).split()[1]}

    def start(self):
        (self.folder / "log").mkdir()
        self.spawn([tool("beanstalkd"), "-l", HOST, "-p", self.port, "-b", self.folder / "log", "-f", 0])

    def remaining(self):
        async def count():
            reader, writer = await self.connect()
            writer.write(b"stats\r\n")
            stats = (await reader.readuntil(b"\n\r\n")).decode()
            writer.close()
            return sum(int(line.split()[1]) for line in stats.splitlines()
                       if line.startswith(("current-jobs-ready:", "current-jobs-reserved:")))

        return asyncio.run(count())

    async def connect(self):
        return await asyncio.open_connection(HOST, self.port)

    async def open_producer(self):
        self.free = asyncio.Queue()
        for _ in range(self.inflight):
            self.free.put_nowait(await self.connect())

    async def enqueue(self, payloads):
        reader, writer = connection = await self.free.get()
        writer.write(b"".join(b"put 1024 0 60 %d\r\n%s\r\n" % (len(body), body.encode()) for body in payloads))
        for _ in payloads:
            await expect(reader, b"INSERTED")
        self.free.put_nowait(connection)

    async def work(self, client):
        at_once = 1 if client.light else min(self.batch, self.RESERVED_AT_ONCE)

        async def lane():
            connection = reader, writer = await self.connect()
            while not client.stopping:
                jobs = await reserve(connection, at_once, 0) if at_once > 1 else []
                jobs = jobs or await reserve(connection, 1, 1)
                bodies = [body for _, body in jobs]
                client.got(*bodies)
                writer.write(b"".join(b"delete %s\r\n" % job for job, _ in jobs))
                for _ in jobs:
                    await expect(reader, b"DELETED")
                client.done(*bodies)

        await client.ready()
        await asyncio.gather(*(lane() for _ in range(self.inflight)))


async def reserve(connection, count, wait_seconds):
    """Up to `count` jobs, each with its id and body."""
    reader, writer = connection
    writer.write(b"reserve-with-timeout %d\r\n" % wait_seconds * count)
    jobs = []
    for _ in range(count):
        words = (await reader.readline()).split()
        if words[0] == b"RESERVED":
            jobs.append((words[1], (await reader.readexactly(int(words[2]) + 2))[:-2].decode()))
    return jobs


async def expect(reader, word):
    line = await reader.readline()
    if not line.startswith(word):
        raise RuntimeError(f"beanstalkd answered {line!r}")
