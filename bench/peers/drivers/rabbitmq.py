"""RabbitMQ's quorum queue on one node: publisher confirms, manual acknowledgements."""

import asyncio
import os
import pathlib
import subprocess
from importlib.metadata import version

from ..driver import Driver, ToolDriver
from ..processes import HOST, UNPACKED, tool_environment
from ..shared import free_port

ERLANG = UNPACKED / "usr/lib/erlang"


class RabbitMQ(Driver):
    acknowledged = ("publish: the confirm, after the entry of the Raft log was synced. "
                    "Completion: sent; the protocol has no answer to it")

    def versions(self):
        return {"RabbitMQ": self.home().name.rsplit("-", 1)[1], "aio-pika": version("aio-pika")}

    @staticmethod
    def home():
        found = list(UNPACKED.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*"))
        if not found:
            raise FileNotFoundError("rabbitmq-server is not installed")
        return found[0]

    def start(self):
        names = free_port()
        for name, text in (("rabbit.conf", ""), ("environment", ""), ("plugins", "[].\n")):
            (self.folder / name).write_text(text)
        environment = tool_environment(
            HOME=str(self.folder), SYS_PREFIX=str(self.folder), PATH=f"{ERLANG}/bin:{os.environ['PATH']}",
            ERL_EPMD_ADDRESS=HOST, ERL_EPMD_PORT=str(names), RABBITMQ_NODENAME="bench@localhost",
            RABBITMQ_NODE_IP_ADDRESS=HOST, RABBITMQ_NODE_PORT=str(self.port), RABBITMQ_DIST_PORT=str(free_port()),
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}",
            RABBITMQ_MNESIA_BASE=f"{self.folder}/db", RABBITMQ_LOG_BASE=f"{self.folder}/log", RABBITMQ_GENERIC_CONFIG="",
            RABBITMQ_CONFIG_FILE=f"{self.folder}/rabbit", RABBITMQ_ENABLED_PLUGINS_FILE=f"{self.folder}/plugins",
            RABBITMQ_CONF_ENV_FILE=f"{self.folder}/environment")
        # Erlang's name server in the foreground: started by Erlang, it would outlive us.
        self.spawn([ERLANG / "bin/epmd", "-address", HOST, "-port", names], port=names, env=environment)
        self.spawn([self.home() / "sbin/rabbitmq-server"], env=environment)

    async def open_producer(self):
        import aio_pika

        self.connection = await aio_pika.connect(f"amqp://{HOST}:{self.port}/")
        self.channel = await self.connection.channel(publisher_confirms=True)
        self.queue = await self.channel.declare_queue("bench", durable=True, arguments={"x-queue-type": "quorum"})

    def prepare(self):
        self.remaining()

    def remaining(self):
        async def count():
            await self.open_producer()
            messages = self.queue.declaration_result.message_count
            await self.connection.close()
            return messages

        return asyncio.run(count())

    async def enqueue(self, payloads):
        import aio_pika

        message = aio_pika.Message(payloads[0].encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await self.channel.default_exchange.publish(message, routing_key="bench")

    async def work(self, client):
        await self.open_producer()
        await self.channel.set_qos(prefetch_count=256)

        async def handle(message):
            body = message.body.decode()
            client.got(body)
            await message.ack()
            client.done(body)

        await self.queue.consume(handle)
        await client.ready()
        await client.until_stopped()


class Bench(ToolDriver, RabbitMQ):
    """The same from Erlang, with the client library that comes with the server."""

    def versions(self):
        version = self.home().name.rsplit("-", 1)[1]
        return {"RabbitMQ": version, "amqp_client": version}

    def run_tool(self, seconds, payload_bytes, meter):
        script = pathlib.Path(__file__).with_name("rabbitmqbench.escript")
        environment = tool_environment(PATH=f"{ERLANG}/bin:{os.environ['PATH']}", ERL_LIBS=str(self.home() / "plugins"))
        command = map(str, [ERLANG / "bin/escript", script, self.port, payload_bytes, int(seconds), self.inflight])
        with meter:
            answer = subprocess.run(list(command), capture_output=True, text=True, env=environment)
        if answer.returncode:
            raise RuntimeError(f"the load failed: {(answer.stderr or answer.stdout).strip()[-300:]}")
        rate, jobs, left = map(float, answer.stdout.split())
        return {"rate": rate, "jobs": jobs, "left": max(0, int(left)), "doubled": max(0, -int(left))}
