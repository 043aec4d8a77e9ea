"""Peers that do not behave: garbage, stalls, disconnects, wrong messages. The server goes on, and neither memory nor
descriptors grow."""

import os
import random
import socket
import struct
import threading
import time
import uuid

import grpc
import pytest

from support.client import INVALID_ARGUMENT, NOT_FOUND, Client, packed, refused
from support.generated import pb
from support.waiting import until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
NIL = str(uuid.UUID(int=0))
MIB = 1 << 20


def garbage(chance):
    """What a peer may send that is no client."""
    def http2(kind, flags, stream, body):
        return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body

    return chance.choice([
        lambda: chance.randbytes(chance.randrange(1, 5000)),
        lambda: PREFACE[:chance.randrange(1, len(PREFACE))],
        lambda: PREFACE + chance.randbytes(500),
        lambda: PREFACE + SETTINGS + http2(1, 4, 1, chance.randbytes(50)),
        lambda: PREFACE + SETTINGS + http2(0, 0, 7, b"data of no stream"),
        lambda: PREFACE + SETTINGS + struct.pack(">I", 0xFFFFFF00) + b"\x00\x00\x00\x00\x01",
        lambda: PREFACE + SETTINGS + http2(8, 0, 0, b"\x7f\xff\xff\xff"),
        lambda: PREFACE + SETTINGS + http2(4, 0, 0, b"\x00\x04\xff\xff\xff\xff"),
        lambda: PREFACE + SETTINGS + b"".join(http2(3, 0, n * 2 + 1, b"\x00\x00\x00\x08") for n in range(100)),
        lambda: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        lambda: b"POST /silo.v1.Silo/Enqueue HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nshort",
        # The beginning of a TLS client hello.
        lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(200),
        lambda: b"\x00" * 4096,
        lambda: b"",
    ])()


@pytest.fixture(scope="module")
def own(start_server):
    """A server that only these tests torment."""
    return start_server("--shards", 1)


@pytest.fixture
def witness(own):
    """A well-behaved client; the server must serve it at the end as at the start."""
    with Client(own.address) as client:
        client.succeeded()
        yield client
        client.succeeded()
        assert own.is_running
        assert not [line for line in own.log() if line["level"] == "RAW"], "something wrote past the log"
        assert len(own.errors()) < 2000, "peers can flood the error stream"


class Watch:
    """Memory and descriptors before and after."""

    def __init__(self, server):
        self.server = server
        self.descriptors = server.descriptors()
        self.rss = server.rss()

    def check(self, megabytes=60):
        until(
            lambda: self.server.descriptors() <= self.descriptors + 8, 60, "descriptors to be closed",
            lambda: f"{self.descriptors} before, {self.server.descriptors()} after",
        )
        grown = (self.server.rss() - self.rss) / MIB
        assert grown < megabytes, f"memory grew by {grown:.0f} MiB"


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), 30)


