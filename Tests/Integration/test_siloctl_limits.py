"""`siloctl` on limits: jobs that wait and why, pauses, holders, imports."""

import json
import re

import msgpack
import pytest

from support.client import CANCELLED, FAILED, SCHEDULED, SUCCEEDED, Client, new_id
from support.generated import pb
from support.programs import run
from support.siloctl import Terminal, as_json, pretty, runner
from support.waiting import milliseconds, until


@pytest.fixture(scope="module")
def ctl(server):
    return runner(server.address)


@pytest.fixture(scope="module")
def tenants(start_server):
    """A server with tenancy and several shards."""
    return start_server("--tenancy", "--shards", 4, data="memory:")


def slot(key, most):
    return pb.Limit(concurrency=pb.ConcurrencyLimit(key=key, max_concurrency=most))


class TestEnqueueWithLimits:
    def test_all_kinds_in_their_order(self, ctl, client):
        text = ctl(
            "enqueue", "g", "1", "--json", "--rate", "emails/a/b=100/1m,day/x=5/day", "--limit", "db=10,k=v=2",
            "--floating", "api=5/60s",
        )
        db, other, api, emails, day = client.job(as_json(text)["id"]).limits
        assert (db, other) == (slot("db", 10), slot("k=v", 2))
        assert api.floating_concurrency == pb.FloatingConcurrencyLimit(
            key="api", default_max_concurrency=5, refresh_interval_ms=60_000
        )
        emails, day = emails.rate_limit, day.rate_limit
        assert (emails.name, emails.unique_key, emails.limit, emails.duration_ms) == ("emails", "a/b", 100, 60_000)
        assert (emails.hits, emails.algorithm, emails.behavior) == (1, 0, 0)
        assert emails.retry_policy == pb.RateLimitRetryPolicy(
            initial_backoff_ms=100, max_backoff_ms=30_000, backoff_multiplier=2.0
        )
        assert (day.unique_key, day.limit, day.duration_ms, day.behavior) == ("x", 5, 2, pb.GUBERNATOR_BEHAVIOR_DURATION_IS_GREGORIAN)

    def test_lists_may_be_given_in_parts_and_other_options_once(self, ctl, client):
        text = ctl(
            "enqueue", "g", "1", "--json", "--limit", "a=1", "--label", "x=1", "--limit", "b=2,c=3", "--label", "y=2",
            "--rate", "n/k=1/1s", "--rate", "n/l=1/1s",
        )
        job = client.job(as_json(text)["id"])
        assert list(job.limits[:3]) == [slot("a", 1), slot("b", 2), slot("c", 3)]
        assert [limit.rate_limit.unique_key for limit in job.limits[3:]] == ["k", "l"] and job.metadata == {"x": "1", "y": "2"}
        assert "--id is given twice" in ctl("enqueue", "g", "1", "--id", "a", "--id", "b", code=2)

    @pytest.mark.parametrize("text, length", [("500ms", 500), ("3s", 3000), ("2h", 7_200_000), ("1d", 86_400_000)])
    def test_periods(self, ctl, client, text, length):
        id = as_json(ctl("enqueue", "g", "1", "--json", "--rate", f"n/k=1/{text}"))["id"]
        assert client.job(id).limits[0].rate_limit.duration_ms == length

    @pytest.mark.parametrize("option, value", [
        ("limit", "db"), ("limit", "db=0"), ("limit", "=1"), ("limit", "db=x"), ("floating", "api=5"), ("floating", "api=5/60"),
        ("rate", "emails=1/s"), ("rate", "emails/acme=1"), ("rate", "emails/acme=1/decade"), ("rate", "emails/=1/1s"),
        ("rate", "emails/acme=1/0s"), ("rate", "emails/acme=1/99999999d"),
    ])
    def test_mistakes_show_the_form(self, ctl, option, value):
        error = ctl("enqueue", "g", "1", f"--{option}", value, code=2)
        assert f"--{option} wants " in error and "such as" in error and value in error

    def test_the_same_limit_twice_is_the_servers_to_refuse(self, ctl):
        assert "names the same limit" in ctl("enqueue", "g", "1", "--limit", "a=1,a=2", code=1)


