"""A Gubernator on loopback: its published counting, and switches for everything that can go wrong with it.

Written from what Gubernator documents and does, not from Silo's code. Like the real one it counts in memory: who stops it
and starts it again begins with empty buckets.
"""

import concurrent.futures
import dataclasses
import threading
import time

import grpc

from .generated import gubernator_pb, gubernator_rpc
from .ports import fixed_address

UNDER, OVER = gubernator_pb.UNDER_LIMIT, gubernator_pb.OVER_LIMIT
#: Gubernator refuses larger calls.
ENTRIES_MAX = 1000


def milliseconds():
    return int(time.time() * 1000)


@dataclasses.dataclass
class TokenBucket:
    """A window that begins with the first hit: `limit` hits until `expires`."""

    limit: int
    duration: int
    created: int
    expires: int
    remaining: int
    status: int = UNDER

    @classmethod
    def first(cls, ask, now):
        bucket = cls(ask.limit, ask.duration, now, now + ask.duration, ask.limit - ask.hits)
        if ask.hits <= ask.limit:
            return bucket, bucket.answer(UNDER)
        bucket.remaining = ask.limit
        return bucket, bucket.answer(OVER)

    def hit(self, ask, now):
        # A limit that changed moves what remains by as much.
        self.remaining = max(0, self.remaining + ask.limit - self.limit)
        self.limit = ask.limit
        remaining = self.remaining
        if self.duration != ask.duration:
            self.duration, self.expires = ask.duration, self.created + ask.duration
            if self.expires <= now:
                self.created, self.expires, self.remaining = now, now + ask.duration, self.limit
        if ask.hits == 0:
            return self.answer(self.status, remaining)
        if remaining == 0 and ask.hits > 0:
            # From now on those who only look are told so as well.
            self.status = OVER
            return self.answer(OVER, remaining)
        if ask.hits > self.remaining:
            if ask.behavior & gubernator_pb.DRAIN_OVER_LIMIT:
                self.remaining = 0
            return self.answer(OVER)
        self.remaining -= ask.hits
        return self.answer(self.status)

    def answer(self, status, remaining=None):
        return gubernator_pb.RateLimitResp(
            status=status, limit=self.limit, remaining=self.remaining if remaining is None else remaining,
            reset_time=self.expires,
        )


@dataclasses.dataclass
class LeakyBucket:
    """`burst` hits at once; room for `limit` comes back in `duration`, steadily. Its reset time is when it is empty again."""

    limit: int
    duration: int
    burst: int
    updated: int
    expires: int
    remaining: float

    @classmethod
    def first(cls, ask, now):
        burst = ask.burst or ask.limit
        bucket = cls(ask.limit, ask.duration, burst, now, now + ask.duration, float(burst - ask.hits))
        if ask.hits <= burst:
            return bucket, bucket.answer(UNDER, now)
        bucket.remaining = 0.0
        return bucket, bucket.answer(OVER, now)

    @property
    def milliseconds_per_hit(self):
        return self.duration / self.limit if self.limit > 0 else float(self.duration)

    def hit(self, ask, now):
        burst = ask.burst or ask.limit
        if ask.behavior & gubernator_pb.RESET_REMAINING:
            self.remaining = float(burst)
        if burst != self.burst:
            if burst > int(self.remaining):
                self.remaining = float(burst)
            self.burst = burst
        self.limit, self.duration = ask.limit, ask.duration
        if ask.hits != 0:
            self.expires = now + ask.duration
        leaked = (now - self.updated) / self.milliseconds_per_hit
        if int(leaked) > 0:
            self.remaining += leaked
            self.updated = now
        self.remaining = min(self.remaining, float(self.burst)) if int(self.remaining) > self.burst else self.remaining
        whole = int(self.remaining)
        if whole == 0 and ask.hits > 0:
            return self.answer(OVER, now)
        if ask.hits > whole:
            answer = self.answer(OVER, now)
            if ask.behavior & gubernator_pb.DRAIN_OVER_LIMIT:
                self.remaining = 0.0
                answer.remaining = 0
            return answer
        # Hits that take all whole ones take the broken one too.
        self.remaining = 0.0 if ask.hits == whole and ask.hits > 0 else self.remaining - ask.hits
        return self.answer(UNDER, now)

    def answer(self, status, now):
        whole = int(self.remaining)
        return gubernator_pb.RateLimitResp(
            status=status, limit=self.limit, remaining=whole,
            reset_time=now + (self.limit - whole) * int(self.milliseconds_per_hit),
        )


