"""Calls the test server of Support.swift with grpcio: client.py CASE PORT [ARGUMENT...]. Exits with 0 if all is well."""
import socket
import struct
import sys
import threading
import time

import grpc

MIB = 1 << 20
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def unary(channel, name):
    return channel.unary_unary(f"/test.Test/{name}", request_serializer=None, response_deserializer=None)


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call succeeded")


def echo(channel):
    for payload in (b"", b"x", bytes(range(256)) * 40, b"y" * (3 * MIB)):
        assert unary(channel, "Echo")(payload) == payload


def metadata(channel):
    sent = (("x-text", "one"), ("x-text", "two"), ("x-data-bin", b"\x00\xff\x80"))
    response, call = unary(channel, "Metadata").with_call(b"", metadata=sent)
    assert response == b"one|two|00ff80", response
    trailers = [(key, value) for key, value in call.trailing_metadata() if key.startswith("x-")]
    assert trailers == [("x-back", "1"), ("x-back", "2"), ("x-back-bin", b"\xfe\x00")], trailers


def errors(channel):
    error = failure(lambda: unary(channel, "Fail")(b""))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == "naïve – 100% “größe” 🙂\nzweite Zeile", error.details()
    assert dict(error.trailing_metadata())["x-hint"] == "here"
    error = failure(lambda: unary(channel, "Nowhere")(b""))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "/test.Test/Nowhere" in error.details(), error.details()
    error = failure(lambda: unary(channel, "Forget")(b""))
    assert error.code() == grpc.StatusCode.INTERNAL
    # A stream without a message where one is wanted.
    stream = channel.stream_unary("/test.Test/Echo", request_serializer=None, response_deserializer=None)
    error = failure(lambda: stream(iter([])))
    assert error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED), error


def deadline(channel):
    left = float(unary(channel, "Deadline")(b"", timeout=20))
    assert 15 < left <= 20, left
    assert unary(channel, "Deadline")(b"") == b"none"
    # On a busy machine the time may be up before the call arrives.
    timeout = 0.3
    while unary(channel, "HowManyWait")(b"") == b"0":
        error = failure(lambda: unary(channel, "Wait")(b"", timeout=timeout))
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        timeout *= 4


def cancel(channel):
    call = unary(channel, "Wait").future(b"")
    sys.stdin.read()  # ends when the call has arrived
    call.cancel()


def streaming(channel):
    method = channel.unary_stream("/test.Test/Count", request_serializer=None, response_deserializer=None)
    assert [int(message) for message in method(b"1000")] == list(range(1000))
    call = method(b"5")
    assert len(list(call)) == 5 and dict(call.trailing_metadata())["x-end"] == "yes"
    error = failure(lambda: list(method(b"-1")))
    assert error.code() == grpc.StatusCode.OUT_OF_RANGE


def slow_reader(channel):
    """Reads three messages of an endless stream, and goes away when the test says so."""
    method = channel.unary_stream("/test.Test/Endless", request_serializer=None, response_deserializer=None)
    call = method(b"")
    for _ in range(3):
        assert len(next(call)) == 65536
    print("has read three", flush=True)
    sys.stdin.read()
    call.cancel()


def bidirectional(channel):
    method = channel.stream_stream("/test.Test/Chat", request_serializer=None, response_deserializer=None)
    turn = threading.Semaphore(0)

    def requests():
        for number in range(100):
            yield b"%d" % number
            turn.acquire()  # the next one only after the answer

    seen = []
    for response in method(requests()):
        seen.append(response)
        turn.release()
    assert seen == [b"re: %d" % number for number in range(100)], seen
    assert list(method(iter([]))) == []


def large(channel):
    payload = bytes(127 * MIB)
    assert len(unary(channel, "Echo")(payload)) == len(payload)
    error = failure(lambda: unary(channel, "Echo")(bytes(128 * MIB + 1)))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
    # Clients repeat what is RESOURCE_EXHAUSTED.
    error = failure(lambda: unary(channel, "TooLarge")(b""))
    assert error.code() == grpc.StatusCode.OUT_OF_RANGE and "ask for less" in error.details(), error
    assert unary(channel, "Echo")(b"after") == b"after"