class TestGarbage:
    def test_thousands_of_peers_that_send_garbage(self, own, witness):
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        chance = random.Random(seed)

        def torment(count):
            for _ in range(count):
                with connect(own) as peer:
                    try:
                        peer.sendall(garbage(chance))
                        if chance.random() < 0.2:
                            peer.settimeout(0.2)
                            peer.recv(1000)
                        if chance.random() < 0.5:
                            # Closes with a reset instead of politely.
                            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    except OSError:
                        pass

        torment(300)
        watch = Watch(own)
        torment(3000)
        watch.check()

    def test_peers_that_connect_and_stall_hold_nobody_up(self, own, witness):
        watch = Watch(own)
        peers = []
        try:
            for n in range(400):
                peer = connect(own)
                peer.sendall([b"", PREFACE[:10], PREFACE, PREFACE + SETTINGS][n % 4])
                peers.append(peer)
            begun = time.monotonic()
            for _ in range(20):
                witness.succeeded()
            assert time.monotonic() - begun < 20
        finally:
            for peer in peers:
                peer.close()
        watch.check()

    def test_peers_that_send_half_a_request_hold_nobody_up(self, own, witness):
        """A call whose request stays open, a hundred times."""
        watch = Watch(own)
        channels = []
        for _ in range(100):
            client = Client(own.address)
            stop = threading.Event()

            def body(stop=stop):
                yield b"\x0a\x05abcde"
                stop.wait(30)

            future = client.channel.stream_unary("/silo.v1.Silo/Enqueue").future(body(), timeout=60)
            channels.append((client, stop, future))
        for _ in range(20):
            witness.succeeded()
        for client, stop, future in channels:
            future.cancel()
            stop.set()
            client.close()
        watch.check()

    def test_a_request_that_never_ends_is_dropped_with_its_connection(self, own, witness):
        watch = Watch(own)
        for _ in range(200):
            with connect(own) as peer:
                # HEADERS without END_HEADERS, then silence, then a reset.
                peer.sendall(PREFACE + SETTINGS + b"\x00\x00\x02\x01\x00\x00\x00\x00\x01\x83\x86")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        watch.check()


