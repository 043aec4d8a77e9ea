"""What is scarce: descriptors, and the patience of whoever reads the log."""

import fcntl
import json
import os
import socket
import threading

import grpc
import pytest

from support.client import Client
from support.http2 import PING, Peer, frame
from support.ports import fixed_address
from support.waiting import until


class TestDescriptors:
    def idle(self, server, count):
        """Tries to hold so many idle connections; gives those that the server keeps."""
        peers = []
        for _ in range(count):
            try:
                peer = Peer(server.port, timeout=10)
                peer.send(frame(PING, body=bytes(8)))
                next(f for f in peer.frames() if f[0] == PING)
                peers.append(peer)
            except (OSError, StopIteration):
                pass
        return peers

    def test_idle_connections_leave_enough_to_write(self, new_server):
        server = new_server("--shards", 1, under=["prlimit", "--nofile=256:256"])
        with Client(server.address) as client:
            first = client.enqueue()
            peers = self.idle(server, 400)
            assert 50 < len(peers) < 200
            assert server.descriptors() < 220
            for number in range(200):
                client.enqueue(payload=bytes(10_000), id=f"job-{number}")
            with pytest.raises(grpc.RpcError):
                with Client(server.address) as late:
                    late.call("GetNodeInfo", timeout=2)
            refusals = [line for line in server.log() if "connection refused" in line.get("message", "")]
            assert refusals and len(refusals) < 10, "said, and not for each"
            for peer in peers:
                peer.close()
            with Client(server.address) as late:
                until(lambda: late.call("GetNodeInfo", wait_for_ready=True), what="the server to take connections again")
                assert late.job(first).id == first
        server.kill()
        server.start()
        with Client(server.address) as client:
            assert client.counts()[0] == 201, "what was answered is there"

    def test_the_soft_limit_is_raised(self, new_server):
        server = new_server("--shards", 1, data="memory:", under=["prlimit", "--nofile=128:2048"])
        limits = open(f"/proc/{server.process.pid}/limits").read()
        assert next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3:5] == ["2048", "2048"]
        peers = self.idle(server, 300)
        assert len(peers) == 300
        for peer in peers:
            peer.close()


class TestLog:
    def test_a_reader_that_stands_still_stops_nothing(self, new_server):
        """The pipe is full from the start; the server starts, serves, and ends."""
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(writing, False)
        try:
            while True:
                os.write(writing, bytes(1))
        except BlockingIOError:
            os.set_blocking(writing, True)
        address = fixed_address()
        server = new_server.prepare("--shards", 1, "--verbose", listen=address, output=writing)
        server.spawn()
        with Client(address) as client:
            client.call("GetNodeInfo", wait_for_ready=True)
            # Peers that make the library complain.
            for _ in range(50):
                with socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1]))) as peer:
                    peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100)
            ids = [client.enqueue() for _ in range(50)]
            assert all(client.job(id).id == id for id in ids)
        os.close(writing)

        text = []

        def read():
            while part := os.read(reading, 65536):
                text.append(part)

        reader = threading.Thread(target=read)
        reader.start()
        assert server.stop() == 0
        reader.join(30)
        os.close(reading)
        lines = [json.loads(line) for line in b"".join(text).lstrip(b"\0").splitlines()]
        messages = [line["fields"]["message"] for line in lines]
        assert "server started" in messages and messages[-1] == "server stopped", "nothing that fits is lost"

    def test_it_may_stand_still_for_ever(self, new_server):
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(writing, False)
        try:
            while True:
                os.write(writing, bytes(1))
        except BlockingIOError:
            os.set_blocking(writing, True)
        address = fixed_address()
        server = new_server.prepare("--shards", 1, listen=address, output=writing)
        server.spawn()
        with Client(address) as client:
            client.call("GetNodeInfo", wait_for_ready=True)
            assert client.enqueue()
        assert server.stop(patience=20) == 0
        os.close(writing)
        os.close(reading)
