"""The rate limiter beside the server: what the server wants of it at its start, its options, and the double that tests use."""

import socket
import time

import grpc
import pytest

from support.client import Client
from support.generated import gubernator_pb, gubernator_rpc
from support.gubernator import Gubernator
from support.ports import fixed_address
from support.programs import run
from support.waiting import until


@pytest.fixture
def gubernator():
    with Gubernator() as gubernator:
        yield gubernator


class TestStart:
    def refused(self, tmp_path, address, *flags):
        """Starting the server fails because of its rate limiter; gives the error and how long it took."""
        begun = time.monotonic()
        ended = run(
            "silo", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--shards", 1, "--gubernator", address, *flags
        )
        assert ended.returncode == 1, ended.stderr
        assert not (tmp_path / "data").exists(), "no data is made by a server that does not start"
        return ended.stderr, time.monotonic() - begun

    def test_it_starts_with_one_that_answers(self, new_server, gubernator):
        server = new_server("--shards", 1, "--gubernator", gubernator.address)
        assert gubernator.health_checks == 1 and gubernator.calls == []
        with Client(server.address) as client:
            assert client.enqueue()
        assert server.stop() == 0

    def test_without_one_the_start_is_refused(self, tmp_path):
        address = fixed_address()
        error, seconds = self.refused(tmp_path, address, "--gubernator-connect-timeout-ms", 700)
        assert error.startswith(f"Error: gubernator at {address} does not answer (UNAVAILABLE"), error
        assert "leave --gubernator out" in error
        assert seconds >= 0.7, "it is given its time"

    def test_one_that_takes_the_connection_and_says_nothing(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = "127.0.0.1:%d" % silent.getsockname()[1]
            error, seconds = self.refused(tmp_path, address, "--gubernator-connect-timeout-ms", 700)
        assert f"gubernator at {address} does not answer" in error and 0.7 <= seconds < 30

    def test_one_that_answers_no_calls(self, tmp_path, gubernator):
        gubernator.pause()
        error, seconds = self.refused(tmp_path, gubernator.address, "--gubernator-connect-timeout-ms", 700)
        assert f"gubernator at {gubernator.address} does not answer (DEADLINE_EXCEEDED" in error and 0.7 <= seconds < 30

    def test_a_server_that_is_no_gubernator(self, tmp_path, server):
        error, seconds = self.refused(tmp_path, server.address, "--gubernator-connect-timeout-ms", 60_000)
        assert "does not answer (UNIMPLEMENTED" in error and seconds < 30, "there is nothing to wait for"

    def test_one_that_comes_up_within_the_time(self, new_server):
        gubernator = Gubernator()
        server = new_server.prepare("--shards", 1, "--gubernator", gubernator.address, "--gubernator-connect-timeout-ms", 60_000)
        server.spawn()
        time.sleep(1)
        assert server.is_running and not server._started()
        with gubernator:
            until(server._started, 60, "the server to start", server.tail)

    def test_one_that_is_not_healthy_is_worth_a_warning(self, new_server, gubernator):
        gubernator.health = "unhealthy"
        server = new_server("--shards", 1, "--gubernator", gubernator.address)
        [line] = [line for line in server.log() if line["message"] == "gubernator is not healthy"]
        assert (line["level"], line["target"], line["status"]) == ("WARN", "limits", "unhealthy")

    def test_the_address_may_have_a_scheme(self, new_server, gubernator):
        new_server("--shards", 1, "--gubernator", "http://" + gubernator.address)
        assert gubernator.health_checks == 1

    def test_https_is_never_spoken_in_plain_text(self, tmp_path, gubernator):
        self.refused(tmp_path, "https://" + gubernator.address, "--gubernator-connect-timeout-ms", 2000)
        assert gubernator.health_checks == 0

    def test_its_end_does_not_end_the_server(self, new_server, gubernator):
        server = new_server("--shards", 1, "--gubernator", gubernator.address)
        gubernator.stop()
        with Client(server.address) as client:
            client.succeeded()
        assert server.stop() == 0
        assert not [line for line in server.log() if line["level"] == "ERROR"]


class TestOptions:
    NUMBERS = ["coalesce-ms", "batch", "connect-timeout-ms", "request-timeout-ms"]

    def run(self, tmp_path, *flags):
        ended = run("silo", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", *flags)
        assert ended.stdout == "" and not (tmp_path / "data").exists()
        return ended

    @pytest.mark.parametrize("option", NUMBERS)
    def test_numbers_need_the_address(self, tmp_path, option):
        ended = self.run(tmp_path, f"--gubernator-{option}", 5)
        assert ended.returncode == 2 and f"--gubernator-{option} needs --gubernator" in ended.stderr, ended.stderr

    @pytest.mark.parametrize("option, most", zip(NUMBERS, [1000, 1000, 600_000, 600_000]))
    @pytest.mark.parametrize("value", ["-1", "many", "", "1.5", "{past}"])
    def test_numbers_have_bounds(self, tmp_path, option, most, value):
        value = value.format(past=most + 1)
        ended = self.run(tmp_path, "--gubernator", "localhost:1", f"--gubernator-{option}={value}")
        text = f"--gubernator-{option} must be a whole number from 0 to {most}, not {value}"
        assert ended.returncode == 2 and text in ended.stderr, ended.stderr

    @pytest.mark.parametrize("address", [
        "", "nonsense", "localhost", "localhost:0", "localhost:65536", ":1051", "http://", "a:1/path",
    ])
    def test_an_address_that_is_none(self, tmp_path, address):
        ended = self.run(tmp_path, "--gubernator", address)
        text = f"the address of gubernator must be host:port with a port from 1 to 65535, not {address}"
        assert ended.returncode == 2 and text in ended.stderr, ended.stderr

    def test_a_number_below_one_is_one(self, new_server, gubernator):
        new_server("--shards", 1, "--gubernator", gubernator.address, *(
            flag for option in ["coalesce-ms", "batch", "request-timeout-ms"] for flag in (f"--gubernator-{option}", 0)
        ))

    def test_help_names_them(self):
        text = run("silo", "--help").stdout
        for option in ["--gubernator <host:port>", *(f"--gubernator-{option}" for option in self.NUMBERS)]:
            assert option in text


class Clock:
    def __init__(self):
        self.now = 1_700_000_000_000

    def __call__(self):
        return self.now


class TestDouble:
    """The double counts as Gubernator says that it does."""

    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture
    def ask(self, clock):
        with Gubernator(now=clock) as gubernator, grpc.insecure_channel(gubernator.address) as channel:
            stub = gubernator_rpc.V1Stub(channel)

            def ask(*entries):
                """Asks in one call; one entry gives one answer."""
                entries = [gubernator_pb.RateLimitReq(**({"name": "n", "unique_key": "k"} | entry)) for entry in entries]
                answers = list(stub.GetRateLimits(gubernator_pb.GetRateLimitsReq(requests=entries), timeout=30).responses)
                return answers if len(entries) > 1 else answers[0]

            ask.gubernator = gubernator
            yield ask

    TOKEN = {"hits": 1, "limit": 2, "duration": 1000}
    LEAKY = {"hits": 1, "limit": 4, "duration": 1000, "algorithm": gubernator_pb.LEAKY_BUCKET}

    def seen(self, answer):
        return gubernator_pb.Status.Name(answer.status), answer.remaining, answer.reset_time

    def test_a_token_bucket_is_a_window_from_the_first_hit(self, ask, clock):
        reset = clock.now + 1000
        assert self.seen(ask(self.TOKEN)) == ("UNDER_LIMIT", 1, reset)
        clock.now += 600
        assert self.seen(ask(self.TOKEN)) == ("UNDER_LIMIT", 0, reset)
        assert self.seen(ask(self.TOKEN)) == ("OVER_LIMIT", 0, reset)
        clock.now = reset + 1
        assert self.seen(ask(self.TOKEN)) == ("UNDER_LIMIT", 1, clock.now + 1000)

    def test_hits_that_do_not_fit_take_nothing_unless_they_drain(self, ask):
        drain = gubernator_pb.DRAIN_OVER_LIMIT
        ask(self.TOKEN)
        assert self.seen(ask(self.TOKEN | {"hits": 2}))[:2] == ("OVER_LIMIT", 1)
        assert self.seen(ask(self.TOKEN | {"hits": 2, "behavior": drain}))[:2] == ("OVER_LIMIT", 0)
        assert self.seen(ask(self.TOKEN))[0] == "OVER_LIMIT"

    def test_no_hits_only_look(self, ask):
        look = self.TOKEN | {"hits": 0}
        assert self.seen(ask(look))[:2] == ("UNDER_LIMIT", 2)
        ask(self.TOKEN)
        assert [self.seen(ask(look))[:2] for _ in range(3)] == [("UNDER_LIMIT", 1)] * 3
        ask(self.TOKEN, self.TOKEN)
        assert self.seen(ask(look))[:2] == ("OVER_LIMIT", 0)

    def test_more_hits_than_the_limit_are_over_from_the_start(self, ask):
        assert self.seen(ask(self.TOKEN | {"hits": 3}))[:2] == ("OVER_LIMIT", 2)
        assert self.seen(ask(self.LEAKY | {"hits": 5, "unique_key": "l"}))[:2] == ("OVER_LIMIT", 0)

    def test_a_reset_begins_anew(self, ask):
        reset = {"behavior": gubernator_pb.RESET_REMAINING}
        ask(self.TOKEN, self.TOKEN)
        assert self.seen(ask(self.TOKEN | reset)) == ("UNDER_LIMIT", 2, 0)
        assert self.seen(ask(self.TOKEN))[:2] == ("UNDER_LIMIT", 1)
        leaky = self.LEAKY | {"unique_key": "l"}
        ask(*[leaky] * 4)
        assert self.seen(ask(leaky))[0] == "OVER_LIMIT"
        assert self.seen(ask(leaky | reset))[:2] == ("UNDER_LIMIT", 3)

    def test_a_limit_that_changes_moves_what_remains(self, ask):
        ask(self.TOKEN)
        assert self.seen(ask(self.TOKEN | {"limit": 5}))[:2] == ("UNDER_LIMIT", 3)
        assert self.seen(ask(self.TOKEN | {"limit": 1}))[:2] == ("OVER_LIMIT", 0)

    def test_a_leaky_bucket_gives_room_back_steadily(self, ask, clock):
        begun = clock.now
        assert [self.seen(ask(self.LEAKY)) for _ in range(5)] == [
            ("UNDER_LIMIT", 3, begun + 250), ("UNDER_LIMIT", 2, begun + 500), ("UNDER_LIMIT", 1, begun + 750),
            ("UNDER_LIMIT", 0, begun + 1000), ("OVER_LIMIT", 0, begun + 1000),
        ]
        clock.now += 249
        assert self.seen(ask(self.LEAKY))[0] == "OVER_LIMIT"
        clock.now += 1
        assert [self.seen(ask(self.LEAKY))[0] for _ in range(2)] == ["UNDER_LIMIT", "OVER_LIMIT"]
        clock.now += 500
        assert [self.seen(ask(self.LEAKY))[:2] for _ in range(3)] == [("UNDER_LIMIT", 1), ("UNDER_LIMIT", 0), ("OVER_LIMIT", 0)]

    def test_a_leaky_bucket_may_burst(self, ask):
        burst = self.LEAKY | {"burst": 6}
        assert [self.seen(ask(burst))[0] for _ in range(7)] == ["UNDER_LIMIT"] * 6 + ["OVER_LIMIT"]

    def test_keys_count_apart_and_bad_entries_spoil_no_others(self, ask):
        answers = ask(
            self.TOKEN, {}, self.TOKEN | {"unique_key": ""}, self.TOKEN | {"name": ""}, self.TOKEN | {"unique_key": "other"},
            self.TOKEN | {"algorithm": 7},
        )
        assert [answer.error != "" for answer in answers] == [False, False, True, True, False, True]
        assert answers[4].remaining == 1

    def test_its_faults(self, ask):
        gubernator = ask.gubernator
        gubernator.entry_error, gubernator.spared_keys = "lost a peer", {"spared"}
        assert [answer.error for answer in ask(self.TOKEN, self.TOKEN | {"unique_key": "spared"})] == ["lost a peer", ""]
        gubernator.heal()
        gubernator.missing = 2
        assert len(ask(*[self.TOKEN] * 5)) == 3
        gubernator.heal()
        gubernator.failure = grpc.StatusCode.INTERNAL
        with pytest.raises(grpc.RpcError) as caught:
            ask(self.TOKEN)
        assert caught.value.code() == grpc.StatusCode.INTERNAL
        assert gubernator.sizes == [2, 5, 1] and gubernator.checks_of("k") == 7

    def test_it_stops_and_comes_back_empty(self, ask):
        gubernator = ask.gubernator
        ask(self.TOKEN, self.TOKEN)
        gubernator.pause()
        gubernator.stop()
        with pytest.raises(grpc.RpcError):
            ask(self.TOKEN)
        gubernator.start()
        gubernator.resume()

        def answered():
            try:
                return ask(self.TOKEN)
            except grpc.RpcError:
                return None
        assert until(answered, 30).remaining == 1
