"""Generated statements over Silo, and over the same rows in plain tables of SQLite and of DuckDB: all three must agree.

What is allowed to differ, and is therefore written differently for one of them or not generated:
- SQLite's LIKE takes case for nothing unless it is told (a PRAGMA here), its NULLs sort first (an explicit NULLS clause here), and it
  has no truth values (compared as 0 and 1).
- DuckDB divides integers into fractions by `/`: it is given `//`.
- DuckDB rounds where it casts a fraction to an integer: not generated.
- SQLite takes what a document holds for a number where it is none, and DuckDB has it as text: both are given what is NULL then.
- Which rows `UNION ALL … LIMIT` has is not said: they are counted.

Silo alone is given some constants as parameters, and statuses in other words.
"""

import math
import os
import random
import re
import sqlite3

import pytest

from support.client import Client, policy
from support.generated import pb
from test_query import ask, text

duckdb = pytest.importorskip("duckdb")

STATEMENTS = int(os.environ.get("SILO_STATEMENTS", "2000"))
HOUR = 3_600_000
COLUMNS = {
    "tenant": "TEXT", "id": "TEXT", "priority": "BIGINT", "enqueue_time_ms": "BIGINT", "status_kind": "TEXT",
    "status_changed_at_ms": "BIGINT", "task_group": "TEXT", "current_attempt": "BIGINT", "next_attempt_starts_after_ms": "BIGINT",
    "payload": "TEXT",
}
COUNTS = {"tenant": "TEXT", "status_kind": "TEXT", "cnt": "BIGINT"}
ATTEMPTS = {"tenant": "TEXT", "job_id": "TEXT", "attempt": "BIGINT", "outcome": "TEXT", "error_code": "TEXT", "error_data": "TEXT"}
TASKS = {"tenant": "TEXT", "task_group": "TEXT", "job_id": "TEXT", "start_time_ms": "BIGINT", "priority": "BIGINT", "attempt": "BIGINT", "variant_type": "TEXT"}
#: Patterns of numbers.
DIGITS = ["%1", "%00", "4%", "%5%", "_", "%"]
TENANTS = ["acme", "beta", "Gamma"]


@pytest.fixture(scope="module", params=[1, 3], ids=["one shard", "three shards"])
def server(start_server, request):
    return start_server("--shards", request.param, "--tenancy")


@pytest.fixture(scope="module")
def engines(server):
    """Jobs of every kind, standing still, and the same rows in two other databases."""
    with Client(server.address) as client:
        fill(client)
        assert len(client.shards()) == 1 or len({client.shard_of(tenant) for tenant in TENANTS}) > 1
        lite = sqlite3.connect(":memory:")
        lite.execute("PRAGMA case_sensitive_like = ON")
        duck = duckdb.connect(":memory:")
        duck.execute("SET default_null_order = 'nulls_last_on_asc_first_on_desc'")
        for table, columns in [("jobs", COLUMNS), ("tenant_counts", COUNTS), ("attempts", ATTEMPTS), ("tasks", TASKS)]:
            names = ", ".join(columns)
            _, rows = ask(client, f"SELECT {names} FROM {table}", shard="")
            assert len(rows) > 5
            for base in (lite, duck):
                base.execute(f"CREATE TABLE {table} ({', '.join(f'{n} {t}' for n, t in columns.items())})")
                base.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", [list(r.values()) for r in rows])
        yield client, lite, duck


def fill(client):
    chance = random.Random(5)
    for tenant in TENANTS:
        for n in range(40):
            fields = {"tenant": tenant, "id": f"{chance.choice('abXY')}_{n}", "priority": chance.choice([0, 1, 5, 5, 50, 99])}
            payload = chance.choice([None, {"n": n}, {"n": n / 4}, {"n": "n/a"}, [1, "x"], "text", n])
            kind = chance.choice(["wait", "later", "done", "failed", "cancelled", "retry"])
            group = f"{kind[0]}{chance.randrange(3)}"
            if kind == "later":
                fields["start_at_ms"] = 4_000_000_000_000 + chance.randrange(5)
            if kind == "retry":
                fields["retry_policy"] = policy(3, initial=24 * HOUR, most=24 * HOUR)
            id = client.enqueue(group, payload, **fields)
            if kind == "cancelled":
                client.cancel(id, tenant=tenant)
            if kind in ("done", "failed", "retry"):
                task = client.lease_one(id, tenant=tenant)
                client.succeed(task) if kind == "done" else client.fail(task)


