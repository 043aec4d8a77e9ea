"""The spans of Silo and of its client library at a collector, and what a collector that misbehaves does to the server: nothing."""

import subprocess
import sys
import time

import grpc
import pytest
from support.client import INVALID_ARGUMENT, Client, packed
from support.collector import Collector, retry_info
from support.generated import pb
from support.ports import fixed_address
from support.swift_worker import SwiftWorker
from support.waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"
SENDER = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{SENDER}-01"


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector


def variables(collector, **more):
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector if isinstance(collector, str) else collector.address}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    } | more


@pytest.fixture
def traced(new_server, collector):
    """A server that exports to the collector, and only what its callers trace."""
    return new_server("--shards", 1, extra=variables(collector, OTEL_TRACES_SAMPLER="parentbased_always_off"))


def enqueue(client, traceparent=None, group="g", **fields):
    request = pb.EnqueueRequest(shard=client.shard, task_group=group, payload=packed({"name": "a"}), priority=50, **fields)
    return client.stub.Enqueue(request, metadata=[("traceparent", traceparent)] if traceparent else None).id


def lease(client, group="g", count=10):
    return client.stub.LeaseTasks(pb.LeaseTasksRequest(worker_id="w", max_tasks=count, task_group=group, wait_ms=5000)).tasks


def succeed(client, task, traceparent=None):
    request = pb.ReportOutcomeRequest(shard=task.shard, task_id=task.id, success=packed(1))
    client.stub.ReportOutcome(request, metadata=[("traceparent", traceparent)] if traceparent else None)


# The picture


def test_one_job_is_one_tree_from_its_sender_to_its_report(traced, collector, tmp_path):
    """As docs/observability.md draws it."""
    worker = SwiftWorker(tmp_path, traced.address, "thumbnails", "--enqueue", 1, extra=variables(collector))
    try:
        worker.wait_for("end")
        worker.stop()
    finally:
        worker.close()
    collector.wait_for("grpc_request", **{"rpc.method": "ReportOutcome"})
    (upload,) = collector.wait_for("upload")
    assert collector.tree(upload.trace) == [
        "worker: upload (internal)",
        "  worker: enqueue thumbnails (producer)",
        "    silo: grpc_request Enqueue (server)",
        "      silo: commit (internal)",
        "    silo: wait (internal)",
        "    worker: process thumbnails (consumer)",
        "      silo: grpc_request ReportOutcome (server)",
        "        silo: commit (internal)",
    ]
    assert all(span.failure is None and span.began <= span.ended and span.sampled for span in collector.spans)
    (wait,) = collector.named("wait")
    (process,) = collector.named("process thumbnails")
    assert wait.attributes["messaging.destination.name"] == "thumbnails" and wait.attributes["silo.attempt"] == 1
    assert wait.attributes["silo.job.id"] == process.attributes["messaging.message.id"]
    assert wait.began <= wait.ended <= process.ended


def test_what_a_call_and_its_commit_say(traced, collector):
    with Client(traced.address) as client:
        enqueue(client, SAMPLED)
        with pytest.raises(grpc.RpcError):
            enqueue(client, SAMPLED, limits=[pb.Limit()] * 100)
    good, bad = sorted(collector.wait_for("grpc_request", 2), key=lambda span: span.began)
    assert (good.trace, good.parent, good.kind) == (TRACE, SENDER, "server")
    assert good.attributes | {"network.peer.address": ""} == {
        "rpc.system": "grpc", "rpc.service": "silo.v1.Silo", "rpc.method": "Enqueue", "rpc.grpc.status_code": 0,
        "network.peer.address": "",
    }
    assert good.attributes["network.peer.address"].startswith("ipv4:127.0.0.1:")
    # A bad request is no failure of the server.
    assert bad.attributes["rpc.grpc.status_code"] == INVALID_ARGUMENT.value[0] and bad.failure is None
    (commit,) = collector.named("commit")
    assert commit.parent == good.id and commit.attributes == {"silo.command": "Enqueue"} and commit.events == ["begun", "done"]
    assert good.began <= commit.began <= commit.ended <= good.ended


