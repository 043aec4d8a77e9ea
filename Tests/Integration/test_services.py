"""What stands beside the job calls: health, reflection, TLS, keepalive, foreign HTTP/2 peers, starting and stopping."""

import collections
import re
import signal
import socket
import subprocess
import threading
import time

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from support.client import NOT_FOUND, UNAVAILABLE, Client, refused
from support.generated import pb
from support.load import EAGER
from support.ports import fixed_address
from support.programs import environment, program, run
from support.waiting import until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class TestHealth:
    def stub(self, client):
        return health_pb2_grpc.HealthStub(client.channel)

    @pytest.mark.parametrize("service", ["", "silo.v1.Silo"])
    def test_a_served_service_is_serving(self, client, service):
        assert self.stub(client).Check(health_pb2.HealthCheckRequest(service=service), timeout=30).status == SERVING

    def test_an_unknown_service_is_not_found(self, client):
        with refused(NOT_FOUND):
            self.stub(client).Check(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=30)

    @pytest.mark.parametrize("service, status", [("", SERVING), ("silo.v1.Silo", SERVING), ("unknown", SERVICE_UNKNOWN)])
    def test_a_watch_begins_with_the_status(self, client, service, status):
        watch = self.stub(client).Watch(health_pb2.HealthCheckRequest(service=service), timeout=30)
        assert next(watch).status == status
        watch.cancel()

    def test_a_draining_server_says_so_and_lets_running_calls_end(self, new_server):
        server = new_server("--shards", 1, data="memory:")
        with Client(server.address) as client:
            watch = self.stub(client).Watch(health_pb2.HealthCheckRequest(), timeout=60)
            assert next(watch).status == SERVING
            running, end = held_call(client)
            waiting = client.begin("LeaseTasks", task_group="g", max_tasks=1, worker_id="w", wait_ms=30_000)
            until(lambda: waiting.running(), 10)
            time.sleep(0.3)
            begun = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert next(watch).status == NOT_SERVING, "the watch hears of it while a call still runs"
            assert list(watch) == [], "then it ends"
            assert list(waiting.result().tasks) == [], "a worker that waits is let go at once"
            assert self.stub(client).Check(health_pb2.HealthCheckRequest(), timeout=30).status == NOT_SERVING
            with refused(UNAVAILABLE):
                client.call("GetNodeInfo")
            assert not running.done() and time.monotonic() - begun < 4
            end.set()
            assert len(list(running)) == 0
            assert server.process.wait(60) == 0


def held_call(client):
    """A call that runs until the event is set: a reflection stream, after its first answer."""
    end = threading.Event()

    def requests():
        yield reflection_pb2.ServerReflectionRequest(list_services="*")
        end.wait(60)

    running = client.channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )(requests(), timeout=60)
    next(running)
    return running, end