def pings(channel, port):
    options = [
        ("grpc.keepalive_time_ms", 500),
        ("grpc.keepalive_timeout_ms", 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_time_between_pings_ms", 500),
    ]
    pinging = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
    states = []
    pinging.subscribe(states.append)
    assert unary(pinging, "Echo")(b"a") == b"a"
    time.sleep(6)
    assert unary(pinging, "Echo")(b"b") == b"b"
    after_ready = states[states.index(grpc.ChannelConnectivity.READY):]
    assert after_ready == [grpc.ChannelConnectivity.READY], states


def raw_pings(channel, port):
    """Fifty HTTP/2 pings in a row without a call: each is answered, and there is no GOAWAY (frame type 7)."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
        peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        stream = peer.makefile("rb")
        answers = 0
        for number in range(50):
            peer.sendall(bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + struct.pack(">Q", number))
        while answers < 50:
            head = stream.read(9)
            stream.read(int.from_bytes(head[:3], "big"))
            assert head[3] != 7, "GOAWAY"
            answers += head[3] == 6 and head[4] == 1


def garbage(channel, port):
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for junk in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(range(256)) * 64, preface + b"\xff" * 5000):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
            peer.sendall(junk)
            try:
                while peer.recv(4096):
                    pass
            except (ConnectionResetError, socket.timeout):
                pass
    stalled = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for peer in stalled[10:]:
        peer.sendall(preface)
    for peer in stalled[:5]:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    echo(channel)


def frame(type, flags, stream, body=b""):
    return len(body).to_bytes(3, "big") + bytes([type, flags]) + stream.to_bytes(4, "big") + body


def stuck(channel, port, ending, count="20"):
    """Calls that can not take their answers: they give the server no window for data. Once the headers of the answers are
    there, so that the messages wait, the calls are reset or the connection is closed."""

    def header(name, value):
        return bytes([0, len(name)]) + name + bytes([len(value)]) + value

    headers = header(b":method", b"POST") + header(b":scheme", b"http") + header(b":path", b"/test.Test/Told") + header(
        b":authority", b"x") + header(b"te", b"trailers") + header(b"content-type", b"application/grpc")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        no_window = (4).to_bytes(2, "big") + bytes(4)
        peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, no_window) + frame(4, 1, 0))
        streams = range(1, 2 * int(count), 2)
        for stream in streams:
            peer.sendall(frame(1, 4, stream, headers) + frame(0, 1, stream, bytes(5)))
        answered, source = set(), peer.makefile("rb")
        while len(answered) < int(count):
            head = source.read(9)
            source.read(int.from_bytes(head[:3], "big"))
            assert head[3] != 0, "data without a window"
            if head[3] == 1:
                answered.add(int.from_bytes(head[5:9], "big"))
        if ending == "reset":
            peer.sendall(b"".join(frame(3, 0, stream, (8).to_bytes(4, "big")) for stream in streams))
            print(sys.stdin.readline())


def silent(channel, port):
    """Answers nothing after the settings: the server asks with a ping, and closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(4, 1, 0))
        begun, source, pings = time.monotonic(), peer.makefile("rb"), 0
        while len(head := source.read(9)) == 9:
            source.read(int.from_bytes(head[:3], "big"))
            pings += head[3] == 6
        assert pings == 1 and 1 < time.monotonic() - begun < 15, (pings, time.monotonic() - begun)


def hold(channel):
    """Waits in a call until killed."""
    print("calling", flush=True)
    unary(channel, "Wait")(b"")


def late(channel):
    """Waits for an answer until killed."""
    unary(channel, "Late")(b"")


def tls(_, port, folder, expectation):
    def read(name):
        with open(f"{folder}/{name}", "rb") as file:
            return file.read()

    client = {"anonymous": None, "client": "client", "stranger": "stranger", "untrusting": None}[expectation]
    credentials = grpc.ssl_channel_credentials(
        root_certificates=read("stranger.pem" if expectation == "untrusting" else "ca.pem"),
        private_key=read(f"{client}.key") if client else None,
        certificate_chain=read(f"{client}.pem") if client else None,
    )
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        print(unary(channel, "Echo")(b"hello", timeout=5).decode())


def main():
    case, port, *rest = sys.argv[1:]
    port = int(port)
    run = globals()[case]
    # A fixed receive window, so that what a slow reader has coming does not depend on grpcio's guesses.
    options = UNLIMITED + ([("grpc.http2.bdp_probe", 0)] if case == "slow_reader" else [])
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        takes_port = case in ("pings", "raw_pings", "garbage", "tls", "stuck", "silent")
        run(channel, *([port] if takes_port else []), *rest)


main()