def test_every_attempt_and_every_restart_belongs_to_the_trace_of_the_enqueue(traced, collector):
    with Client(traced.address) as client:
        policy = pb.RetryPolicy(retry_count=1, initial_interval_ms=0, backoff_factor=1)
        id = enqueue(client, SAMPLED, retry_policy=policy)
        for _ in range(2):
            (task,) = lease(client)
            assert task.traceparent == SAMPLED
            client.stub.ReportOutcome(pb.ReportOutcomeRequest(
                shard=task.shard, task_id=task.id, failure=pb.Failure(code="E", data=packed(1)),
            ))
        client.stub.RestartJob(pb.RestartJobRequest(shard=client.shard, id=id))
        (task,) = lease(client)
        assert task.traceparent == SAMPLED and task.attempt_number == 3
        waits = collector.wait_for("wait", 3)
        assert sorted(wait.attributes["silo.attempt"] for wait in waits) == [1, 2, 3]
        assert {(wait.trace, wait.parent) for wait in waits} == {(TRACE, SENDER)}
        assert client.stub.GetJob(pb.GetJobRequest(shard=client.shard, id=id)).traceparent == SAMPLED


def test_what_tracing_systems_add_goes_along(traced, collector):
    state, own = "rojo=00f067aa0ba902b7,congo@x=t61rcWkgMzE", "b=2"
    with Client(traced.address) as client:
        job = pb.EnqueueRequest(shard=client.shard, task_group="g", payload=packed(1))
        headers = [("traceparent", SAMPLED), ("tracestate", state)]
        id = client.stub.Enqueue(job, metadata=headers).id
        client.stub.EnqueueBatch(pb.EnqueueBatchRequest(shard=client.shard, jobs=[
            pb.EnqueueRequest(task_group="g", payload=packed(1), traceparent=SAMPLED, tracestate=own),
            pb.EnqueueRequest(task_group="g", payload=packed(1), traceparent=SAMPLED, tracestate="no state"),
            pb.EnqueueRequest(task_group="g", payload=packed(1), tracestate=own),
        ]), metadata=headers)
        assert client.stub.GetJob(pb.GetJobRequest(shard=client.shard, id=id)).tracestate == state
        traced.kill()
        traced.start()
    with Client(traced.address) as client:
        tasks = lease(client)
        assert [(task.traceparent, task.tracestate) for task in tasks] == [
            (SAMPLED, state), (SAMPLED, own), (SAMPLED, ""), (SAMPLED, state)]
    waits = collector.wait_for("wait", 4)
    assert sorted(wait.state for wait in waits) == ["", own, state, state]


def test_the_trace_of_a_job_survives_a_crash(traced, collector):
    with Client(traced.address) as client:
        enqueue(client, SAMPLED)
    traced.kill()
    traced.start()
    with Client(traced.address) as client:
        (task,) = lease(client)
        assert task.traceparent == SAMPLED
    assert collector.wait_for("wait")[0].parent == SENDER


def test_the_jobs_of_a_batch_belong_to_their_own_traces(traced, collector):
    others = [f"00-{n:032x}-{n:016x}-01" for n in (1, 2)]
    with Client(traced.address) as client:
        job = dict(task_group="g", payload=packed(1), priority=50)
        jobs = [
            pb.EnqueueRequest(traceparent=others[0], **job), pb.EnqueueRequest(traceparent=others[1], **job),
            pb.EnqueueRequest(traceparent=SAMPLED, **job), pb.EnqueueRequest(**job), pb.EnqueueRequest(traceparent="nonsense", **job),
            pb.EnqueueRequest(traceparent=SAMPLED[:-1] + "0", **job),
        ]
        answer = client.stub.EnqueueBatch(
            pb.EnqueueBatchRequest(shard=client.shard, jobs=jobs), metadata=[("traceparent", SAMPLED)],
        )
        assert all(result.code == 0 for result in answer.results)
        tasks = lease(client)
        assert [task.traceparent for task in tasks] == [*others, SAMPLED, SAMPLED, SAMPLED, ""]
        report = pb.ReportOutcomesRequest(shard=client.shard, outcomes=[
            pb.ReportOutcomeRequest(task_id=task.id, success=packed(1), traceparent=task.traceparent) for task in tasks
        ])
        client.stub.ReportOutcomes(report)
    (call,) = collector.wait_for("grpc_request", **{"rpc.method": "EnqueueBatch"})
    enqueued = collector.wait_for("enqueue", 2)
    assert sorted((span.trace, span.parent) for span in enqueued) == [tuple(other.split("-")[1:3]) for other in others]
    assert all(span.links == [call.id] and span.failure is None for span in enqueued)
    # That call was made for nobody: each outcome has a span of its own.
    reported = collector.wait_for("report_outcome", 5)
    assert sorted(span.trace for span in reported) == sorted([f"{1:032x}", f"{2:032x}", TRACE, TRACE, TRACE])
    assert len(collector.named("wait")) == 5