class Buckets:
    """What Gubernator counts."""

    def __init__(self):
        self.all = {}

    def ask(self, ask, now):
        if not ask.unique_key:
            return gubernator_pb.RateLimitResp(error="field 'unique_key' cannot be empty")
        if not ask.name:
            return gubernator_pb.RateLimitResp(error="field 'namespace' cannot be empty")
        if ask.behavior & gubernator_pb.DURATION_IS_GREGORIAN:
            return gubernator_pb.RateLimitResp(error="this double knows no calendar")
        kind = {gubernator_pb.TOKEN_BUCKET: TokenBucket, gubernator_pb.LEAKY_BUCKET: LeakyBucket}.get(ask.algorithm)
        if kind is None:
            return gubernator_pb.RateLimitResp(error=f"invalid rate limit algorithm '{ask.algorithm}'")
        key = f"{ask.name}_{ask.unique_key}"
        bucket = self.all.get(key)
        if bucket is not None and bucket.expires < now:
            bucket = None
        if bucket is not None and isinstance(bucket, TokenBucket) and ask.behavior & gubernator_pb.RESET_REMAINING:
            del self.all[key]
            return gubernator_pb.RateLimitResp(status=UNDER, limit=ask.limit, remaining=ask.limit)
        if not isinstance(bucket, kind):
            self.all[key], answer = kind.first(ask, now)
            return answer
        return bucket.hit(ask, now)


class Gubernator(gubernator_rpc.V1Servicer):
    """The server, always at the same address. Everything that a test may set can be set while it runs."""

    def __init__(self, address=None, now=milliseconds):
        self.address = address or fixed_address()
        self.now = now
        self._server = None
        self._lock = threading.Lock()
        self._may_answer = threading.Event()
        self._may_answer.set()
        self.forget()
        self.heal()

    # Life

    def start(self):
        """Serves, with empty buckets."""
        assert self._server is None
        self.buckets = Buckets()
        # As many as may wait at once while it is paused.
        self._server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(64, "gubernator"), options=[("grpc.so_reuseport", 0)]
        )
        gubernator_rpc.add_V1Servicer_to_server(self, self._server)
        self._server.add_insecure_port(self.address)
        self._server.start()
        return self

    def stop(self):
        """Goes away at once; calls in hand end with no answer."""
        if self._server is None:
            return
        stopped = self._server.stop(None)
        was_paused = not self._may_answer.is_set()
        self._may_answer.set()
        stopped.wait(30)
        if was_paused:
            self._may_answer.clear()
        self._server = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.resume()
        self.stop()

    # What goes wrong

    def pause(self):
        """Takes calls and answers none."""
        self._may_answer.clear()

    def resume(self):
        self._may_answer.set()

    def heal(self):
        """Nothing goes wrong any more; a pause is ended by `resume`."""
        #: A `grpc.StatusCode` that calls end with.
        self.failure = None
        #: Entries get this as their error, with a status that says UNDER_LIMIT, unless the key is spared.
        self.entry_error = None
        self.spared_keys = set()
        #: So many entries at the end of each call are neither counted nor answered.
        self.missing = 0
        self.health = "healthy"

    # What it saw

    def forget(self):
        """Counts anew what was asked; the buckets stay."""
        with self._lock:
            self.health_checks = 0
            #: The entries of each call, in the order of the calls.
            self.calls = []

    @property
    def sizes(self):
        """Entries in each call."""
        return [len(call) for call in self.calls]

    @property
    def entries(self):
        return [entry for call in list(self.calls) for entry in call]

    def checks_of(self, key):
        return sum(entry.unique_key == key for entry in self.entries)

    # The service

    def GetRateLimits(self, request, context):
        with self._lock:
            self.calls.append(list(request.requests))
        while not self._may_answer.wait(0.05):
            if not context.is_active():
                return gubernator_pb.GetRateLimitsResp()
        if self.failure is not None:
            context.abort(self.failure, "as the test wants it")
        if len(request.requests) > ENTRIES_MAX:
            context.abort(grpc.StatusCode.OUT_OF_RANGE, f"Requests.RateLimits list too large; max size is '{ENTRIES_MAX}'")
        with self._lock:
            # Whoever gave up waiting uses no hits.
            if not context.is_active():
                return gubernator_pb.GetRateLimitsResp()
            entries = request.requests[:max(0, len(request.requests) - self.missing)]
            return gubernator_pb.GetRateLimitsResp(responses=[self._answer(entry) for entry in entries])

    def _answer(self, entry):
        if self.entry_error is not None and entry.unique_key not in self.spared_keys:
            return gubernator_pb.RateLimitResp(error=self.entry_error)
        return self.buckets.ask(entry, entry.created_at or self.now())

    def HealthCheck(self, request, context):
        with self._lock:
            self.health_checks += 1
        while not self._may_answer.wait(0.05):
            if not context.is_active():
                break
        return gubernator_pb.HealthCheckResp(status=self.health, message="", peer_count=1)