class TestExplain:
    def held(self, client, group, key):
        """Two jobs that need the only slot of a key: a running one and one that waits."""
        first = client.enqueue(group, limits=[slot(key, 1)])
        assert client.take(group, worker="worker-7").job_id == first
        return first, client.enqueue(group, limits=[slot(key, 1)])

    def test_for_people(self, ctl, client, group):
        first, second = self.held(client, group, "people")
        lines = ctl("job", "explain", client.shard, second).splitlines()
        assert lines[0].startswith("It waits: limit people has no free slot: 1 of 1 slots held (1 running)")
        assert sum("limit people has no free slot" in line for line in lines) == 1, "what is in its way is said once"
        at = lines.index("    held by")
        assert lines[at + 1].split() == ["Job", "Task", "Group", "State", "Worker"]
        assert re.fullmatch(rf"      {first}  {re.escape(group)}  runs for [\d.]+ m?s  worker-7", lines[at + 2])
        assert f"Job:       {second}" in lines
        assert f"Status:    scheduled, attempt 1, task group {group}" in lines
        assert re.fullmatch(r"Workers:   none waits for work of its group; one last asked (.* ago|just now)", lines[-1])
        lonely = ctl("job", "explain", client.shard, client.enqueue(f"{group}-lonely")).splitlines()
        assert sum("asks for" in line or "asked" in line or "Workers" in line for line in lonely) == 1, lonely
        running = ctl("job", "explain", client.shard, first).splitlines()
        assert running[0].startswith("It is running: attempt 1, worker worker-7") and "It waits for:" not in running

    def test_for_programs(self, ctl, client, group):
        before = milliseconds()
        first, second = self.held(client, group, "programs")
        document = pretty(ctl("job", "explain", client.shard, second, "--json"))
        obstacle = document.pop("obstacles")[0]
        last_poll = document.pop("last_poll_at_ms")
        assert before - 1000 <= last_poll <= milliseconds() + 1000
        assert document.pop("summary").startswith("It waits: limit programs")
        document.pop("estimated_start_at_ms", None)
        assert document == {"id": second, "status": "scheduled", "task_group": group, "attempt": 1, "workers_waiting": 0}
        holder = obstacle.pop("holders")[0]
        assert obstacle.pop("text") and (holder.pop("since_ms"), len(holder.pop("task_id"))) > (0, 36 - 1)
        assert holder == {"job_id": first, "worker_id": "worker-7", "task_group": group}
        obstacle.pop("estimate_ms", None)
        assert obstacle == {
            "kind": "concurrency", "key": "programs", "max": 1, "in_use": 1, "ahead": 0, "ahead_is_least": False, "blocks_now": True,
        }

    def test_times_are_in_words(self, ctl, client):
        id = client.enqueue("g", start_at_ms=milliseconds() + 3 * 3_600_000 + 60_000)
        text = ctl("job", "explain", client.shard, id)
        assert re.search(r"^    until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, in 3 h$", text, re.MULTILINE)
        assert re.search(r"^Earliest:  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, in 3 h$", text, re.MULTILINE)

    def test_a_rate_limit(self, ctl, client, group):
        rate = pb.Limit(rate_limit=pb.GubernatorRateLimit(name="emails", unique_key=group, limit=1, duration_ms=7_200_000, hits=1))
        client.enqueue(group, limits=[rate])
        client.take(group)
        id = client.enqueue(group, limits=[rate])
        document = pretty(ctl("job", "explain", client.shard, id, "--json"))
        obstacle = document["obstacles"][0]
        assert (obstacle["kind"], obstacle["key"], obstacle["max"], obstacle["in_use"]) == ("rate", f"emails/{group}", 1, 1)
        assert obstacle["until_ms"] == document["earliest_start_at_ms"] > milliseconds()

    def test_an_ended_job_and_none(self, ctl, client):
        id = client.succeeded()
        assert ctl("job", "explain", client.shard, id).startswith("It has ended: Succeeded")
        assert "job not found" in ctl("job", "explain", client.shard, new_id(), code=1)