def test_a_trace_that_begins_at_the_server_goes_with_the_job(new_server, collector):
    server = new_server("--shards", 1, extra=variables(collector, OTEL_TRACES_SAMPLER="always_on"))
    with Client(server.address) as client:
        enqueue(client)
        (task,) = lease(client)
        succeed(client, task, task.traceparent)
    (call,) = collector.wait_for("grpc_request", **{"rpc.method": "Enqueue"})
    assert call.parent == "" and task.traceparent == f"00-{call.trace}-{call.id}-01"
    (polled,) = collector.wait_for("grpc_request", **{"rpc.method": "LeaseTasks"})
    (wait,) = collector.wait_for("wait")
    (report,) = collector.wait_for("grpc_request", **{"rpc.method": "ReportOutcome"})
    # The worker's call is a trace of its own, which the wait is linked to.
    assert wait.links == [polled.id] and polled.trace != call.trace
    assert wait.parent == report.parent == call.id


# Who is recorded


@pytest.mark.parametrize("header", [None, SAMPLED[:-1] + "0", "nonsense", SAMPLED.upper(), SAMPLED + "-x", "00-" + "0" * 32 + SAMPLED[35:]])
def test_who_does_not_trace_is_not_recorded_and_keeps_nothing(traced, collector, header):
    with Client(traced.address) as client:
        enqueue(client, header)
        (task,) = lease(client)
        assert task.traceparent == ""
        enqueue(client, SAMPLED)
    collector.wait_for("commit")
    assert {span.trace for span in collector.spans} == {TRACE}


def test_a_share_of_the_traces_is_recorded(new_server, collector):
    server = new_server("--shards", 1, extra=variables(
        collector, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.25",
    ))
    with Client(server.address) as client:
        for _ in range(400):
            enqueue(client)
    server.stop()
    # 100 on average; so far away once in a million runs.
    assert 55 < len(collector.named("grpc_request", **{"rpc.method": "Enqueue"})) < 150


def test_a_server_that_exports_nothing_passes_a_trace_on(server):
    with Client(server.address) as client:
        enqueue(client, SAMPLED, group="passed-on")
        (task,) = lease(client, group="passed-on")
        assert task.traceparent == SAMPLED
    assert not [line for line in server.log() if line["target"] == "traces"]


def test_what_the_environment_says_of_the_process_and_its_headers(new_server, collector):
    server = new_server("--shards", 1, extra=variables(
        collector, OTEL_SERVICE_NAME="silo-eu", OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test,team=a%20b,service.name=x",
        OTEL_EXPORTER_OTLP_HEADERS="x-key=s%3Decret, other=2", OTEL_TRACES_SAMPLER="always_on",
    ))
    with Client(server.address) as client:
        enqueue(client)
    collector.wait_for("commit")
    resource = collector.resources[0]
    assert resource["service.name"] == "silo-eu" and resource["deployment.environment"] == "test" and resource["team"] == "a b"
    assert resource["telemetry.sdk.language"] == "swift" and resource["service.version"]
    assert collector.headers[0]["x-key"] == "s=ecret" and collector.headers[0]["other"] == "2"
    assert "ecret" not in server.tail()


