"""HTTP/2 by hand, for peers that no library plays: silent, deaf, or with no window for data."""

import socket

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
INITIAL_WINDOW_SIZE = 4
CANCEL = 8


def frame(type, flags=0, stream=0, body=b""):
    return len(body).to_bytes(3, "big") + bytes([type, flags]) + stream.to_bytes(4, "big") + body


def headers(path, *more):
    """A gRPC request's headers, nothing compressed."""
    pairs = [
        (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "silo"), ("te", "trailers"),
        ("content-type", "application/grpc"), *more,
    ]
    return b"".join(bytes([0, len(n)]) + n.encode() + bytes([len(v)]) + v.encode() for n, v in pairs)


def message(body):
    """A gRPC message."""
    return b"\0" + len(body).to_bytes(4, "big") + body


class Peer:
    """A connection to a server, after the exchange of settings."""

    def __init__(self, port, window=None, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.source = self.socket.makefile("rb")
        settings = b"" if window is None else INITIAL_WINDOW_SIZE.to_bytes(2, "big") + window.to_bytes(4, "big")
        self.send(PREFACE + frame(SETTINGS, body=settings) + frame(SETTINGS, 1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.source.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def call(self, stream, path, body, *more):
        """Sends a whole unary call."""
        self.send(frame(HEADERS, 4, stream, headers(path, *more)) + frame(DATA, 1, stream, message(body)))

    def reset(self, stream):
        self.send(frame(RESET, 0, stream, CANCEL.to_bytes(4, "big")))

    def frames(self):
        """(type, flags, stream, body) of each frame until the server closes the connection."""
        while len(head := self.source.read(9)) == 9:
            yield head[3], head[4], int.from_bytes(head[5:9], "big"), self.source.read(int.from_bytes(head[:3], "big"))

    def until(self, type, stream):
        """Waits for a frame of the stream."""
        return next(f for f in self.frames() if (f[0], f[2]) == (type, stream))