class TestReflection:
    """With the classes of grpcio-reflection; v1 is v1alpha by another name."""

    def ask(self, client, *requests):
        call = client.channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        return list(call(iter(requests), timeout=30))

    def test_it_lists_the_services(self, client):
        [answer] = self.ask(client, reflection_pb2.ServerReflectionRequest(list_services="*", host="here"))
        assert {service.name for service in answer.list_services_response.service} == {
            "silo.v1.Silo", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
        }
        assert answer.valid_host == "here" and answer.original_request.list_services == "*"

    def descriptors(self, client, **request):
        [answer] = self.ask(client, reflection_pb2.ServerReflectionRequest(**request))
        return [
            descriptor_pb2.FileDescriptorProto.FromString(data) for data in answer.file_descriptor_response.file_descriptor_proto
        ]

    @pytest.mark.parametrize("symbol", ["silo.v1.Silo", "silo.v1.Silo.Enqueue", "silo.v1.EnqueueRequest", "silo.v1.JobStatus"])
    def test_it_describes_silo_as_the_proto_file_does(self, client, symbol):
        [file] = self.descriptors(client, file_containing_symbol=symbol)
        wanted = descriptor_pb2.FileDescriptorProto()
        pb.DESCRIPTOR.CopyToProto(wanted)
        for message in file.message_type:
            for field in [*message.field, *(field for nested in message.nested_type for field in nested.field)]:
                # Derived from the name; protoc writes it down, Python does not.
                field.ClearField("json_name")
        assert file == wanted

    def test_a_file_is_found_by_its_name(self, client):
        [answer] = self.ask(client, reflection_pb2.ServerReflectionRequest(file_containing_symbol="silo.v1.Silo"))
        [file] = self.descriptors(client, file_containing_symbol="silo.v1.Silo")
        assert self.descriptors(client, file_by_filename=file.name) == [file]

    @pytest.mark.parametrize("symbol", ["silo.v1.NoSuchMessage", "silo.v1.Silo.NoSuchMethod", "no.such.Thing", ""])
    def test_an_unknown_symbol_is_an_answer_not_the_end(self, client, symbol):
        answers = self.ask(
            client, reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol),
            reflection_pb2.ServerReflectionRequest(list_services="*"),
        )
        assert answers[0].error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
        assert answers[1].HasField("list_services_response")

    def test_a_client_of_v1alpha_finds_every_service_and_can_call_by_it(self, client):
        database = ProtoReflectionDescriptorDatabase(client.channel)
        pool = descriptor_pool.DescriptorPool(database)
        services = {name: pool.FindServiceByName(name) for name in database.get_services()}
        assert set(services) == {
            "silo.v1.Silo", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
        }
        method = services["silo.v1.Silo"].methods_by_name["GetClusterInfo"]
        request, response = (message_factory.GetMessageClass(t) for t in [method.input_type, method.output_type])
        call = client.channel.unary_unary(
            "/silo.v1.Silo/GetClusterInfo", request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        assert call(request(), timeout=30).num_shards == 1

    def test_a_client_that_knows_nothing_can_call_by_it(self, client):
        pool = descriptor_pool.DescriptorPool()
        for file in self.descriptors(client, file_containing_symbol="silo.v1.Silo"):
            pool.Add(file)
        method = pool.FindServiceByName("silo.v1.Silo").methods_by_name["GetClusterInfo"]
        request, response = (message_factory.GetMessageClass(t) for t in [method.input_type, method.output_type])
        call = client.channel.unary_unary(
            "/silo.v1.Silo/GetClusterInfo", request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        assert call(request(), timeout=30).num_shards == 1


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, a server's and a client's certificate of it, and a client's of another authority."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for authority in ["ca", "other-ca"]:
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout",
            f"{authority}.key", "-out", f"{authority}.pem", "-subj", f"/CN={authority}",
        )
    (folder / "san.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name, authority in [("server", "ca"), ("client", "ca"), ("stranger", "other-ca")]:
        openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out",
            f"{name}.csr", "-subj", f"/CN={name}",
        )
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial",
            "-days", "2", "-out", f"{name}.pem", "-extfile", "san.ext",
        )
    return folder


def credentials(folder, authority="ca", client=None):
    return grpc.ssl_channel_credentials(
        (folder / f"{authority}.pem").read_bytes(),
        (folder / f"{client}.key").read_bytes() if client else None,
        (folder / f"{client}.pem").read_bytes() if client else None,
    )