def test_variables_that_cannot_be_are_named_and_ignored(new_server, collector):
    server = new_server("--shards", 1, extra=variables(
        collector, OTEL_TRACES_SAMPLER="sometimes", OTEL_BSP_MAX_QUEUE_SIZE="many", OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_HEADERS="secret",
    ))
    mistakes = " ".join(line["because"] for line in server.log() if line["target"] == "traces" and "because" in line)
    for name in ("OTEL_TRACES_SAMPLER", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_HEADERS"):
        assert name in mistakes
    assert "secret" not in mistakes


def test_a_collector_is_reached_with_tls_and_nobody_else_in_its_place(new_server, tmp_path):
    subprocess.run([
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout",
        "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
    ], cwd=tmp_path, check=True, capture_output=True)
    with Collector(tls=tmp_path) as collector:
        secure = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://{collector.address}"}
        trusting = new_server("--shards", 1, extra=variables(
            collector, OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "cert.pem"), **secure,
        ))
        strange = new_server("--shards", 1, extra=variables(collector, OTEL_BSP_EXPORT_TIMEOUT="1", **secure))
        blind = new_server("--shards", 1, extra=variables(
            collector, OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "missing.pem"), **secure,
        ))
        for server in (trusting, strange, blind):
            with Client(server.address) as client:
                enqueue(client, SAMPLED)
        collector.wait_for("commit")
        until(lambda: told(strange, "the collector does not take spans; they are dropped"))
        (line,) = told(blind, "traces are not exported: a file of the collector's TLS cannot be read")
        assert line["level"] == "ERROR" and "missing.pem" in line["error"]
        assert len(collector.named("commit")) == 1