class Generator:
    """Statements of a grammar, in the text of each engine."""

    def __init__(self, chance):
        self.chance = chance
        self.alias = "j"

    def pick(self, *choices):
        return self.chance.choice(choices)

    def column(self, *names):
        return f"{self.alias}.{self.pick(*names)}"

    def number(self, depth=2):
        if depth == 0 or self.chance.random() < 0.4:
            return self.pick(
                self.column("priority", "current_attempt", "enqueue_time_ms"), str(self.chance.randrange(-3, 100)), "NULL"
                if self.chance.random() < 0.1 else self.column("priority"))
        a, b = self.number(depth - 1), self.number(depth - 1)
        return self.pick(
            f"({a} + {b})", f"({a} - {b})", f"({a} * 2)", f"({a} ⁄ 7)", f"({a} % 5)", f"COALESCE({a}, {b})", f"NULLIF({a}, {b})",
            f"CASE WHEN {self.truth(depth - 1)} THEN {a} ELSE {b} END", f"ABS({a})", f"LENGTH({self.text(depth - 1)})",
            f"CASE {self.column('priority')} WHEN 5 THEN {a} WHEN 50 THEN {b} END", f"(- {a})",
            f"CAST(CAST({a} AS TEXT) AS BIGINT)",
        )

    def text(self, depth=2):
        if depth == 0 or self.chance.random() < 0.5:
            return self.pick(self.column("id", "tenant", "status_kind", "task_group", "payload"), "'a_1'", "'Waiting'", "''")
        a = self.text(depth - 1)
        return self.pick(
            f"UPPER({a})", f"LOWER({a})", f"({a} || '-' || {self.text(depth - 1)})", f"SUBSTR({a}, 1, 3)", f"REPLACE({a}, 'a', 'zz')",
            f"COALESCE({a}, 'none')", f"CAST({self.number(depth - 1)} AS TEXT)", f"TRIM({a})",
            f"CASE WHEN {self.truth(depth - 1)} THEN {a} END",
        )

    def truth(self, depth=2):
        if depth == 0:
            return self.pick(
                f"{self.column('priority')} > {self.chance.randrange(60)}", f"{self.column('tenant')} = 'acme'",
                f"{self.column('status_kind')} = '{self.status()}'", f"{self.column('id')} LIKE '{self.pattern()}'",
                f"{self.column('current_attempt')} IS NULL")
        a, b = self.truth(depth - 1), self.truth(depth - 1)
        return self.pick(
            f"({a} AND {b})", f"({a} OR {b})", f"(NOT {a})", f"{self.number(1)} {self.pick('=', '<>', '<', '<=', '>', '>=')} {self.number(1)}",
            f"{self.text(1)} {self.pick('=', '<>', '<', '>')} {self.text(1)}", f"{self.number(1)} BETWEEN {self.number(0)} AND {self.number(0)}",
            f"{self.column('status_kind')} {self.pick('IN', 'NOT IN')} ('{self.status()}', '{self.status()}', 'Bogus')",
            f"{self.column('tenant')} IN ('acme', 'Gamma')", f"{self.text(1)} IS NOT NULL", f"{self.text(1)} LIKE '{self.pattern()}'",
            f"({self.column('status_kind')} = '{self.status()}' OR ({self.column('status_kind')} = '{self.status()}' AND {a}))",
            f"{self.column('id')} IN (SELECT x.id FROM jobs x WHERE x.priority < {self.chance.randrange(60)})",
            f"EXISTS (SELECT 1 FROM tenant_counts c WHERE c.tenant = {self.alias}.tenant AND c.cnt > {self.chance.randrange(12)})",
            f"({self.column('tenant')} = '{self.pick('acme', 'beta', 'Gamma', 'none')}' AND {a})",
            f"({self.column('tenant')} = 'acme' AND {self.column('id')} = '{self.pick('a', 'b', 'X', 'Y')}_{self.chance.randrange(40)}')",
            *(f"({self.column('tenant')} = '{self.pick('acme', 'beta')}' AND {self.indexed()})" for _ in range(3)),
            f"⟦{self.alias}⟧ {self.pick('=', '<>', '<', '<=', '>', '>=')} {self.number(1)}", f"⟦{self.alias}⟧ {self.pick('IN', 'NOT IN')} (1, 2, 3)",
        )

    def indexed(self):
        """What beside a tenant reaches a range of keys."""
        comparison = self.pick("=", "<", "<=", ">", ">=")
        id = f"{self.column('id')} {comparison} '{self.pick('a', 'b', 'X', 'Y')}_{self.chance.randrange(40)}'"
        status = f"{self.column('status_kind')} = '{self.status()}'"
        time = (f"{self.column('status_changed_at_ms')} {comparison} "
                f"(SELECT MIN(x.status_changed_at_ms) FROM jobs x) + {self.chance.randrange(500)}")
        return self.pick(
            self.like(self.column("status_changed_at_ms", "priority", "current_attempt")), f"{status} AND {self.like(self.column('status_changed_at_ms'))}",
            id, f"{id} AND {self.column('id')} LIKE '{self.pattern()}'", f"{status} AND {time}", f"{status} AND {id} AND {time}", time,
            f"{status} AND {self.column('task_group')} = '{self.pick('w', 'l', 'd', 'f', 'r')}{self.chance.randrange(3)}'",
            f"{self.column('status_kind')} IN ('{self.status()}', '{self.status()}') AND {self.column('task_group')} IN ('w1', 'f2', 'r0')",
        )

    def status(self):
        return self.pick("Waiting", "Scheduled", "Succeeded", "Failed", "Cancelled", "Running")

    def pattern(self):
        return self.pick("a%", "%_1%", "X_%", "%3", "A%", "%a%_%", "_______", "%")

    def like(self, number):
        """As text: DuckDB has no patterns of numbers."""
        return f"«{number}» LIKE '{self.pick(*DIGITS)}'"

    def aggregate(self):
        return self.pick(
            "COUNT(*)", f"COUNT({self.number(1)})", f"SUM({self.number(1)})", f"MIN({self.text(1)})", f"MAX({self.number(1)})",
            f"COUNT(DISTINCT {self.text(1)})", f"AVG({self.number(1)})", f"COUNT(*) FILTER (WHERE {self.truth(1)})",
            f"SUM(CASE WHEN {self.truth(1)} THEN 1 ELSE 0 END)", f"SUM(CASE WHEN ⟦{self.alias}⟧ >= 0 THEN ⟦{self.alias}⟧ * 2 END)",
        )

    def order(self, term):
        direction = self.pick("", " DESC")
        return f"{term}{direction}{' NULLS FIRST' if direction else ' NULLS LAST'}" if self.chance.random() < 0.5 else f"{term}{direction}‹{direction}›"

    def where(self):
        return f" WHERE {self.truth(self.chance.randrange(3))}" if self.chance.random() < 0.8 else ""

    def statement(self):
        self.alias = "j"
        return self.pick(self.rows, self.rows, self.groups, self.groups, self.having, self.rollup, self.join, self.windows, self.common,
                         self.union, self.pages, self.inner, self.attempts, self.tasks)()

    def rows(self):
        values = [self.pick(self.number, self.text, self.truth)() for _ in range(self.chance.randrange(1, 4))]
        columns = ", ".join(f"{v} AS c{n}" for n, v in enumerate(values))
        key = ", j.tenant, j.id"
        limit = f" LIMIT {self.chance.randrange(20)} OFFSET {self.chance.randrange(10)}" if self.chance.random() < 0.5 else ""
        distinct = self.chance.random() < 0.2
        if distinct:
            return f"SELECT DISTINCT {columns} FROM jobs j{self.where()}", False
        return f"SELECT {columns} FROM jobs j{self.where()} ORDER BY {self.order(self.number(1) + ' + 0')}{key}{limit}", True

    def pages(self):
        """In the order of an index, so that LIMIT and OFFSET are the scan's own."""
        condition = self.pick("", " AND j.id > 'X_2'", " AND j.id >= 'a' AND j.id < 'b_3'", " AND j.id LIKE 'b%'")
        return (f"SELECT j.id, j.status_kind FROM jobs j WHERE j.tenant = '{self.pick('acme', 'beta', 'Gamma')}'{condition} "
                f"ORDER BY j.id LIMIT {self.chance.randrange(20)} OFFSET {self.chance.randrange(30)}"), True

    def groups(self):
        keys = [self.pick(self.text, self.number)(1) for _ in range(self.chance.randrange(1, 3))]
        having = f" HAVING COUNT(*) > {self.chance.randrange(4)}" if self.chance.random() < 0.4 else ""
        columns = ", ".join(f"{k} AS k{n}" for n, k in enumerate(keys))
        ordinals = ", ".join(str(n + 1) for n in range(len(keys)))
        return f"SELECT {columns}, {self.aggregate()} AS a, {self.aggregate()} AS b FROM jobs j{self.where()} GROUP BY {ordinals}{having}", False

    def having(self):
        """Alternatives of groups, which SQLite looks at before it groups."""
        keys = self.chance.sample(["tenant", "task_group", "status_kind", "id", "priority"], self.chance.randrange(2, 4))
        arms = [self.among(key) for key in self.chance.sample(keys, 2)]
        if self.chance.random() < 0.3:
            arms.append(f"COUNT(*) > {self.chance.randrange(4)}")
        columns = ", ".join(f"j.{key}" for key in keys)
        counts = self.pick("", ", (SELECT SUM(c.cnt) FROM tenant_counts c WHERE c.tenant = j.tenant) AS c" if "tenant" in keys else "")
        return f"SELECT {columns}, {self.aggregate()} AS a{counts} FROM jobs j{self.where()} GROUP BY {columns} HAVING {' OR '.join(arms)}", False

    def inner(self):
        """A truth value of an inner select, which is a part of the condition of the outer one."""
        arms = f"{self.among('tenant')} OR {self.among(self.pick('task_group', 'status_kind', 'id'))}"
        return f"SELECT x.tenant, x.id FROM (SELECT j.tenant, j.id, ({arms}) AS f FROM jobs j{self.where()}) x WHERE x.f", False

    def among(self, name):
        value = {
            "tenant": "'acme'", "task_group": f"'{self.pick('w', 'l', 'd', 'f', 'r')}{self.chance.randrange(3)}'",
            "status_kind": f"'{self.status()}'", "id": f"'{self.pick('a', 'b', 'X', 'Y')}_{self.chance.randrange(40)}'",
            "priority": self.pick("0", "5", "99"),
        }[name]
        return f"{self.alias}.{name} = {value}"

    def rollup(self):
        """What the shard's own counts may answer."""
        keys = self.chance.sample(["tenant", "status_kind", "task_group"], self.chance.randrange(0, 4))
        where = self.pick("", " WHERE tenant = 'acme'", " WHERE status_kind = 'Waiting'", " WHERE task_group LIKE 'w%' OR tenant = 'beta'",
                          " WHERE tenant IN ('acme', 'Gamma') AND status_kind <> 'Failed'", " WHERE tenant = 'nobody'")
        columns = "".join(f"{k}, " for k in keys)
        group = f" GROUP BY {', '.join(keys)}" if keys else ""
        having = " HAVING COUNT(*) > 3" if keys and self.chance.random() < 0.4 else ""
        return f"SELECT {columns}COUNT(*) AS n, COUNT(DISTINCT tenant) AS t, MAX(status_kind) AS m FROM jobs{where}{group}{having}", False

    def join(self):
        kind = self.pick("JOIN", "LEFT JOIN")
        on = self.pick("a.tenant = b.tenant AND a.id = b.id", "a.tenant = b.tenant AND a.priority = b.priority AND a.id < b.id",
                       "a.tenant = b.tenant AND b.status_kind = 'Failed' AND a.task_group = b.task_group",
                       "a.tenant = b.tenant AND (a.id = b.id OR a.task_group = b.task_group)",
                       f"a.tenant = b.tenant AND a.id = b.id OR b.id = 'a_3' OR {self.either()}",
                       f"a.tenant = b.tenant AND a.priority = b.priority AND ({self.either()})")
        self.alias = "a"
        left = self.pick(self.truth(1), f"({self.either()}) AND {self.truth(1)}")
        self.alias = "b"
        right = self.text(1)
        return f"SELECT a.id AS i, {right} AS t, COUNT(*) AS n FROM jobs a {kind} jobs b ON {on} WHERE {left} GROUP BY 1, 2", False

    def either(self):
        """Alternatives of two tables."""
        return f"a.status_kind = '{self.status()}' OR b.status_kind = '{self.status()}'"

    def windows(self):
        function = self.pick("ROW_NUMBER()", "RANK()", "DENSE_RANK()", "SUM(j.priority)", "COUNT(*)", "LAG(j.priority)", "MAX(j.id)")
        return (f"SELECT j.tenant, j.id, {function} OVER (PARTITION BY j.{self.pick('tenant', 'status_kind')} "
                f"ORDER BY j.{self.pick('priority', 'task_group')}, j.tenant, j.id) AS w FROM jobs j{self.where()}"), False

    def common(self):
        inner = f"SELECT j.tenant AS t, j.priority AS p, j.status_kind AS s FROM jobs j{self.where()}"
        return (f"WITH x AS ({inner}) SELECT x.t, x.s, COUNT(*) AS n, SUM(c.cnt) AS m FROM x "
                f"LEFT JOIN tenant_counts c ON c.tenant = x.t AND c.status_kind = x.s GROUP BY x.t, x.s"), False

    def union(self):
        kind = self.pick("UNION", "UNION ALL", "EXCEPT", "INTERSECT")
        column = self.pick("tenant", "status_kind", "task_group")
        if kind == "UNION ALL":
            column = self.pick(column, "id")
        arms = f"SELECT j.{column} AS c FROM jobs j{self.where()} {kind} SELECT j.{column} FROM jobs j{self.where()}"
        if self.chance.random() < 0.5:
            return arms, False
        limit = f"LIMIT {self.chance.randrange(60)} OFFSET {self.chance.randrange(60)}"
        return self.pick(f"SELECT COUNT(*) AS n FROM ({arms} {limit}) x", f"SELECT COUNT(*) AS n FROM (SELECT x.c FROM ({arms}) x {limit}) y",
                         f"SELECT x.c FROM ({arms}) x ORDER BY 1 {limit}"), False

    def attempts(self):
        on = self.pick("a.tenant = j.tenant AND a.job_id = j.id", "a.job_id = j.id AND a.tenant = 'acme'", "a.job_id = j.id")
        outcome = self.pick("", f" AND a.outcome = '{self.pick('Succeeded', 'Failed', 'Cancelled')}'", " AND a.attempt = 1")
        outcome += self.pick("", f" AND {self.like('a.attempt')}")
        return self.pick(
            f"SELECT j.tenant, j.id, a.tenant AS t, a.attempt, a.outcome FROM jobs j {self.pick('', 'LEFT ')}JOIN attempts a ON {on}{outcome}{self.where()}",
            f"SELECT a.outcome, a.error_data, COUNT(*) AS n, COUNT(a.error_code) AS e FROM attempts a WHERE a.tenant > 'a'{outcome} GROUP BY 1, 2",
            f"SELECT j.id FROM jobs j WHERE NOT EXISTS (SELECT 1 FROM attempts a WHERE {on}{outcome})",
        ), False

    def tasks(self):
        groups = self.pick("", f" WHERE t.task_group = 'w{self.chance.randrange(3)}'", " WHERE t.task_group IN ('w0', 'r1', 'l2')",
                           " WHERE t.tenant = 'beta'", f" WHERE t.priority > {self.chance.randrange(60)}",
                        f" WHERE t.task_group IN ('l0', 'l1', 'w1') AND {self.like('t.start_time_ms')}",
                        f" WHERE {self.like('t.start_time_ms')} AND t.start_time_ms >= 4000000000001")
        return self.pick(
            f"SELECT t.tenant, t.task_group, COUNT(*) AS n, MAX(t.priority) AS p FROM tasks t{groups} GROUP BY 1, 2",
            f"SELECT t.tenant, t.job_id, t.attempt, RANK() OVER (PARTITION BY t.task_group ORDER BY t.priority, t.tenant, t.job_id) AS r FROM tasks t{groups}",
            f"SELECT j.tenant, j.id, t.variant_type FROM jobs j LEFT JOIN tasks t ON t.job_id = j.id AND t.tenant = j.tenant{self.where()}",
        ), False