class TestTLS:
    @pytest.fixture(scope="class")
    def secure(self, start_server, certificates):
        return start_server(
            "--shards", 1, "--tls-cert", certificates / "server.pem", "--tls-key", certificates / "server.key", data="memory:"
        )

    @pytest.fixture(scope="class")
    def mutual(self, start_server, certificates):
        return start_server(
            "--shards", 1, "--tls-cert", certificates / "server.pem", "--tls-key", certificates / "server.key",
            "--tls-client-ca", certificates / "ca.pem", data="memory:",
        )

    def test_a_client_that_trusts_the_authority_gets_in(self, secure, certificates):
        with Client(secure.address, credentials=credentials(certificates)) as client:
            id = client.succeeded(value=1)
            assert client.job(id).status == 2

    def test_one_that_trusts_another_does_not(self, secure, certificates):
        with Client(secure.address, credentials=credentials(certificates, "other-ca")) as client:
            with refused(UNAVAILABLE):
                client.call("GetClusterInfo", timeout=30)

    def test_plain_text_is_refused(self, secure):
        with Client(secure.address) as client:
            with refused(UNAVAILABLE):
                client.call("GetClusterInfo", timeout=30)

    def test_the_connection_is_modern_and_speaks_http2(self, secure, certificates):
        output = subprocess.run(
            ["openssl", "s_client", "-connect", secure.address, "-alpn", "h2", "-CAfile", certificates / "ca.pem"],
            input=b"", capture_output=True, timeout=60,
        ).stdout.decode(errors="replace")
        assert "ALPN protocol: h2" in output and "Verify return code: 0 (ok)" in output
        assert re.search(r"TLSv1\.[23]", output)
        old = subprocess.run(
            ["openssl", "s_client", "-connect", secure.address, "-tls1_1"], input=b"", capture_output=True, timeout=60
        )
        assert old.returncode != 0

    def test_mutual_tls_lets_in_who_shows_a_certificate_of_the_authority(self, mutual, certificates):
        with Client(mutual.address, credentials=credentials(certificates, client="client")) as client:
            assert client.cluster().num_shards == 1
        for stranger in [None, "stranger"]:
            with Client(mutual.address, credentials=credentials(certificates, client=stranger)) as client:
                with refused(UNAVAILABLE):
                    client.call("GetClusterInfo", timeout=30)

    @pytest.mark.parametrize("flags, code, text", [
        (["--tls-cert", "server.pem"], 2, "--tls-key is missing: --tls-cert and --tls-key go together"),
        (["--tls-client-ca", "ca.pem"], 2, "--tls-client-ca needs"),
        (["--tls-cert", "absent.pem", "--tls-key", "server.key"], 1, "absent.pem"),
        (["--tls-cert", "server.key", "--tls-key", "server.pem"], 1, "certificate"),
    ])
    def test_what_makes_no_sense_ends_the_start(self, certificates, tmp_path, flags, code, text):
        flags = [flag if flag.startswith("--") else certificates / flag for flag in flags]
        ended = run("silo", "--data", tmp_path, "--listen", "127.0.0.1:0", "--shards", 1, *flags)
        assert ended.returncode == code and text in ended.stderr, ended.stderr


class TestKeepalive:
    def test_a_client_that_pings_all_the_time_is_never_sent_away(self, server):
        """The TypeScript client pings every 5 s, also without calls; here far more often, for as long as strikes would take."""
        options = [
            ("grpc.keepalive_time_ms", 100), ("grpc.keepalive_timeout_ms", 2_000), ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0), ("grpc.http2.min_time_between_pings_ms", 100),
        ]
        with Client(server.address, options=options) as client:
            states = []
            client.cluster()
            client.channel.subscribe(states.append)
            waiting = client.begin("LeaseTasks", task_group="keepalive", max_tasks=1, worker_id="w", wait_ms=2_500)
            assert list(waiting.result().tasks) == []
            time.sleep(2.5)
            client.cluster()
            assert set(states) <= {grpc.ChannelConnectivity.READY}, states

    def test_raw_pings_are_all_answered(self, server):
        """Two hundred PING frames at once, as no library sends them, with no call at all."""
        with socket.create_connection(("127.0.0.1", server.port), 30) as peer:
            peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, b""))
            for n in range(200):
                peer.sendall(frame(6, 0, n.to_bytes(8, "big")))
            answered = []
            for kind, flags, body in frames(peer):
                assert kind != 7, f"GOAWAY: {body!r}"
                if kind == 6 and flags & 1:
                    answered.append(int.from_bytes(body, "big"))
                if len(answered) == 200:
                    break
            assert answered == list(range(200))


def frame(kind, flags, body, stream=0):
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def frames(peer):
    """The HTTP/2 frames that a peer sends until it closes."""
    data = b""
    while True:
        while len(data) < 9 or len(data) < 9 + int.from_bytes(data[:3], "big"):
            more = peer.recv(65536)
            if not more:
                return
            data += more
        size = int.from_bytes(data[:3], "big")
        yield data[3], data[4], data[9:9 + size]
        data = data[9 + size:]