class TestPauses:
    def test_a_tenant_a_group_and_a_limit(self, tenants):
        ctl = runner(tenants.address)
        with Client(tenants.address, tenant="acme") as client:
            assert ctl("pause", "tenant", "-t", "acme", "--reason", "deploy") == "Tenant acme is paused; what runs goes on\n"
            assert "was paused already" in ctl("pause", "tenant", "-t", "acme", "--reason", "long deploy")
            assert "Task group g of tenant acme is paused" in ctl("pause", "group", "g", "-t", "acme")
            assert "Limit db of tenant acme is paused" in ctl("pause", "limit", "db", "--tenant", "acme")
            id = client.enqueue("g", limits=[slot("db", 1)])
            assert client.lease("g") == []
            assert "long deploy" in ctl("job", "explain", client.shard, id, "-t", "acme")

            document = pretty(ctl("pauses", "--json", "-t", "acme"))
            since = [pause.pop("since_ms") for pause in document["pauses"]]
            assert since == sorted(since) and abs(since[0] - milliseconds()) < 60_000
            assert document["pauses"] == [
                {"target": "tenant", "tenant": "acme", "reason": "long deploy", "shards": 1},
                {"target": "group", "group": "g", "tenant": "acme", "reason": "", "shards": 1},
                {"target": "limit", "limit": "db", "tenant": "acme", "reason": "", "shards": 1},
            ]
            table = ctl("pauses").splitlines()
            assert table[0].split() == ["Paused", "Since", "Reason"]
            assert re.fullmatch(r"Tenant acme +(just now|.* ago) +long deploy", table[1])

            for target in (["tenant"], ["group", "g"], ["limit", "db"]):
                assert "goes on" in ctl("resume", *target, "-t", "acme")
                assert "was not paused" in ctl("resume", *target, "-t", "acme")
            assert client.take("g").job_id == id
            assert ctl("pauses", "-t", "acme") == "Nothing is paused\n"

    def test_a_group_without_a_tenant_is_paused_everywhere(self, tenants):
        ctl = runner(tenants.address)
        assert pretty(ctl("pause", "group", "everywhere", "--reason", "why", "--json")) == {
            "status": "paused", "target": "group", "group": "everywhere", "was_paused": False, "shards": 4,
        }
        with Client(tenants.address) as client:
            ids = {client.enqueue("everywhere", tenant=f"t{index}") for index in range(12)}
            assert client.lease("everywhere", 100) == []
            assert ctl("pauses").count("everywhere") == 1
            # On some shards only: it is shown, and how to mend it.
            client.call("Resume", shard=client.shards()[0].shard_id, target=pb.PauseTarget(task_group="everywhere"))
            text = ctl("pauses")
            assert "(only 3 of 4 shards) why" in text and "pause it again, or resume it" in text
            assert "goes on" in ctl("resume", "group", "everywhere")
            found = set()
            until(lambda: found.update(task.job_id for task in client.lease("everywhere", 100)) or found == ids)
        assert ctl("pauses") == "Nothing is paused\n"

    def test_names_that_look_alike_are_paused_one_by_one(self, tenants):
        ctl = runner(tenants.address)
        composed, decomposed = "\u00e9", "e\u0301"
        for name in (composed, decomposed):
            ctl("pause", "group", name, "-t", "acme")
            ctl("pause", "group", "alike", "-t", name)
        found = [(pause["tenant"], pause["group"], pause["shards"]) for pause in pretty(ctl("pauses", "--json"))["pauses"]]
        assert sorted(found) == sorted([
            ("acme", composed, 1), ("acme", decomposed, 1), (composed, "alike", 1), (decomposed, "alike", 1),
        ])
        for name in (composed, decomposed):
            ctl("resume", "group", name, "-t", "acme")
            ctl("resume", "group", "alike", "-t", name)
        assert ctl("pauses") == "Nothing is paused\n"

    def test_what_holds_a_tenant_is_shown_with_it(self, tenants):
        ctl = runner(tenants.address)
        with Client(tenants.address, tenant="held") as client:
            ctl("pause", "group", "of-all", "--reason", "deploy")
            ctl("pause", "group", "of-other", "-t", "other")
            lines = ctl("pauses", "-t", "held").splitlines()
            assert len(lines) == 2 and lines[1].startswith("Task group of-all of all tenants") and lines[1].endswith("  deploy")
            [pause] = pretty(ctl("pauses", "-t", "held", "--json"))["pauses"]
            assert "tenant" not in pause and (pause["group"], pause["reason"]) == ("of-all", "deploy")
            # Its own shard alone counts: there the tenant is held, or is not.
            client.call("Resume", shard=client.shard, target=pb.PauseTarget(task_group="of-all"))
            assert ctl("pauses", "-t", "held") == "Nothing is paused\n"
            ctl("resume", "group", "of-all")
            ctl("resume", "group", "of-other", "-t", "other")

    def test_without_tenancy(self, ctl):
        assert ctl("pause", "tenant") == "Everything is paused; what runs goes on\n"
        assert "Everything" in ctl("pauses")
        assert ctl("resume", "tenant") == "Everything goes on\n"

    def test_errors_say_what_to_do(self, ctl, tenants):
        assert "name the tenant with --tenant" in runner(tenants.address)("pause", "tenant", code=1)
        assert "name the tenant with --tenant" in runner(tenants.address)("resume", "limit", "db", code=1)
        assert "leave --tenant out" in ctl("pause", "tenant", "-t", "acme", code=1)
        assert "reason too long" in ctl("pause", "group", "g", "--reason", "x" * 1025, code=1)
        for arguments in [["pause"], ["pause", "group"], ["pause", "limit"], ["pause", "tenant", "acme"], ["resume", "nothing"]]:
            assert ctl(*arguments, code=2).startswith("siloctl: ")


