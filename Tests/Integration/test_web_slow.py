"""Clients of the web page that read a byte a second, or not at all: what they cost the server, and others."""

import contextlib
import socket
import threading
import time

from support.client import Client
from support.metrics import Page
from support.resources import MIB, Peak, memory
from support.waiting import until
from support.web import Visitor

#: Of each kind. One address may have 64 connections, of them 32 streams.
EACH = 28


def asking(server, path):
    """A connection that has asked for something, and whose system takes in very little by itself."""
    host, port = server.operator.rsplit(":", 1)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.settimeout(30)
    connection.connect((host, int(port)))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {server.operator}\r\n\r\n".encode())
    return connection


def test_who_reads_slowly_or_never_harms_neither_the_server_nor_others(new_server):
    server = new_server("--shards", 1)
    with Client(server.address) as client, contextlib.ExitStack() as stack:
        for number in range(200):
            client.enqueue(f"group-{number}", "x" * 1000, metadata={"k": "v" * 200})
        visitor = Visitor(server.operator)
        paths = ["/jobs", "/groups", "/sql?q=SELECT+*+FROM+jobs", "/sql/export.csv?q=SELECT+*+FROM+jobs"]
        size = max(len(visitor.get(path).text) for path in paths)
        assert size > 100_000
        rest = memory(server.process.pid)[0]
        with Peak(server.process.pid) as peak:
            slow = [stack.enter_context(asking(server, paths[number % len(paths)])) for number in range(EACH)]
            unread = [stack.enter_context(asking(server, "/live/overview-15m")) for _ in range(EACH)]
            read = [0] * len(slow)
            over = threading.Event()

            def drip():
                while not over.wait(1):
                    for number, connection in enumerate(slow):
                        read[number] += len(connection.recv(1))

            reader = threading.Thread(target=drip)
            reader.start()
            took = []
            try:
                until(lambda: Page.of(server).sum("silo_http_connections") >= 2 * EACH, what="the connections")
                # Streams have something new each second.
                while min(read) < 8:
                    begun = time.monotonic()
                    assert visitor.get("/jobs").status == 200
                    client.enqueue("others")
                    took.append(time.monotonic() - begun)
            finally:
                over.set()
                reader.join()
            assert [connection.recv(8) for connection in unread] == [b"HTTP/1.1"] * EACH
        print(f"slowest of {len(took)}: {max(took):.2f} s; {(peak.bytes - rest) / MIB:.1f} MiB more")
        assert len(took) > 8 and max(took) < 5
        # What a page has for each at most, and what the server takes for others meanwhile.
        assert peak.bytes - rest < 2 * EACH * size + 64 * MIB
    until(lambda: Page.of(server).sum("silo_http_connections") < 4, 30, "the connections to end")