OF_DOCUMENT = {
    "Silo": r"(\1.payload ->> 'n')",
    "SQLite": r"(CASE WHEN json_type(\1.payload, '$.n') IN ('integer', 'real') THEN \1.payload ->> 'n' END)",
    "DuckDB": r"TRY_CAST(json_extract_string(\1.payload, '$.n') AS DOUBLE)",
}
WORDS = {"Waiting": ["waiting"], "Scheduled": ["scheduled"], "Running": ["running"], "Failed": ["failed"],
         "Cancelled": ["cancelled", "canceled"], "Succeeded": ["succeeded", "success"]}


def texts(statement):
    """The statement for Silo, for SQLite and for DuckDB."""
    plain = statement.replace("‹ DESC›", "").replace("‹›", "")
    lite = statement.replace("‹ DESC›", " NULLS FIRST").replace("‹›", " NULLS LAST")
    all = {"Silo": plain.replace("⁄", "/"), "SQLite": lite.replace("⁄", "/"), "DuckDB": plain.replace("⁄", "//")}
    all = {name: re.sub("«(.*?)»", r"CAST(\1 AS TEXT)" if name == "DuckDB" else r"\1", text) for name, text in all.items()}
    return [re.sub("⟦(.)⟧", OF_DOCUMENT[name], text) for name, text in all.items()]