class TestForeignPeers:
    def test_nghttp_makes_a_call(self, server, tmp_path):
        body = tmp_path / "request"
        body.write_bytes(b"\x00\x00\x00\x00\x00")
        ended = subprocess.run(
            ["nghttp", "-v", "--no-dep", "-d", body, "-H:method: POST", "-Hcontent-type: application/grpc", "-Hte: trailers",
             f"http://{server.address}/silo.v1.Silo/GetClusterInfo"],
            capture_output=True, timeout=60,
        )
        text = ended.stdout.decode(errors="replace")
        assert ended.returncode == 0 and ":status: 200" in text and "grpc-status: 0" in text, text
        assert "application/grpc" in text

    def test_h2load_makes_thousands(self, server, tmp_path):
        body = tmp_path / "request"
        message = pb.LeaseTasksRequest(task_group="h2load", max_tasks=1, worker_id="w").SerializeToString()
        body.write_bytes(b"\x00" + len(message).to_bytes(4, "big") + message)
        output = subprocess.run(
            ["h2load", "-n", "5000", "-c", "20", "-m", "10", "-d", body, "-H", "content-type: application/grpc", "-H",
             "te: trailers", f"http://{server.address}/silo.v1.Silo/LeaseTasks"],
            capture_output=True, text=True, timeout=120,
        ).stdout
        assert "5000 succeeded, 0 failed, 0 errored" in output, output
        assert "status codes: 5000 2xx" in output, output

    def test_a_peer_that_is_no_grpc_client_gets_an_http_answer_or_a_reset(self, server, client):
        for arguments in [["-X", "GET"], ["-d", "x"], ["-d", "x", "-H", "content-type: application/json"]]:
            ended = subprocess.run(
                ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--http2-prior-knowledge", "-m", "20", *arguments,
                 f"http://{server.address}/silo.v1.Silo/GetClusterInfo"],
                capture_output=True, text=True, timeout=60,
            )
            assert ended.returncode != 28, "the peer was left waiting"
        assert client.cluster().num_shards == 1

    def test_compressed_requests_are_understood(self, client):
        for compression in [grpc.Compression.Gzip, grpc.Compression.Deflate]:
            request = pb.EnqueueRequest(shard=client.shard, task_group="zip", payload=pb.SerializedBytes(msgpack=b"z" * 100_000))
            id = client.stub.Enqueue(request, compression=compression, timeout=30).id
            assert client.job(id).payload.msgpack == b"z" * 100_000