@pytest.mark.parametrize("more", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_it_can_be_switched_off(new_server, collector, more):
    server = new_server("--shards", 1, extra=variables(collector, **more))
    with Client(server.address) as client:
        enqueue(client, SAMPLED)
    server.stop()
    assert collector.exports == 0


# Collectors that misbehave


def rate(client, seconds=1.0):
    """Unary calls in a second, one after another."""
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        enqueue(client, SAMPLED)
        count += 1
    return count / seconds


def test_what_waits_is_sent_before_the_server_ends(new_server, collector):
    server = new_server("--shards", 1, extra=variables(
        collector, OTEL_BSP_SCHEDULE_DELAY="3600000", OTEL_TRACES_SAMPLER="parentbased_always_off",
    ))
    with Client(server.address) as client:
        enqueue(client, SAMPLED)
    assert collector.exports == 0 and server.stop() == 0
    assert sorted(span.name for span in collector.spans) == ["commit", "grpc_request"]


@pytest.mark.parametrize("refusal", [
    (grpc.StatusCode.UNAVAILABLE,), (grpc.StatusCode.RESOURCE_EXHAUSTED, retry_info(0.2)), (grpc.StatusCode.DATA_LOSS,),
])
def test_an_export_is_tried_again_where_it_may_be(traced, collector, refusal):
    collector.refusals = [refusal]
    with Client(traced.address) as client:
        enqueue(client, SAMPLED)
    collector.wait_for("commit")
    assert collector.exports >= 2 and len(collector.named("commit")) == 1


@pytest.mark.parametrize("refusal", [(grpc.StatusCode.INVALID_ARGUMENT,), (grpc.StatusCode.RESOURCE_EXHAUSTED,)])
def test_an_export_that_is_refused_for_good_is_dropped_and_told_once(traced, collector, refusal):
    collector.refusals = [refusal]
    with Client(traced.address) as client:
        enqueue(client, SAMPLED)
        (line,) = until(lambda: told(traced, "the collector does not take spans; they are dropped"))
        assert line["level"] == "WARN" and refusal[0].name in line["error"]
        enqueue(client, SAMPLED)
    collector.wait_for("commit")
    assert collector.exports == 2 and len(collector.named("commit")) == 1
    until(lambda: told(traced, "the collector takes spans again"))


def told(server, message):
    return [line for line in server.log() if line["message"] == message]


def test_spans_that_a_collector_rejects_are_told(traced, collector):
    collector.rejects = 1
    with Client(traced.address) as client:
        enqueue(client, SAMPLED)
    (line,) = until(lambda: told(traced, "the collector refused spans"))
    assert line["count"] == 1 and line["error"] == "some were refused"


def test_a_collector_that_is_not_there_hangs_or_comes_late_holds_up_nobody(new_server, collector):
    """The rates are of one process that exports and one that does not, in turn, on the same machine."""
    away = fixed_address()
    plain = new_server("--shards", 1)
    absent = new_server("--shards", 1, extra=variables(
        away, OTEL_BSP_MAX_QUEUE_SIZE="512", OTEL_BSP_EXPORT_TIMEOUT="2000",
    ))
    hanging = new_server("--shards", 1, extra=variables(
        collector, OTEL_BSP_MAX_QUEUE_SIZE="512", OTEL_EXPORTER_OTLP_TIMEOUT="1000", OTEL_BSP_EXPORT_TIMEOUT="2000",
    ))
    collector.open.clear()
    rates = {name: [] for name in ("plain", "absent", "hanging")}
    clients = {"plain": Client(plain.address), "absent": Client(absent.address), "hanging": Client(hanging.address)}
    for _ in range(3):
        for name, client in clients.items():
            rates[name].append(rate(client))
    best = {name: max(values) for name, values in rates.items()}
    print(best)
    # Every call is recorded here, which costs some, and more on a busy machine; waiting for a collector would cost nearly all.
    assert best["absent"] > 0.2 * best["plain"] and best["hanging"] > 0.2 * best["plain"]
    for server in (absent, hanging):
        until(lambda: told(server, "the collector does not take spans; they are dropped"))
        assert server.rss() < 600 << 20
    # It comes, late: spans arrive again, without anybody doing anything.
    collector.open.set()
    enqueue(clients["hanging"], SAMPLED)
    until(lambda: told(hanging, "the collector takes spans again"))
    with Collector(away) as late:
        # What is exported while the connection is not there yet is dropped.
        def arrive():
            enqueue(clients["absent"], SAMPLED)
            return late.named("commit")

        until(arrive, 60, "spans at the collector that came late")
        until(lambda: told(absent, "the collector takes spans again"))
    # One that is away does not keep the server from ending.
    begun = time.monotonic()
    enqueue(clients["absent"], SAMPLED)
    assert absent.stop() == 0 and time.monotonic() - begun < 15
    for client in clients.values():
        client.close()


def test_a_collector_may_be_started_anew(traced, collector):
    with Client(traced.address) as client:
        enqueue(client, SAMPLED)
        collector.wait_for("commit")
        address = collector.address
        collector.close()
        enqueue(client, SAMPLED)
        with Collector(address) as second:
            second.wait_for("commit")


# The messages


def test_our_messages_are_those_of_the_published_protocol(tmp_path):
    """Every field of ours is one of theirs: name, number, type and label."""
    from google.protobuf import descriptor_pb2, descriptor_pool
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: F401
    from support.programs import ROOT

    files = [str(path) for path in sorted((ROOT / "proto/opentelemetry").rglob("*.proto"))]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", f"--descriptor_set_out={tmp_path / 'set'}", *files],
        check=True,
    )
    ours = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "set").read_bytes())
    theirs = descriptor_pool.Default()
    fields = 0

    def compare(message, name):
        nonlocal fields
        published = theirs.FindMessageTypeByName(name)
        told = descriptor_pb2.DescriptorProto()
        published.CopyToProto(told)
        for field in message.field:
            proto = next(other for other in told.field if other.name == field.name)
            assert (field.number, field.type, field.label, field.type_name) == (
                proto.number, proto.type, proto.label, proto.type_name,
            ), f"{name}.{field.name}"
            fields += 1
        for inner in message.nested_type:
            compare(inner, f"{name}.{inner.name}")

    for file in ours.file:
        for message in file.message_type:
            compare(message, f"{file.package}.{message.name}")
        for enum in [*file.enum_type, *(e for m in file.message_type for e in m.enum_type)]:
            owner = next((f".{m.name}" for m in file.message_type if enum in m.enum_type), "")
            published = theirs.FindEnumTypeByName(f"{file.package}{owner}.{enum.name}")
            assert {v.name: v.number for v in enum.value} == {v.name: v.number for v in published.values}
    assert fields > 30
