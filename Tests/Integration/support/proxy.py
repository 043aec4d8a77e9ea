"""A TCP proxy that can lose everything without a word, as a broken network path does: connections stay open and nothing arrives."""

import contextlib
import socket
import threading


class Proxy:
    """Passes bytes on between clients and one server."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        #: Counts connections; the number of one tells whether it is swallowed.
        self.connections = 0
        self._swallowed_up_to = 0
        self._swallows_new = False
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow_existing(self):
        """From now on nothing passes on the connections that there are; new ones work."""
        self._swallowed_up_to = self.connections

    def swallow_all(self):
        """Nothing passes any more, on new connections neither."""
        self._swallows_new = True
        self.swallow_existing()

    def heal(self):
        """New connections work again; what was swallowed stays lost."""
        self.swallow_existing()
        self._swallows_new = False

    def close(self):
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    client.close()
                    continue
                self._sockets += [client, server]
                self.connections += 1
                for source, sink in [(client, server), (server, client)]:
                    threading.Thread(target=self._pass, args=(self.connections, source, sink), daemon=True).start()

    def _pass(self, number, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if number > self._swallowed_up_to and not self._swallows_new:
                    sink.sendall(data)
            # Whoever closes is followed, or the other side would be kept open for ever.
            sink.shutdown(socket.SHUT_WR)
