"""Silo with its defaults, through Python's grpcio and through silo-bench."""

import asyncio
import json
import subprocess

from ..driver import Driver, ToolDriver
from ..processes import HOST
from ..shared import ROOT, messages, programs, until


class Server(Driver):
    acknowledged = "enqueue, lease and report: in the log of the shard, synced with fdatasync"

    def versions(self):
        commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
        version = programs.run("silo", "--version").stdout.split()[1]
        return {"Silo": f"{version} ({commit.stdout.strip()})" if commit.returncode == 0 else version}

    def start(self):
        self.spawn(
            [programs.program("silo"), "--data", self.folder / "data", "--listen", f"{HOST}:{self.port}"],
            env=programs.environment())
        # The port is taken before the shards are opened.
        until(lambda: "server started" in (self.folder / "server.log").read_text(), 60, "the server to start")

    def remaining(self):
        pb, rpc = messages()
        import grpc

        with grpc.insecure_channel(f"{HOST}:{self.port}") as channel:
            shards = rpc.SiloStub(channel).GetNodeInfo(pb.GetNodeInfoRequest()).owned_shards
        return sum(shard.total_jobs - shard.completed_jobs for shard in shards)


class Silo(Server):
    """`batch` jobs in EnqueueBatch, LeaseTasks and ReportOutcomes; at 1 in Enqueue, LeaseTasks and ReportOutcome."""

    LIGHT_LANES, WAIT_MS = 4, 5000

    def versions(self):
        import grpc

        return {**super().versions(), "grpcio": grpc.__version__}

    async def open_producer(self):
        import grpc.aio

        self.pb, rpc = messages()
        self.stub = rpc.SiloStub(grpc.aio.insecure_channel(f"{HOST}:{self.port}"))
        cluster = await self.stub.GetClusterInfo(self.pb.GetClusterInfoRequest())
        self.shard = cluster.shard_owners[0].shard_id

    def job(self, body):
        return self.pb.EnqueueRequest(
            shard=self.shard, priority=50, task_group="bench", payload=self.pb.SerializedBytes(msgpack=body.encode()))

    async def enqueue(self, payloads):
        if self.batch == 1:
            await self.stub.Enqueue(self.job(payloads[0]))
        else:
            jobs = [self.job(body) for body in payloads]
            await self.stub.EnqueueBatch(self.pb.EnqueueBatchRequest(shard=self.shard, jobs=jobs))

    async def work(self, client):
        await self.open_producer()
        await client.ready()
        count = self.LIGHT_LANES if client.light else self.inflight
        lanes = [asyncio.ensure_future(self.lane(client, number)) for number in range(count)]
        stopped = asyncio.ensure_future(client.until_stopped())
        await asyncio.wait([stopped, *lanes], return_when=asyncio.FIRST_COMPLETED)
        for lane in lanes:
            if lane.done():
                lane.result()  # a failure ends this process
            lane.cancel()

    async def lane(self, client, number):
        request = self.pb.LeaseTasksRequest(
            shard=self.shard, worker_id=f"{client.index}-{number}", task_group="bench", wait_ms=self.WAIT_MS,
            max_tasks=self.batch)
        while not client.stopping:
            tasks = (await self.stub.LeaseTasks(request)).tasks
            if not tasks:
                continue
            bodies = [task.payload.msgpack.decode() for task in tasks]
            client.got(*bodies)
            await self.report(tasks)
            client.done(*bodies)

    async def report(self, tasks):
        outcomes = [self.pb.ReportOutcomeRequest(shard=self.shard, task_id=task.id, success=self.pb.SerializedBytes())
                    for task in tasks]
        if self.batch == 1:
            await self.stub.ReportOutcome(outcomes[0])
            return
        answer = await self.stub.ReportOutcomes(self.pb.ReportOutcomesRequest(shard=self.shard, outcomes=outcomes))
        if failed := [result for result in answer.results if result.code]:
            raise RuntimeError(f"a report failed: {failed[0]}")


class Bench(ToolDriver, Server):
    """`inflight` loops that enqueue and as many that work, on two connections."""

    BACKLOG = {1: 256, 100: 2000}

    def options(self):
        return ["--channels", 2, "--workers", self.inflight, "--enqueuers", self.inflight, "--batch", self.batch,
                "--max-tasks-per-poll", self.batch, "--backlog", self.BACKLOG[self.batch]]

    def run_tool(self, seconds, payload_bytes, meter):
        with meter:
            answer = programs.run(
                "silo-bench", "--address", f"http://{HOST}:{self.port}", "--json", "--duration-secs", int(seconds),
                "--payload-bytes", payload_bytes, *self.options(), timeout=seconds + 60)
        if answer.returncode:
            raise RuntimeError(f"silo-bench failed: {answer.stderr.strip()[-300:]}")
        figures = json.loads(answer.stdout.splitlines()[-1])
        if figures["failures"]:
            raise RuntimeError(f"{figures['failures']} calls failed: {figures['failure']}")
        jobs = figures["enqueued"] - figures["backlog"]
        return {"rate": figures["completed_per_s"], "jobs": jobs, "left": figures["backlog"], "doubled": None}


class Library(Bench):
    """The client library for Swift, which gathers what its callers and handlers do one by one. `inflight` as the load on
    RabbitMQ has it: two producers that wait for so many confirms each, and two consumers that are sent 256 jobs ahead."""

    def options(self):
        return ["--mode", "library", "--workers", 2 * 256, "--enqueuers", 2 * self.inflight, "--backlog", 8 * self.inflight]
