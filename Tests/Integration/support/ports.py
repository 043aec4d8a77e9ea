"""Ports for servers that are to come back where they were."""

import random
import socket


def fixed_address(chance=random):
    """A free address below the ports that the kernel gives to clients: none of them takes it while the server is away."""
    while True:
        port = chance.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return f"127.0.0.1:{port}"
