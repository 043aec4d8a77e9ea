"""Tokens that are bound to tenants ask in SQL and see their own rows alone, whatever the statement says.

Two tenants' data is full of words that are nowhere else. No answer and no error to one's token may hold a word of the other; and
whatever the other does next, one's answers stay the same to the byte, so that no count, order or plan tells of it either.
"""

import os
import random

import grpc
import pytest

from support.client import PERMISSION_DENIED, Client, concurrency, floating, policy, rate, refused
from support.statements import REPRESENTATIVE, TABLES, Grammar
from test_access import Tokens
from test_query import ask, text, values

GENERATED = int(os.environ.get("SILO_STATEMENTS", "60"))
LATER = 4_000_000_000_000
OWN, OTHER, THIRD = "amber", "zinc", "cedar"


def word(tenant, what):
    """A text that only this tenant has, and that holds a canary of it."""
    return f"{what}-{canary(tenant)}"


def canary(tenant):
    return f"canary_{tenant[::-1]}"


def fill(client, tenant, round=0):
    """Jobs in every state, limits of every kind, leases, attempts and lines, with the tenant's words everywhere."""
    def name(what):
        return word(tenant, f"{what}{round}")

    def enqueue(id, group="group", **fields):
        metadata = {"env": name("env"), name("key"): "x", "team": name("team")}
        return client.enqueue(
            name(group), {"k": name("payload")}, tenant=tenant, id=name(id), metadata=metadata, **fields)

    slots = concurrency(name("gate"), 1)
    for n in range(3):
        enqueue(f"held{n}", limits=[slots], priority=10 + n)
    for n in range(2):
        enqueue(f"floats{n}", limits=[floating(name("float"), 1)])
        enqueue(f"rated{n}", limits=[rate(name("rate"), 1, 3_600_000, key=name("all"))])
    for n in range(3 + round):
        enqueue(f"wait{n}", priority=n)
        enqueue(f"later{n}", start_at_ms=LATER + n)
    for n, end in enumerate(["succeed", "fail", "give_up"]):
        task = client.lease_one(enqueue(f"done{n}", f"own{n}"), worker=name("worker"), tenant=tenant)
        if end == "succeed":
            client.succeed(task, name("result"))
        elif end == "fail":
            client.fail(task, name("CODE"), name("data"))
        else:
            client.call("CancelJob", id=name(f"done{n}"), tenant=tenant, shard=client.shard_of(tenant))
            client.give_up(task)
    enqueue("runs", "runs")
    again = enqueue("again", "again", retry_policy=policy(3, initial=86_400_000, most=86_400_000))
    client.fail(client.lease_one(again, worker=name("worker"), tenant=tenant), name("AGAIN"))
    client.pause("no reason", tenant=tenant, limit_key=name("gate"))


@pytest.fixture(scope="module", params=[1, 4], ids=["one shard", "four shards"])
def place(request, start_server, tmp_path_factory):
    """A server with the data of two tenants, and the tokens."""
    tokens = Tokens(tmp_path_factory.mktemp("tokens"))
    made = {name: tokens.add(name, *flags) for name, flags in {
        "admin": ["--role", "admin"], OWN: ["--role", "read", "--tenant", OWN], OTHER: ["--role", "read", "--tenant", OTHER],
        "both": ["--role", "read", "--tenant", OWN, "--tenant", OTHER], "grouped": ["--role", "read", "--group", "g"],
        "enqueuer": ["--role", "enqueue", "--tenant", OWN],
    }.items()}
    # What takes long is not compared: it may take longer the next time.
    settings = tmp_path_factory.mktemp("settings") / "silo.toml"
    settings.write_text("[server]\nstatement_timeout_ms = 250\n")
    server = start_server("--config", settings, "--shards", request.param, "--tenancy", "--tokens-file", tokens.path)
    clients = {name: Client(server.address, token=token) for name, token in made.items()}
    for tenant in (OWN, OTHER, THIRD):
        fill(clients["admin"], tenant)
    yield clients
    for client in clients.values():
        client.close()


def answer(client, sql, *parameters, shard=""):
    """All that comes back, as bytes; nil: it took too long."""
    try:
        answer = client.call("Query", shard=shard, sql=sql, parameters=list(parameters), timeout=60)
        return answer.SerializeToString(deterministic=True) + b"\n".join(row.msgpack for row in answer.rows)
    except grpc.RpcError as error:
        assert error.code() not in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED), error.details()
        return None if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED else f"{error.code()} {error.details()}".encode()