def with_parameters(statement, chance):
    """The same for Silo with other words for some statuses, and with some constants as parameters."""
    def reworded(match):
        return f"{match[1]}'{chance.choice([match[2], *WORDS[match[2]]])}'"

    parameters = []

    def placed(match):
        if chance.random() < 0.7:
            return match[0]
        number, string = match[3], match[2]
        parameters.append(text(string) if number is None else pb.QueryParameter(int64_value=int(number)))
        return f"{match[1]}${len(parameters)}"

    statement = re.sub(rf"(status_kind (?:=|IN \(|NOT IN \() ?)'({'|'.join(WORDS)})'", reworded, statement)
    return re.sub(r"((?:=|<>|<|>|LIKE|IN \() ?)(?:'([A-Za-z0-9_%]*)'|(\d+)\b)", placed, statement), parameters


def same(left, right):
    if isinstance(left, float) or isinstance(right, float):
        return left is not None and right is not None and math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return left == right and (left is None) == (right is None)


def plain(rows, ordered):
    """Truth values as numbers, and rows that have no order in one."""
    rows = [tuple(int(v) if isinstance(v, bool) or (isinstance(v, int)) else v for v in row) for row in rows]
    return rows if ordered else sorted(rows, key=lambda row: [(v is None, str(type(v)) if isinstance(v, str) else "", v if v is not None else 0) for v in row])


def agree(left, right):
    return len(left) == len(right) and all(len(a) == len(b) and all(same(x, y) for x, y in zip(a, b)) for a, b in zip(left, right))


def test_generated_statements_have_the_same_rows_everywhere(engines, seed):
    client, lite, duck = engines
    generator = Generator(random.Random(seed))
    with_rows = 0
    for number in range(STATEMENTS // 2):
        statement, ordered = generator.statement()
        ours, for_lite, for_duck = texts(statement)
        ours, parameters = with_parameters(ours, generator.chance)
        _, rows = ask(client, ours, *parameters, shard="")
        mine = plain([tuple(row.values()) for row in rows], ordered)
        with_rows += len(mine) > 0
        for name, base, other_text in [("SQLite", lite, for_lite), ("DuckDB", duck, for_duck)]:
            other = plain(base.execute(other_text).fetchall(), ordered)
            assert agree(mine, other), f"statement {number}, {name}: {other_text}\nSilo: {ours} {parameters}\nSilo {mine[:5]} of {len(mine)}\n{name} {other[:5]} of {len(other)}"
    assert with_rows > STATEMENTS / 4
    print(f"{with_rows} of {STATEMENTS // 2} statements have rows")
