"""The port for operators: metrics that count what happened, health, readiness, and clients that want too much."""

import contextlib
import json
import resource
import socket
import ssl
import subprocess
import threading

import grpc
import pytest

from support.client import Client, concurrency, policy, rate
from support.metrics import Page, Prometheus, get
from support.ports import fixed_address
from support.programs import ROOT
from support.waiting import milliseconds, until


@pytest.fixture
def fresh(new_server):
    return new_server("--shards", 1)


class TestCounts:
    def test_jobs_and_workers_are_counted(self, fresh):
        with Client(fresh.address) as client:
            for _ in range(3):
                client.enqueue("mail")
            client.enqueue("video", retry_policy=policy(1))
            first, second = client.lease("mail", 2)
            client.succeed(first)
            client.give_up(second)
            client.fail(client.take("video"))
            client.succeed(client.take("video"))
            client.enqueue("later", start_at_ms=milliseconds() + 3_600_000)
        page = Page.of(fresh)
        assert page.sum("silo_jobs_enqueued_total") == 5
        assert page.sum("silo_jobs_dequeued_total", task_group="mail") == 2
        assert page.sum("silo_jobs_dequeued_total", task_group="video") == 2
        assert {s: page.sum("silo_jobs_completed_total", status=s) for s in ("succeeded", "failed", "cancelled")} == {
            "succeeded": 2, "failed": 1, "cancelled": 1}
        assert page.sum("silo_job_attempts_total", task_group="video", is_retry="true") == 1
        assert page.sum("silo_job_attempts_total", is_retry="false") == 3
        assert page.sum("silo_job_wait_time_seconds_count", task_group="mail") == 2
        assert page.sum("silo_ready_to_start_latency_ms_bucket", task_group="mail", le="+Inf") == 2
        assert page.sum("silo_polls_total", task_group="mail") == 1
        assert page.sum("silo_grpc_requests_total", method="Enqueue", status="OK") == 5
        assert page.sum("silo_grpc_request_duration_seconds_count", method="ReportOutcome") == 4

        # Names that look alike are two.
        with Client(fresh.address) as client:
            for count, group in enumerate(["\u00e9", "e\u0301"], 1):
                for _ in range(count):
                    client.enqueue(group)
                    client.take(group)
        page = Page.of(fresh)
        assert [page.sum("silo_jobs_dequeued_total", task_group=group) for group in ("\u00e9", "e\u0301")] == [1, 2]

        def jobs(group):
            states = page.values("silo_jobs", "state")
            return {state: n for state in states if (n := page.sum("silo_jobs", task_group=group, state=state))}

        assert jobs("mail") == {"ready": 1, "succeeded": 1, "cancelled": 1}
        assert jobs("video") == {"succeeded": 1} and jobs("later") == {"scheduled": 1}

    def test_levels_survive_a_restart(self, fresh):
        with Client(fresh.address) as client:
            for _ in range(4):
                client.enqueue("g", limits=[concurrency("k", 2)])
            client.lease("g", 1)
        before = Page.of(fresh)
        levels = {"ready": 1, "running": 1, "waiting": 2}
        assert {s: before.sum("silo_jobs", state=s) for s in levels} == levels
        assert before.sum("silo_task_leases_active", task_group="g") == 1
        assert before.sum("silo_limits", kind="concurrency") == 1 and before.sum("silo_limit_lines") == 1
        assert before.sum("silo_concurrency_tickets_granted_total", path="immediate") == 2
        fresh.stop()
        fresh.start()
        after = Page.of(fresh)
        assert {s: after.sum("silo_jobs", state=s) for s in levels} == levels
        assert after.sum("silo_task_leases_active", task_group="g") == 1

    def test_the_oldest_ready_job_grows_old_until_it_is_taken(self, fresh):
        with Client(fresh.address) as client:
            client.enqueue("g", start_at_ms=milliseconds() - 600_000)
            client.enqueue("g")
            assert 600 <= Page.of(fresh).sum("silo_oldest_ready_job_age_seconds") < 700
            client.succeed(client.take("g"))
            assert Page.of(fresh).sum("silo_oldest_ready_job_age_seconds") < 60
            client.succeed(client.take("g"))
            assert Page.of(fresh).sum("silo_oldest_ready_job_age_seconds") == 0

    def test_refused_calls_and_unknown_methods_are_counted(self, fresh):
        with Client(fresh.address) as client:
            with contextlib.suppress(Exception):
                client.status("no-such-job")
            with contextlib.suppress(Exception):
                client.channel.unary_unary("/silo.v1.Silo/Nothing")(b"")
        page = Page.of(fresh)
        assert page.sum("silo_grpc_requests_total", method="GetJob", status="NOT_FOUND") == 1
        assert page.sum("silo_grpc_requests_total", method="unknown", status="UNIMPLEMENTED") == 1

    def test_no_label_names_a_tenant_or_a_key_and_groups_are_bounded(self, new_server):
        server = new_server("--shards", 1, "--tenancy")
        with Client(server.address, tenant="the-tenant") as client:
            for number in range(250):
                client.enqueue(f"group-{number}", limits=[concurrency("the-key")])
            client.enqueue("other")
            for number in range(250):
                client.lease(f"group-{number}", 1)
        page = Page.of(server)
        assert "the-tenant" not in page.text and "the-key" not in page.text
        for name in ("silo_jobs", "silo_jobs_dequeued_total"):
            assert len(page.values(name, "task_group")) == 201 and "other" in page.values(name, "task_group")
        assert page.sum("silo_jobs") == 251
        lines = [line.rsplit(" ", 1)[0] for line in page.text.splitlines() if not line.startswith("#")]
        assert len(lines) == len(set(lines)), "a collector refuses a page that has a sample twice"

    def test_batches_flushes_and_storage_are_measured(self, fresh):
        with Client(fresh.address) as client:
            for _ in range(20):
                client.enqueue("g", payload="x" * 1000)
        Page.of(fresh)
        page = until(lambda: (p := Page.of(fresh)).sum("silo_slatedb_get_requests_total") and p, what="SlateDB's own metrics")
        for stage in ("wait", "run", "write", "flush", "answer"):
            assert page.sum("silo_stage_duration_seconds_count", stage=stage) > 0, stage
        assert page.sum("silo_batch_rows_sum") > 40 and page.sum("silo_batch_bytes_total") > 20_000
        assert page.sum("silo_flushed_bytes_total") == page.sum("silo_batch_bytes_total")
        assert page.sum("silo_log_segments") == 1 and page.sum("silo_log_overlay_bytes") > 20_000
        for name in ("process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total", "process_threads"):
            assert page.sum(name) > 0, name
        assert page.sum("silo_tcmalloc_bytes", kind="allocated") > 1 << 20

    def test_a_page_is_what_the_format_wants(self, fresh):
        with Client(fresh.address) as client:
            client.enqueue('a "quoted\\ group')
            client.lease('a "quoted\\ group')
        status, headers, text = get(fresh.operator, "/metrics")
        assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert 'task_group="a \\"quoted\\\\ group"' in text
        first = next(line for line in text.splitlines() if line.startswith("silo_jobs_dequeued_total{"))
        assert first.startswith('silo_jobs_dequeued_total{shard="') and first.endswith(" 1")
        checked = subprocess.run([ROOT / ".deps/bin/promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        # Upstream's names, which are kept, are all that it has to say.
        said = {line.split(" ")[0] for line in (checked.stdout + checked.stderr).splitlines()}
        assert said <= {"silo_slatedb_l0_sst_count", "silo_ready_to_start_latency_ms"}, said

    def test_scrapes_without_activity_change_no_count(self, fresh):
        with Client(fresh.address) as client:
            client.enqueue("g")

        def counts():
            # Not those that run: a call's end may be seen after its answer.
            return [
                s for s in Page.of(fresh).samples
                if s[0].startswith(("silo_jobs", "silo_grpc")) and s[0] != "silo_grpc_calls_running"
            ]

        assert counts() == counts()


class TestHealth:
    def test_the_pages(self, fresh):
        assert get(fresh.operator, "/healthz")[::2] == (200, "ok\n")
        assert get(fresh.operator, "/readyz")[::2] == (200, "ok\n")
        versions = json.loads(get(fresh.operator, "/version")[2])
        assert set(versions) == {"name", "version", "commit", "SlateDB", "gRPC core"} and all(versions.values())
        assert (versions["name"], versions["version"]) == ("silo", "1.0.0")
        assert get(fresh.operator, "/")[0] == 200 and get(fresh.operator, "/metrics/more")[0] == 404
        assert get(fresh.operator, "/metrics", method="POST")[0] == 405

    def test_a_server_is_not_ready_while_its_storage_does_not_answer(self, new_server):
        address = fixed_address()
        nobody = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
                  "AWS_ENDPOINT": f"http://{fixed_address()}"}
        server = new_server.prepare(data="s3://nobody/here", metrics=address, extra=nobody)
        server.spawn()

        def answers():
            with contextlib.suppress(OSError):
                return get(address, "/healthz")[0] == 200

        until(answers, what="the health page", explain=server.tail)
        assert get(address, "/readyz")[::2] == (503, "the shards are opened\n")
        assert get(address, "/metrics")[0] == 200

    def test_a_server_that_drains_is_alive_and_not_ready(self, new_server):
        server = new_server("--shards", 1)
        with Client(server.address) as client:
            profile = client.begin("CpuProfile", duration_seconds=20)
            until(lambda: any(line["message"] == "profile started" for line in server.log()), what="the call to run")
            server.process.terminate()
            until(lambda: get(server.operator, "/readyz")[0] == 503, what="the server to say that it is not ready")
            assert get(server.operator, "/readyz")[2] == "the server is shutting down\n"
            assert get(server.operator, "/healthz")[0] == 200
            assert server.process.wait(60) == 0
            profile.cancel()

    def test_a_port_in_use_is_told_and_done_without(self, fresh, new_server):
        other = new_server("--shards", 1, metrics=fresh.operator)
        assert other.operator == "none"
        (error,) = [line for line in other.log() if line["level"] == "ERROR"]
        assert error["metrics"] == fresh.operator and error["error"] == "it is in use"
        with Client(other.address) as client:
            client.enqueue("g")
        assert other.stop() == 0

    def test_it_may_be_left_out(self, new_server):
        server = new_server("--shards", 1, metrics="none")
        assert server.operator == "none" and not [line for line in server.log() if line["level"] == "ERROR"]

    def test_it_has_tls_where_calls_have_it_also_with_a_renewed_certificate(self, new_server, tmp_path):
        def make():
            subprocess.run([
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
            ], cwd=tmp_path, check=True, capture_output=True)

        def answers():
            trust = ssl.create_default_context(cafile=tmp_path / "cert.pem")
            with contextlib.suppress(OSError):
                return get(server.operator, "/healthz", "https", context=trust)[0] == 200

        make()
        server = new_server("--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem", data="memory:")
        assert answers()
        with pytest.raises(OSError):
            get(server.operator, "/healthz")
        make()
        assert not answers(), "it still has the certificate of before"
        until(answers, 30, "the renewed certificate", server.tail)
        assert server.stop() == 0


class TestTooMuch:
    def test_ten_thousand_connections_take_nothing_from_calls(self, new_server):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        count = min(10_000, hard - 1000)
        server = new_server("--shards", 1)
        host, port = server.operator.rsplit(":", 1)
        with contextlib.ExitStack() as open_ones, Client(server.address) as client:
            for _ in range(count):
                one = open_ones.enter_context(socket.socket())
                one.bind(("127.0.0.2", 0))
                one.connect((host, int(port)))
            client.succeeded("g")
            assert Page.of(server).sum("silo_http_connections") <= 256
            assert server.descriptors() < 600
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_scrapers_that_never_read_hold_nobody_up(self, fresh):
        host, port = fresh.operator.rsplit(":", 1)
        with contextlib.ExitStack() as open_ones, Client(fresh.address) as client:
            for _ in range(40):
                one = open_ones.enter_context(socket.create_connection((host, int(port))))
                for _ in range(20):
                    one.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
            client.succeeded("g")
            assert Page.of(fresh).sum("silo_jobs_enqueued_total") == 1

    def test_a_header_of_a_mebibyte_is_refused(self, fresh):
        host, port = fresh.operator.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=30) as one:
            with contextlib.suppress(OSError):
                one.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n")
            with contextlib.suppress(OSError):
                assert one.recv(100).startswith(b"HTTP/1.1 431")
        assert get(fresh.operator, "/healthz")[0] == 200