class TestProgram:
    def test_help(self):
        ended = run("silo", "--help")
        assert ended.returncode == 0 and ended.stderr == ""
        for word in ["usage: silo", "--listen", "--data", "--shards", "--tenancy", "--tls-cert", "SIGTERM"]:
            assert word in ended.stdout
        assert run("silo", "-h").stdout == ended.stdout

    def test_version(self):
        for flag in ["--version", "-V"]:
            ended = run("silo", flag)
            assert ended.returncode == 0 and re.fullmatch(
                r"silo \d+\.\d+\.\d+\ncommit \w+\+?\nSlateDB \d+\.\d+\.\d+\ngRPC core \d+\.\d+\.\d+\n", ended.stdout)

    @pytest.mark.parametrize("flags, text", [
        (["--no-such-flag"], "unknown option --no-such-flag"),
        (["-x"], "unknown option -x"),
        (["--listen"], "--listen needs a value"),
        (["--shards", "0"], "--shards must be a whole number from 1 to 1024, not 0"),
        (["--shards", "many"], "--shards must be a whole number from 1 to 1024, not many"),
        (["--shards", "1025"], "--shards"),
        (["--tenancy=yes"], "--tenancy takes no value"),
        (["--log-format", "xml"], "--log-format must be text or json, not xml"),
        (["--flush-gap-ms", "-1"], "--flush-gap-ms"),
        (["--cache-mib", "0"], "--cache-mib"),
        (["extra"], "extra"),
    ])
    def test_flags_that_cannot_be_followed_end_with_2(self, tmp_path, flags, text):
        ended = run("silo", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", *flags)
        assert ended.returncode == 2 and text in ended.stderr and ended.stdout == "", ended.stderr
        assert not (tmp_path / "data").exists()

    def test_a_filter_of_no_part_is_refused(self, tmp_path):
        ended = run("silo", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", extra={"SILO_LOG": "info,bogus=debug"})
        assert ended.returncode == 2 and "bogus=debug is of no part of the log: those are silo, shard" in ended.stderr
        assert not (tmp_path / "data").exists()

    def test_data_that_is_a_file_is_refused(self, tmp_path):
        (tmp_path / "data").write_text("mine")
        ended = run("silo", "--data", tmp_path / "data", "--listen", "127.0.0.1:0")
        assert ended.returncode == 1 and f"--data {tmp_path / 'data'} is a file, where a folder is wanted" in ended.stdout + ended.stderr

    @pytest.mark.parametrize("filter", ["bogus", "info,storage=loud", "=info", "shard="])
    def test_a_log_level_that_is_none(self, tmp_path, filter):
        ended = run("silo", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", extra={"SILO_LOG": filter})
        assert ended.returncode == 2 and "SILO_LOG: " in ended.stderr and "error, warn, info, debug, trace" in ended.stderr
        assert not (tmp_path / "data").exists()

    def test_an_address_in_use_is_told_before_any_data_is_opened(self, server, tmp_path):
        ended = run("silo", "--data", tmp_path / "data", "--listen", server.address, "--shards", 1)
        assert ended.returncode == 1
        assert server.address in ended.stderr and "in use" in ended.stderr, ended.stderr
        assert not (tmp_path / "data").exists()

    @pytest.mark.parametrize("address", ["bogus", ":7450", "host:", "host:0", "host:70000", "a:b:7450", "http://host:7450", ""])
    def test_an_address_to_advertise_that_nobody_could_call(self, tmp_path, address):
        ended = run("silo", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--advertise", address)
        assert ended.returncode == 2, ended.stderr
        assert "--advertise must be host:port with a port from 1 to 65535" in ended.stderr and address in ended.stderr
        assert not (tmp_path / "data").exists()

    @pytest.mark.parametrize("place, hint", [
        ("s3:/typo", "s3://bucket/prefix"), ("s3:typo", "s3://bucket/prefix"), ("s3://", "s3://bucket/prefix"),
        ("http://host/data", "s3://bucket/prefix"), ("file:///tmp", "a folder"), ("memory://", "memory:"), ("S3://bucket", "s3://"),
        ("a:folder", "./a:folder"), ("memory", "./memory"), ("", "a folder"),
    ])
    def test_a_place_that_is_none_becomes_no_folder(self, tmp_path, place, hint):
        ended = run("silo", "--data", place, "--listen", "127.0.0.1:0", cwd=tmp_path)
        assert ended.returncode == 2 and "--data" in ended.stderr and hint in ended.stderr, ended.stderr
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("place", ["data", "./memory", "./a:folder", "in/a:folder", "1:2"])
    def test_a_relative_folder_stays_one(self, new_server, place):
        server = new_server("--shards", 1, data=place)
        assert (server.folder / place).is_dir() and server.stop() == 0

    @pytest.mark.parametrize("option, address, code", [
        *[(option, address, 2) for option in ["--listen", "--metrics"] for address in ["nonsense", "127.0.0.1:99999", "127.0.0.1", ""]],
        ("--listen", "no.such.host.invalid:1", 1),
    ])
    def test_an_address_that_is_none(self, tmp_path, option, address, code):
        ended = run("silo", "--data", tmp_path, option, address, "--shards", 1, timeout=20)
        assert ended.returncode == code and option in ended.stderr, ended.stderr

    def test_a_data_folder_in_use(self, server):
        ended = run("silo", "--data", server.data, "--listen", "127.0.0.1:0")
        assert ended.returncode == 1
        assert f"another silo server uses {server.data}" in ended.stderr, ended.stderr
        with Client(server.address) as client:
            assert client.enqueue(), "the first one goes on"

    @pytest.mark.parametrize("data", ["/dev/null/x", "/proc/silo"])
    def test_a_data_place_that_cannot_be_used(self, data):
        ended = run("silo", "--data", data, "--listen", "127.0.0.1:0")
        assert ended.returncode == 1 and ended.stderr.startswith("Error: "), ended.stderr

    def test_a_data_folder_that_is_a_file(self, tmp_path):
        (tmp_path / "file").write_text("x")
        ended = run("silo", "--data", tmp_path / "file", "--listen", "127.0.0.1:0")
        assert ended.returncode == 1 and str(tmp_path / "file") in ended.stderr, ended.stderr

    def test_the_data_folder_may_have_odd_letters_and_a_relative_path(self, new_server, tmp_path):
        server = new_server("--shards", 1, data="a folder/with %20 Ünïcode #1?")
        with Client(server.address) as client:
            id = client.enqueue()
        assert server.stop() == 0
        assert (server.folder / "a folder/with %20 Ünïcode #1?").is_dir()
        server.start()
        with Client(server.address) as client:
            assert client.job(id).id == id

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_signals_end_it_well_and_the_log_says_so(self, new_server, number):
        server = new_server("--shards", 2, extra={"SILO_LOG": "info,shard=debug"})
        assert server.stop(number) == 0
        messages = [line["message"] for line in server.log()]
        assert messages.index("server started") < messages.index("stopping") < messages.index("server stopped")
        assert messages.count("closed shard") == 2
        assert next(line for line in server.log() if line["message"] == "stopping")["signal"] == number.name
        assert not [line for line in server.log() if line["level"] in ("ERROR", "RAW")]

    def test_two_signals_are_one(self, new_server):
        server = new_server("--shards", 1)
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == 0

    def test_a_call_that_does_not_end_holds_up_a_stop_for_five_seconds_only(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            running, _ = held_call(client)
            begun = time.monotonic()
            assert server.stop() == 0
            assert 4 < time.monotonic() - begun < 20
            assert running.exception() is not None

    def test_ipv6_and_every_interface(self, new_server):
        server = new_server("--shards", 1, data="memory:", listen="[::1]:0")
        with Client(server.address) as client:
            assert client.cluster().this_grpc_addr == server.address
        other = new_server("--shards", 1, "--advertise", "silo.example:7450", data="memory:", listen="0.0.0.0:0")
        with Client(f"127.0.0.1:{other.port}") as client:
            assert client.cluster().this_grpc_addr == "silo.example:7450"
            assert {shard.grpc_addr for shard in client.shards()} == {"silo.example:7450"}

    def test_text_logs_are_lines_that_say_where(self, tmp_path):
        process = subprocess.Popen(
            [program("silo"), "--data", tmp_path, "--listen", "127.0.0.1:0", "--shards", "1"], stdout=subprocess.PIPE, text=True,
            env=environment(),
        )
        lines = []
        try:
            for line in process.stdout:
                lines.append(line)
                if "server started" in line:
                    break
            assert re.match(r"\d{4}-\d\d-\d\dT\S+Z INFO silo: server started grpc=127\.0\.0\.1:\d+ ", lines[-1]), lines
        finally:
            process.terminate()
            process.communicate(timeout=60)
        assert process.returncode == 0


class TestStopping:
    def test_calls_that_meet_a_stopping_server_are_answered_or_told_to_come_again(self, new_server):
        """Clients repeat after UNAVAILABLE (spec/clients.md 5); after any other status they give up."""
        server = new_server("--shards", 1, listen=fixed_address())
        codes = collections.Counter()
        going = threading.Event()
        going.set()

        def call(number):
            with Client(server.address, options=EAGER) as client:
                while going.is_set():
                    try:
                        client.call("GetNodeInfo" if number % 2 else "LeaseTasks", timeout=20, wait_for_ready=True, **(
                            {} if number % 2 else dict(task_group="g", max_tasks=1, worker_id="w")
                        ))
                        codes["OK"] += 1
                    except grpc.RpcError as error:
                        codes[f"{error.code().name} {error.details()}"] += 1
                        # As clients do, though they wait longer.
                        time.sleep(0.05)

        threads = [threading.Thread(target=call, args=(n,), daemon=True) for n in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(12):
            before = codes["OK"]
            until(lambda: codes["OK"] > before + 50, 60)
            assert server.stop() == 0
            server.start()
        going.clear()
        for thread in threads:
            thread.join(60)
        others = {text: count for text, count in codes.items() if text != "OK" and not text.startswith("UNAVAILABLE")}
        # The C core ends a call that comes in the very moment it goes down with CANCELLED; these clients never pause.
        assert sum(others.values()) <= 6 and set(others) <= {"CANCELLED CANCELLED"} and codes["OK"] > 600, codes