class TestDropHolders:
    def test_slots_come_free(self, tenants):
        ctl = runner(tenants.address)
        with Client(tenants.address, tenant="dropped") as client:
            client.enqueue("drop", limits=[slot("a", 1), slot("b", 1)])
            client.take("drop")
            second = client.enqueue("drop", limits=[slot("a", 1)])
            assert client.lease("drop") == []
            assert "say so with --yes" in ctl("tenant", "drop-holders", "-t", "dropped", code=2)
            assert ctl("tenant", "drop-holders", "-t", "dropped", "--yes") == "Freed 2 slots of tenant dropped; attempts that run go on\n"
            assert client.take("drop").job_id == second
            assert pretty(ctl("tenant", "drop-holders", "-t", "dropped", "--json", "-y")) == {
                "tenant": "dropped", "shard": client.shard, "holders_dropped": 1,
            }
        assert "name the tenant with --tenant" in ctl("tenant", "drop-holders", "--yes", code=1)

    def test_slots_of_one_key_come_free(self, tenants):
        ctl = runner(tenants.address)
        with Client(tenants.address, tenant="dropped-key") as client:
            for _ in range(2):
                client.enqueue("drop-key", limits=[slot("a", 1), slot("b", 1)])
            client.take("drop-key")
            drop = ["tenant", "drop-holders", "-t", "dropped-key", "--key"]
            assert "every slot of limit a that tenant dropped-key holds" in ctl(*drop, "a", code=2)
            assert ctl(*drop, "A", "-y") == "Freed 0 slots of limit A of tenant dropped-key; attempts that run go on\n"
            assert ctl(*drop, "a", "-y") == "Freed 1 slot of limit a of tenant dropped-key; attempts that run go on\n"
            assert client.lease("drop-key") == [], "it waits for b now"
            assert pretty(ctl(*drop, "b", "--json", "-y")) == {
                "tenant": "dropped-key", "limit_key": "b", "shard": client.shard, "holders_dropped": 1,
            }
            client.take("drop-key")
            assert "--key is empty: it names a limit" in ctl(*drop, "", "-y", code=2)
            assert "limit_key too long (must be <= 1024 bytes)" in ctl(*drop, "k" * 1025, "-y", code=1)

    def test_without_tenancy_it_says_that_all_are_meant(self, server, client):
        client.enqueue("drop-all", limits=[slot("drop-all", 1)])
        client.take("drop-all")
        asked = run("siloctl", "-a", server.address, "tenant", "drop-holders")
        assert (asked.returncode, asked.stdout) == (2, "") and "every slot of every job" in asked.stderr
        ended = run("siloctl", "-a", server.address, "tenant", "drop-holders", "--yes")
        assert ended.stderr == "No tenant is named: this frees every slot of every limit, whoever holds it\n"
        assert re.fullmatch(r"Freed \d+ slots?, those of all jobs; attempts that run go on\n", ended.stdout)
        terminal = Terminal("siloctl", "-a", server.address, "tenant", "drop-holders", "--key", "k", columns=200)
        asked = terminal.read(r"\[y/N\]").strip()
        assert asked == (
            "No tenant is named: this frees every slot of limit k, whoever holds it, while attempts that run go on. Go on? [y/N]")
        terminal.write("n\n")
        assert "nothing was done" in terminal.read() and terminal.end() == 1
        assert "every slot of every job" in run("siloctl", "tenant", "drop-holders", "--help").stdout