class TestPrometheus:
    def test_it_counts_what_was_done_under_load(self, new_server, tmp_path):
        server = new_server("--shards", 4, "--tenancy")
        done = []

        def work(name):
            with Client(server.address, tenant=name) as client:
                for _ in range(150):
                    client.enqueue(f"load-{name}")
                    client.succeed(client.take(f"load-{name}"))
                    done.append(name)

        with Prometheus(tmp_path, server.operator) as prometheus:
            workers = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            assert len(done) == 600
            wanted = {
                "sum(silo_jobs_enqueued_total)": 600, "sum(silo_jobs_dequeued_total)": 600,
                'sum(silo_jobs_completed_total{status="succeeded"})': 600, 'sum(silo_jobs{state="succeeded"})': 600,
                'silo_grpc_requests_total{method="Enqueue",status="OK"}': 600,
                'sum(silo_job_wait_time_seconds_count{task_group="load-t1"})': 150, 'up{job="silo"}': 1,
            }
            until(lambda: all(prometheus.number(q) == n for q, n in wanted.items()), 60, "Prometheus to see all",
                  lambda: str({q: prometheus.number(q) for q in wanted}))
            until(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), 60, "all rules to be evaluated",
                  lambda: str([r for r in prometheus.rules() if r["health"] != "ok"]))
            assert len(prometheus.rules()) > 15

    #: What the dashboard asks for that gives nothing while all is well.
    SILENT = {
        "Files that were deleted, and views that keep some": "files are looked through after half a minute, and are kept for as long",
        "Room for data": "a bound on it is shown where there is one",
        "Time left of certificates": "the server has none",
        "Rare cases": "shows only those that come up",
        "Found in the cache": "young rows are in memory, and nothing is read from files",
    }

    def test_every_question_of_the_dashboard_has_an_answer(self, new_server, tmp_path):
        dashboard = json.loads((ROOT / "deploy/grafana/silo.json").read_text())
        questions = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
        for variable in ("instance", "shard", "task_group"):
            questions = [(title, text.replace(f"${variable}", ".*")) for title, text in questions]
        questions = [(title, text.replace("$__rate_interval", "10s")) for title, text in questions]
        assert len(questions) > 50 and not any("$" in text for _, text in questions)
        # Spans go nowhere: what becomes of them is asked too.
        server = new_server(
            "--shards", 2, "--tenancy", "--audit-log", tmp_path / "audit.jsonl",
            extra={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
        stopped = threading.Event()

        def work():
            with Client(server.address, tenant="a") as client:
                while not stopped.wait(0.05):
                    client.enqueue("idle", limits=[concurrency("slot")])
                    id = client.enqueue("busy", limits=[rate("rate", 10_000, 1000)])
                    task = client.take("busy")
                    (client.fail if task.job_id < "8" else client.succeed)(task)
                    with contextlib.suppress(grpc.RpcError):
                        client.cancel(id)
                    client.call("FlushShard", shard=client.shard)

        with Prometheus(tmp_path, server.operator) as prometheus:
            worker = threading.Thread(target=work)
            worker.start()
            try:
                def unanswered():
                    return {title for title, text in questions if not prometheus.query(text)}

                until(lambda: unanswered() <= self.SILENT.keys(), 60, "answers", lambda: str(unanswered()))
            finally:
                stopped.set()
                worker.join()
