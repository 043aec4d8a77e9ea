"""Redis as a reliable queue: pushed to a list, moved to a list of the lane's own, dropped from that when done."""

import asyncio
import re
import subprocess
from importlib.metadata import version

from ..driver import Driver
from ..processes import HOST, tool, tool_environment

SETTINGS = ["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no",
            "--maxmemory-policy", "noeviction", "--daemonize", "no"]
TAKE = """local out = {}
for i = 1, tonumber(ARGV[1]) do
  local v = redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')
  if not v then break end
  out[i] = v
end
return out"""


class Redis(Driver):
    acknowledged = "in the append-only file, synced before the answer (`appendfsync always`)"

    def versions(self):
        text = subprocess.check_output([tool("redis-server"), "--version"], text=True, env=tool_environment())
        return {"Redis": re.search(r"v=(\S+)", text).group(1), "redis-py": version("redis")}

    def start(self):
        self.spawn([tool("redis-server"), "--bind", HOST, "--port", self.port, "--dir", self.folder, *SETTINGS])

    def remaining(self):
        import redis

        with redis.Redis(HOST, self.port) as connection:
            return sum(connection.llen(key) for key in connection.keys("*"))

    async def open_producer(self):
        import redis.asyncio

        self.redis = redis.asyncio.Redis(host=HOST, port=self.port, decode_responses=True, max_connections=self.inflight + 8)

    async def enqueue(self, payloads):
        if self.batch == 1:
            await self.redis.lpush("queue", payloads[0])
        else:
            pipeline = self.redis.pipeline(transaction=False)
            for body in payloads:
                pipeline.lpush("queue", body)
            await pipeline.execute()

    async def work(self, client):
        await self.open_producer()
        take = self.redis.register_script(TAKE)

        async def lane(number):
            own = f"doing:{client.index}:{number}"
            while not client.stopping:
                jobs = await take(["queue", own], [self.batch]) if self.batch > 1 else []
                if not jobs:
                    job = await self.redis.blmove("queue", own, 1, "RIGHT", "LEFT")
                    jobs = [job] if job else []
                client.got(*jobs)
                if jobs:
                    await self.redis.ltrim(own, len(jobs), -1)  # the list holds only this batch
                    client.done(*jobs)

        await client.ready()
        await asyncio.gather(*(lane(number) for number in range(self.inflight)))