class TestImport:
    def test_everything_a_job_can_have(self, ctl, client, tmp_path):
        id, start = new_id(), milliseconds() + 10**9
        job = {
            "id": id, "task_group": "g", "payload": {"a": [1, 2.5, None, True, "ü", 2**64 - 1]}, "priority": 7,
            "enqueue_time_ms": 1_700_000_000_000, "start_at_ms": start, "metadata": {"k": "v"},
            "retry_policy": {"retry_count": 3, "initial_interval_ms": 5, "max_interval_ms": 50, "backoff_factor": 1.5,
                             "randomize_interval": False},
            "limits": [
                {"concurrency": {"key": "db", "max_concurrency": 2}},
                {"floating_concurrency": {"key": "api", "default_max_concurrency": 5, "refresh_interval_ms": 60_000,
                                          "metadata": {"m": "n"}}},
                {"rate_limit": {"name": "n", "unique_key": "k", "limit": 9, "duration_ms": 1000, "hits": 2,
                                "algorithm": "leaky_bucket", "behavior": 16, "burst": 4,
                                "retry_policy": {"initial_backoff_ms": 1, "max_backoff_ms": 2, "backoff_multiplier": 1, "max_retries": 3}}},
            ],
            "attempts": [{"status": "failed", "started_at_ms": 5, "finished_at_ms": 6, "error_code": "E", "error_data": ["why"]}],
        }
        file = tmp_path / "jobs.json"
        file.write_text(json.dumps([job]))
        assert ctl("job", "import", file) == "Imported 1 of 1 job\n"
        stored = client.job(id, attempts=True)
        assert msgpack.unpackb(stored.payload.msgpack) == job["payload"]
        assert (stored.priority, stored.status, dict(stored.metadata)) == (7, SCHEDULED, {"k": "v"})
        assert stored.retry_policy == pb.RetryPolicy(**job["retry_policy"])
        assert stored.next_attempt_starts_after_ms == start
        assert stored.limits[0] == slot("db", 2)
        assert stored.limits[1].floating_concurrency == pb.FloatingConcurrencyLimit(**job["limits"][1]["floating_concurrency"])
        rate = dict(job["limits"][2]["rate_limit"])
        rate["algorithm"] = pb.GUBERNATOR_ALGORITHM_LEAKY_BUCKET
        rate["retry_policy"] = pb.RateLimitRetryPolicy(**rate["retry_policy"])
        assert stored.limits[2].rate_limit == pb.GubernatorRateLimit(**rate)
        (attempt,) = stored.attempts
        assert (attempt.started_at_ms, attempt.finished_at_ms, attempt.error_code) == (5, 6, "E")
        assert msgpack.unpackb(attempt.error_data.msgpack) == ["why"]

    def test_ends_and_standard_input(self, ctl, client):
        ids = [new_id() for _ in range(3)]
        jobs = [
            {"id": id, "task_group": "g", "attempts": [{"status": status, "finished_at_ms": 6, **more}]}
            for id, (status, more) in zip(ids, [("succeeded", {"result": {"x": 1}}), ("failed", {"error_code": "E"}), ("cancelled", {})])
        ]
        document = pretty(ctl("job", "import", "-", "--json", stdin=json.dumps(jobs)))
        assert document == {"imported": 3, "refused": 0, "jobs": [
            {"id": id, "success": True, "status": word} for id, word in zip(ids, ["succeeded", "failed", "cancelled"])
        ]}
        assert [client.status(id) for id in ids] == [SUCCEEDED, FAILED, CANCELLED]
        assert msgpack.unpackb(client.result(ids[0]).success_data.msgpack) == {"x": 1}

    def test_refusals_leave_the_others(self, server, client, tmp_path):
        good, bad = new_id(), new_id()
        file = tmp_path / "jobs.json"
        much = {str(number): "" for number in range(17)}
        file.write_text(json.dumps([{"id": good, "task_group": "g"}, {"id": bad, "task_group": "g", "metadata": much}]))
        ended = run("siloctl", "-a", server.address, "job", "import", file)
        assert ended.returncode == 1 and ended.stderr == "Error: 1 of 2 jobs refused; the others are stored\n"
        assert ended.stdout.startswith("Imported 1 of 2 jobs\nRefused:\n")
        assert bad in ended.stdout and "metadata" in ended.stdout
        assert client.status(good) == SCHEDULED
        ended = run("siloctl", "-a", server.address, "job", "import", file, "--json")
        document = pretty(ended.stdout)
        assert ended.returncode == 1 and (document["imported"], document["refused"]) == (0, 2)
        assert "at least one new attempt" in document["jobs"][0]["error"]

    def test_many_jobs_of_many_tenants(self, tenants):
        ctl = runner(tenants.address)
        jobs = [{"id": f"import-{index}", "task_group": "many", "tenant": f"t{index % 9}", "payload": index} for index in range(2500)]
        jobs[5].pop("tenant")
        assert ctl("job", "import", "-", "-t", "standard", stdin=json.dumps(jobs)) == "Imported 2,500 of 2,500 jobs\n"
        with Client(tenants.address) as client:
            assert client.status("import-5", tenant="standard") == SCHEDULED
            assert msgpack.unpackb(client.job("import-2499", tenant=f"t{2499 % 9}").payload.msgpack) == 2499

    @pytest.mark.parametrize("text, message", [
        ("no json", "standard input: not a JSON document that can be stored: o is not expected, at byte 2"),
        ("3", "standard input is no JSON array of jobs; siloctl job import --help"),
        ('{"id": "a"}', "no JSON array of jobs"),
        ("[1]", "job 1 must be an object"),
        ('[{"id": "a", "task_group": "g"}, {"task_group": "g"}]', "job 2 needs id"),
        ('[{"id": "a"}]', "job 1 needs task_group"),
        ('[{"id": "a", "task_group": "g", "grp": 1}]', "job 1 has an unknown field grp; it may have id, task_group"),
        ('[{"id": "a", "task_group": "g", "priority": -1}]', "job 1, priority must be a whole number from 0 to 99"),
        ('[{"id": "a", "task_group": "g", "priority": 100}]', "standard input:1: job 1, priority must be a whole number from 0 to 99"),
        ('[{"id": "a", "task_group": "g", "priority": true}]', "job 1, priority must be a whole number"),
        ('[{"id": "a", "task_group": "g", "priority": 1.5}]', "job 1, priority must be a whole number"),
        ('[{"id": "a", "task_group": "g", "metadata": {"a": 1}}]', "job 1, metadata must be an object of texts"),
        ('[{"id": "a", "task_group": "g", "attempts": {}}]', "job 1, attempts must be an array"),
        ('[{"id": "a", "task_group": "g", "attempts": [{"status": "running"}]}]', "attempt 1, status must be succeeded, failed or"),
        ('[{"id": "a", "task_group": "g", "limits": [{}]}]', "job 1, limit 1 must have concurrency, floating_concurrency or rate_limit"),
        ('[{"id": "a", "task_group": "g", "limits": [{"concurrency": {"max": 1}}]}]', "job 1, limit 1, concurrency needs key"),
        ('[{"id": "a", "task_group": "g", "retry_policy": {"randomize_interval": 1}}]', "randomize_interval must be true or false"),
    ])
    def test_mistakes_in_the_file_are_named_and_nothing_is_sent(self, ctl, client, text, message):
        before = client.counts()
        error = ctl("job", "import", "-", code=1, stdin=text)
        assert error.startswith("Error: ") and message in error
        assert client.counts() == before

    def test_a_file_that_is_not_there(self, ctl, tmp_path):
        path = tmp_path / "none.json"
        assert ctl("job", "import", path, code=1) == f"Error: cannot read {path}: No such file or directory\n"

    def test_of_ten_jobs_it_is_told_what_is_wrong_with_their_lines(self, ctl, tmp_path):
        path = tmp_path / "jobs.json"
        texts = ["{\n \"id\": \"[,\\\"{\",\n \"task_group\": \"g\"}"] + [f'{{"id": "j{n}"}}' for n in range(12)]
        path.write_text("[\n" + ",\n".join(texts) + "\n]\n")
        error = ctl("job", "import", path, code=1)
        assert error.splitlines() == [
            f"{'Error: ' if n == 0 else ''}{path}:{n + 5}: job {n + 2} needs task_group" for n in range(10)
        ] + ["2 more jobs have mistakes"]


class TestHelp:
    def test_every_command_is_listed_and_explained(self):
        text = run("siloctl", "--help").stdout
        for command in [
            "job explain [shard] <id>", "job import <file>", "pause tenant", "pause group <group>", "pause limit <key>",
            "resume tenant", "resume group <group>", "resume limit <key>", "pauses", "tenant drop-holders",
        ]:
            assert f"  {command} " in text
        text = run("siloctl", "job", "import", "--help").stdout
        for field in ["task_group", "enqueue_time_ms", "floating_concurrency", "rate_limit", "error_data"]:
            assert field in text
        text = run("siloctl", "enqueue", "--help").stdout
        assert "--limit <key=max>" in text and "--rate <name/key=hits/period>" in text and "--floating <key=initial/refresh>" in text
        assert "--reason <text>" in run("siloctl", "pause", "limit", "--help").stdout


class TestExample:
    def test_the_example_runs(self, server):
        ended = run("limits", "--address", server.address)
        assert (ended.returncode, ended.stderr) == (0, "")
        lines = ended.stdout.splitlines()
        assert "has no free slot: 2 of 2 slots held" in lines[0]
        assert lines[1:] == ["2 at once were allowed; from now on it is 4", "12 jobs done"]
