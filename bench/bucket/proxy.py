"""A way to an S3 server on which every PUT takes longer, as it does to a server that is far away."""

import asyncio
import threading


class SlowPuts:
    """Listens on loopback; requests that begin with PUT are passed on after a while."""

    def __init__(self, port, seconds):
        self._port, self._seconds = port, seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.puts = 0

    def __enter__(self):
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self._server = started.result(10)
        self.endpoint = "http://127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(self, reader, writer):
        there, here = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await asyncio.gather(self._requests(reader, here), self._pass(there, writer))
        except OSError:
            pass
        finally:
            writer.close()
            here.close()

    async def _requests(self, source, target):
        # A client sends its next request when it has the answer to the one before, so that requests begin pieces.
        while piece := await source.read(1 << 16):
            if piece.startswith(b"PUT "):
                self.puts += 1
                await asyncio.sleep(self._seconds)
            target.write(piece)
            await target.drain()
        target.write_eof()

    @staticmethod
    async def _pass(source, target):
        while piece := await source.read(1 << 16):
            target.write(piece)
            await target.drain()
        target.close()