class TestDisconnects:
    def test_thousands_of_clients_that_vanish_in_mid_call(self, own, witness):
        request = pb.LeaseTasksRequest(task_group="vanish", max_tasks=1, worker_id="w", wait_ms=60_000)

        def vanish(count):
            for first in range(0, count, 50):
                clients = [Client(own.address) for _ in range(5)]
                for client in clients:
                    for _ in range(10):
                        client.stub.LeaseTasks.future(request, timeout=60)
                        client.begin("Enqueue", shard=witness.shard, task_group="other", payload=packed("x" * 1000))
                if first % 100:
                    time.sleep(0.005)
                for client in clients:
                    client.close()

        vanish(300)
        watch = Watch(own)
        vanish(3000)
        watch.check()
        id = witness.enqueue("vanish")
        assert witness.take("vanish", seconds=8).job_id == id, "no dead worker got the task"

    def test_thousands_of_calls_that_are_called_off(self, own, witness):
        def call_off(count):
            for _ in range(count // 100):
                futures = [
                    witness.begin("LeaseTasks", task_group="off", max_tasks=1, worker_id="w", wait_ms=60_000) for _ in range(100)
                ]
                for future in futures:
                    future.cancel()

        call_off(1000)
        watch = Watch(own)
        call_off(10_000)
        watch.check()

    def test_large_answers_that_nobody_reads(self, own, witness):
        """Clients that ask for 8 MiB and read nothing; then they go."""
        ids = [witness.enqueue(payload=pb.SerializedBytes(msgpack=os.urandom(8 * MIB))) for _ in range(2)]
        request = pb.GetJobRequest(shard=witness.shard, id=ids[0])

        def ask(count):
            for _ in range(count):
                with Client(own.address) as client:
                    futures = [client.stub.GetJob.future(request, timeout=60) for _ in range(4)]
                    time.sleep(0.01)
                    for future in futures:
                        future.cancel()

        ask(10)
        watch = Watch(own)
        ask(60)
        watch.check(150)
        for id in ids:
            witness.cancel(id)
            witness.delete(id)


class TestWrongMessages:
    METHODS = ["Enqueue", "EnqueueBatch", "GetJob", "LeaseTasks", "ReportOutcome", "ReportOutcomes", "Heartbeat", "CancelJob"]

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("body", [
        b"\xff", b"\x0a", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xff\xfe", b"\x07", b"\x0b", b"\x0c", b"\x00\x00",
        b"\xff" * 100, b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01x",
    ], ids=lambda b: b[:8].hex())
    def test_bytes_that_are_no_message(self, witness, method, body):
        with refused(INVALID_ARGUMENT, containing="the request is no valid"):
            witness.channel.unary_unary(f"/silo.v1.Silo/{method}")(body, timeout=30)

    def test_random_bytes_never_end_the_server(self, own, witness):
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        valid = [
            pb.EnqueueRequest(shard=witness.shard, task_group="fuzz", id="x", payload=packed("p"), metadata={"a": "b"}),
            pb.EnqueueBatchRequest(shard=witness.shard, jobs=[pb.EnqueueRequest(task_group="fuzz")] * 3),
            pb.LeaseTasksRequest(task_group="fuzz", max_tasks=3, worker_id="w"),
            pb.ReportOutcomesRequest(shard=witness.shard, outcomes=[pb.ReportOutcomeRequest(task_id=NIL, success=packed(1))]),
        ]
        watch = Watch(own)
        futures = []
        for _ in range(4000):
            message = chance.choice(valid)
            body = bytearray(message.SerializeToString())
            for _ in range(chance.randrange(1, 6)):
                body[chance.randrange(len(body))] = chance.randrange(256)
            if chance.random() < 0.3:
                body = body[:chance.randrange(len(body))]
            method = type(message).__name__.removesuffix("Request")
            futures.append(witness.channel.unary_unary(f"/silo.v1.Silo/{method}").future(bytes(body), timeout=5))
            if len(futures) == 200:
                codes = {future.code() for future in futures}
                futures = []
                assert codes <= {
                    grpc.StatusCode.OK, INVALID_ARGUMENT, NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS,
                    grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNIMPLEMENTED,
                    # A changed wait_ms.
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                }, codes
        watch.check()

    def test_unknown_fields_are_passed_over(self, witness):
        request = pb.EnqueueRequest(shard=witness.shard, task_group="g").SerializeToString()
        unknown = b"\xfa\xff\x03\x05hello" + b"\xf8\xff\x03\x01"
        answer = witness.channel.unary_unary("/silo.v1.Silo/Enqueue")(request + unknown, timeout=30)
        assert witness.job(pb.EnqueueResponse.FromString(answer).id)

    def test_the_last_of_a_repeated_field_counts(self, witness):
        parts = [pb.EnqueueRequest(shard="bad", task_group="first"), pb.EnqueueRequest(shard=witness.shard, task_group="last")]
        body = b"".join(part.SerializeToString() for part in parts)
        answer = witness.channel.unary_unary("/silo.v1.Silo/Enqueue")(body, timeout=30)
        assert witness.job(pb.EnqueueResponse.FromString(answer).id).task_group == "last"

    def test_a_message_nested_a_thousand_deep(self, witness):
        body = b""
        for _ in range(1000):
            body = b"\x12" + varint(len(body)) + body
        with pytest.raises(grpc.RpcError):
            witness.channel.unary_unary("/silo.v1.Silo/EnqueueBatch")(body, timeout=30)

    def test_groups_nested_a_hundred_thousand_deep(self, witness):
        """Unknown groups (wire type 3), which a careless parser follows by recursion."""
        with refused(INVALID_ARGUMENT, containing="the request is no valid"):
            witness.channel.unary_unary("/silo.v1.Silo/Enqueue")(b"\xfb\x3e" * 100_000, timeout=30)

    def test_no_body_at_all(self, witness):
        assert pb.GetClusterInfoResponse.FromString(
            witness.channel.unary_unary("/silo.v1.Silo/GetClusterInfo")(b"", timeout=30)
        ).num_shards == 1

    def test_two_messages_on_a_unary_call(self, witness):
        request = pb.GetClusterInfoRequest().SerializeToString()
        call = witness.channel.stream_unary("/silo.v1.Silo/GetClusterInfo")
        try:
            call(iter([request, request]), timeout=30)
        except grpc.RpcError as error:
            assert error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

    def test_no_message_on_a_unary_call(self, witness):
        with pytest.raises(grpc.RpcError) as caught:
            witness.channel.stream_unary("/silo.v1.Silo/Enqueue")(iter([]), timeout=30)
        assert caught.value.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def varint(number):
    out = b""
    while number >= 128:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


class TestExtremes:
    def test_numbers_at_their_ends(self, witness, group):
        for start in [-(2**63), -1, 2**63 - 1]:
            for number in [0, 2**32 - 1]:
                for span in [0, 1, 2**63 - 1]:
                    id = witness.enqueue(
                        group, start_at_ms=start, retry_policy=pb.RetryPolicy(
                            retry_count=number, initial_interval_ms=span, max_interval_ms=span, backoff_factor=1e300,
                            randomize_interval=True,
                        )
                    )
                    witness.fail(witness.lease_one(id))
                    assert witness.job(id, attempts=True).attempts[0].error_code == "BROKEN"
                    if number:
                        witness.cancel(id)

    def test_waits_and_counts_at_their_ends(self, witness, group):
        with refused(grpc.StatusCode.DEADLINE_EXCEEDED):
            witness.lease(group, 2**32 - 1, wait_ms=2**32 - 1, timeout=0.5)
        id = witness.enqueue(group)
        assert [t.job_id for t in witness.lease(group, 2**32 - 1, wait_ms=2**32 - 1)] == [id]

    def test_texts_of_a_megabyte_where_names_belong(self, witness):
        long = "x" * MIB
        with refused(INVALID_ARGUMENT):
            witness.call("Enqueue", shard=long, task_group="g")
        for fields in [dict(group=long), dict(id=long), dict(metadata={long: "v"}), dict(metadata={"k": long})]:
            with refused(INVALID_ARGUMENT):
                witness.enqueue(**fields)
        with refused(INVALID_ARGUMENT):
            witness.lease("g", worker=long)
        id = witness.enqueue()
        with refused(INVALID_ARGUMENT):
            witness.lease_one(id, worker=long)
        with refused(INVALID_ARGUMENT):
            witness.lease(long)

    def test_an_error_code_of_a_megabyte(self, witness):
        id = witness.enqueue()
        task = witness.lease_one(id)
        with refused(INVALID_ARGUMENT, containing="failure.code"):
            witness.call("ReportOutcome", shard=task.shard, task_id=task.id, failure=pb.Failure(code="E" * MIB))
        longest = "E" * (16 << 10)
        witness.call("ReportOutcome", shard=task.shard, task_id=task.id, failure=pb.Failure(code=longest))
        assert witness.result(id).failure.error_code == longest

    def test_a_worker_that_reports_for_a_shard_or_task_that_is_not_there(self, witness):
        for shard, code in [(NIL, NOT_FOUND), ("x", INVALID_ARGUMENT)]:
            with refused(code):
                witness.call("ReportOutcome", shard=shard, task_id=NIL, success=packed(1))
            with refused(code):
                witness.call("Heartbeat", shard=shard, task_id=NIL, worker_id="w")

    def test_headers_that_are_too_large(self, own, witness):
        with Client(own.address) as client, pytest.raises(grpc.RpcError) as caught:
            client.call("GetClusterInfo", headers=[("x-large", "v" * 200_000)])
        assert caught.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)
        assert witness.cluster().num_shards == 1


class TestWear:
    def test_memory_does_not_grow_with_jobs_that_come_and_go(self, own, witness):
        def wear(count):
            for _ in range(count):
                witness.call("EnqueueBatch", shard=witness.shard, jobs=[
                    pb.EnqueueRequest(task_group=f"wear-{n % 50}", payload=packed("x" * 500)) for n in range(500)
                ])
                for n in range(50):
                    tasks = witness.lease(f"wear-{n}", 100)
                    witness.call("ReportOutcomes", shard=witness.shard, outcomes=[
                        pb.ReportOutcomeRequest(task_id=task.id, success=packed(None)) for task in tasks
                    ])
                    assert len(tasks) == 10

        wear(5)
        watch = Watch(own)
        wear(15)
        watch.check(200)