def statements(seed):
    """The representative ones, also as if for the other tenant, every table, and generated ones that name the other's words."""
    words = [OTHER, OWN, "%", *[word(OTHER, f"{what}0") for what in ("held0", "gate", "group", "env", "payload", "worker")]]
    grammar = Grammar(random.Random(seed), words)
    own = [sql.replace("tenant='-'", f"tenant='{tenant}'") for sql in REPRESENTATIVE for tenant in (OWN, OTHER)]
    generated = [grammar.any() for _ in range(GENERATED)]
    # The moment is another each time.
    return [sql for sql in [*REPRESENTATIVE, *own, *generated] if "now_ms" not in sql]


class TestBoundTokens:
    def test_nothing_of_others_comes_back_whatever_they_do(self, place, seed):
        parameters = [text(OTHER), text(word(OTHER, "held0"))]
        asked = statements(seed)
        shards = ["", place["admin"].shard_of(OTHER)]
        foreign = [canary(OTHER).encode(), OTHER.encode() + b" cannot"]
        before = {}
        for shard in shards:
            for sql in asked:
                got = answer(place[OWN], sql, *parameters, shard=shard)
                before[shard, sql] = got
                # What the statement says itself may come back.
                if got and canary(OTHER) not in sql and "$" not in sql:
                    assert not any(word in got for word in foreign), (shard, sql, got[:2000])
        assert sum(canary(OWN).encode() in got for got in before.values() if got) > 20, "it sees what is its own"
        fill(place["admin"], OTHER, round=1 + int(place["admin"].counts()[0]))
        for (shard, sql), old in before.items():
            new = answer(place[OWN], sql, *parameters, shard=shard)
            assert old is None or new is None or new == old, (shard, sql, old[:2000], new[:2000])

    @pytest.mark.parametrize("table", list(TABLES))
    def test_every_table_has_its_rows_alone(self, place, table):
        if table == "leases":
            for tenant in (OWN, OTHER, THIRD):
                place["admin"].lease_one(word(tenant, "runs0"), tenant=tenant)
        own, everything = (ask(place[name], f"SELECT * FROM {table}", shard="")[1] for name in (OWN, "admin"))
        if table == "shards":
            assert len(own) == 1 and own[0]["tenants"] == 1 and own[0]["jobs"] == 18
            assert sum(row["tenants"] for row in everything) == 3
            return
        assert own and {row["tenant"] for row in own} == {OWN}
        assert sorted(map(repr, own)) == sorted(repr(row) for row in everything if row["tenant"] == OWN)
        assert {row["tenant"] for row in everything} == {OWN, OTHER, THIRD}

    def test_several_tenants_are_seen_together(self, place):
        assert values(place["both"], "SELECT DISTINCT tenant FROM jobs ORDER BY 1", shard="") == [OWN, OTHER]
        assert values(place["both"], f"SELECT COUNT(*) FROM jobs WHERE tenant='{THIRD}'", shard="") == [0]
        assert values(place["both"], "SELECT DISTINCT tenant FROM attempts", shard="", tenant=OWN) == [OWN]

    def test_a_request_names_a_tenant_of_its_own(self, place):
        assert values(place[OWN], "SELECT DISTINCT tenant FROM jobs", shard="", tenant=OWN) == [OWN]
        with refused(PERMISSION_DENIED, f"token '{OWN}' may not touch tenant '{OTHER}'"):
            ask(place[OWN], "SELECT 1", shard="", tenant=OTHER)

    def test_tokens_that_may_not_ask_are_told_why(self, place):
        with refused(PERMISSION_DENIED, "token 'grouped' may not do this: it is bound to some task groups"):
            ask(place["grouped"], "SELECT 1", shard="")
        with refused(PERMISSION_DENIED, "token 'enqueuer' may not do this: it needs the role read"):
            ask(place["enqueuer"], "SELECT 1", shard="")

    def test_a_plan_names_nobody_else_and_reads_nothing(self, place):
        for sql in ["SELECT * FROM jobs", "SELECT COUNT(*) FROM jobs", "SELECT * FROM limits WHERE tenant <> 'x'"]:
            _, rows = ask(place[OWN], f"EXPLAIN {sql}", shard="")
            assert f'tenant=Some("{OWN}")' in rows[1]["plan"] and OTHER not in str(rows)
