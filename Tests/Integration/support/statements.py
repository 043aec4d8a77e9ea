"""Statements for those that try to break queries: those that queries are made for, and any number that a grammar gives.

The grammar knows the tables and functions there are, and no more of what a statement means than its shape: many of its statements
are wrong, which is as good a test.
"""

#: The representative statements, over the jobs of several tests; which rows they have does not matter here.
REPRESENTATIVE = [
    "SELECT id FROM jobs WHERE tenant='-' ORDER BY id",
    "SELECT * FROM jobs WHERE tenant='-' AND id='ord_a'",
    "SELECT priority, enqueue_time_ms FROM jobs WHERE tenant='-' AND id='inv_b'",
    "SELECT id, metadata FROM jobs WHERE tenant='-' AND id='m1'",
    "SELECT id, shard_id, priority, payload FROM jobs",
    "SELECT id, enqueue_time_ms, status_kind FROM jobs WHERE tenant='-' ORDER BY id",
    "SELECT tenant, id, enqueue_time_ms FROM jobs ORDER BY tenant",
    "SELECT id, status_kind, current_attempt, next_attempt_starts_after_ms FROM jobs WHERE tenant='-' AND id='later1'",
    "SELECT current_attempt, next_attempt_starts_after_ms FROM jobs WHERE tenant='-' AND id='done1'",
    "SELECT id, current_attempt FROM jobs WHERE tenant='acme'",
    "SELECT id FROM jobs WHERE id='ord_b' LIMIT 1",
    "SELECT id FROM jobs WHERE tenant='-' AND priority >= 5 AND priority <= 10 ORDER BY id",
    "SELECT id FROM jobs WHERE tenant='-' AND enqueue_time_ms > 1700000000000",
    "SELECT id FROM jobs WHERE tenant='-' AND status_kind='Running'",
    "SELECT id FROM jobs WHERE status_kind='Waiting' ORDER BY id",
    "SELECT id FROM jobs WHERE tenant='-' AND status_kind='Running' AND id='run1'",
    "SELECT id FROM jobs ORDER BY id",
    "SELECT id FROM jobs WHERE tenant='acme' AND tenant='beta'",
    "SELECT id FROM jobs WHERE tenant='-' AND current_attempt IS NULL",
    "SELECT id FROM jobs WHERE tenant='-' AND id LIKE 'ord%' ORDER BY id",
    "SELECT id FROM jobs WHERE tenant='-' AND id ILIKE '%V_%'",
    "SELECT id FROM jobs WHERE tenant='-' AND status_kind IN ('Waiting','Running','Succeeded','Failed') ORDER BY id",
    "SELECT id FROM jobs WHERE tenant='-' AND (status_kind='Succeeded' OR status_kind='Scheduled') ORDER BY enqueue_time_ms DESC, id",
    "SELECT id FROM jobs WHERE tenant='-' AND status_kind NOT IN ('Succeeded','Failed','Cancelled') ORDER BY id",
    "SELECT id FROM jobs WHERE tenant='-' AND (status_kind='Waiting' OR (status_kind='Scheduled' AND current_attempt > 1))",
    "SELECT id FROM jobs WHERE tenant='-' AND (status_kind='Failed' OR id='run1')",
    "SELECT id FROM jobs WHERE status_kind IN ('Succeeded','Failed','Cancelled','Running')",
    "SELECT COUNT(*) FROM jobs WHERE tenant='-'",
    "SELECT COUNT(*) AS count FROM jobs",
    "SELECT COUNT(*) c, SUM(priority) s, AVG(priority) a, MIN(priority) lo, MAX(priority) hi FROM jobs",
    "SELECT COUNT(DISTINCT tenant) FROM jobs",
    "SELECT status_kind, COUNT(*) AS cnt FROM jobs WHERE tenant='-' GROUP BY status_kind ORDER BY status_kind",
    "SELECT tenant, status_kind, COUNT(*) AS cnt FROM jobs GROUP BY tenant, status_kind",
    "SELECT priority, COUNT(*) AS cnt FROM jobs WHERE tenant='-' GROUP BY priority ORDER BY priority",
    "SELECT shard_id, COUNT(*) AS cnt FROM jobs GROUP BY shard_id ORDER BY shard_id",
    "SELECT task_group, COUNT(*) AS cnt FROM tasks GROUP BY task_group ORDER BY task_group",
    "SELECT priority FROM jobs WHERE tenant='-' GROUP BY priority HAVING COUNT(*) > 1",
    "SELECT tenant, COUNT(*) AS cnt FROM jobs GROUP BY tenant HAVING cnt >= 3",
    "SELECT id FROM jobs WHERE tenant='-' ORDER BY priority ASC, enqueue_time_ms DESC",
    "SELECT * FROM jobs WHERE tenant='-' AND status_kind='Failed' LIMIT 20 OFFSET 180",
    "SELECT * FROM jobs WHERE tenant='-' ORDER BY enqueue_time_ms DESC LIMIT 20",
    "SELECT tenant, id FROM jobs WHERE status_kind='Failed' ORDER BY status_changed_at_ms DESC LIMIT 20",
    "SELECT priority > 25 AS hot, CAST(priority AS DOUBLE)/100.0 AS r, CASE WHEN priority=5 THEN NULL ELSE enqueue_time_ms END AS t "
    "FROM jobs ORDER BY id",
    "SELECT task_group, AVG(CAST(priority AS DOUBLE)) FROM jobs WHERE tenant='-' GROUP BY task_group",
    "SELECT priority/0 AS x FROM jobs WHERE tenant='-'",
    "SELECT id FROM jobs WHERE tenant='-' AND array_contains(element_at(metadata,'env'),'prod')",
    "SELECT id FROM jobs WHERE array_contains(element_at(metadata,'env'),'prod')",
    "SELECT id FROM jobs WHERE starts_with(array_any_value(element_at(metadata,'env')),'prod') ORDER BY id",
    "SELECT id FROM jobs WHERE tenant='-' AND array_any_value(element_at(metadata,'region')) LIKE 'us-%' ORDER BY id",
    "SELECT queue_name FROM queues WHERE tenant='-' AND entry_type='holder'",
    "SELECT queue_name, entry_type, COUNT(*) AS cnt FROM queues GROUP BY queue_name, entry_type",
    "SELECT tenant, status_kind, cnt FROM tenant_counts ORDER BY tenant, status_kind",
    "SELECT COUNT(*) AS cnt FROM tenant_counts",
    "SELECT holders, requesters, max_concurrency, limit_type FROM queue_counts WHERE queue_name='gate'",
    "SELECT job_id FROM tasks WHERE task_group='mail' AND start_time_ms >= 1050 AND start_time_ms <= 1300",
    "SELECT * FROM tasks WHERE task_group='mail' AND tenant='-'",
    "SELECT COUNT(*) FROM jobs a CROSS JOIN jobs b CROSS JOIN jobs c",
    "SELECT q, COUNT(*) AS cnt FROM (SELECT array_any_value(element_at(metadata,'env')) AS q FROM jobs "
    "WHERE status_kind IN ('Waiting','Scheduled') LIMIT 10000) GROUP BY q",
    "SELECT j.id, t.variant_type FROM jobs j JOIN tasks t ON t.job_id=j.id AND t.tenant=j.tenant",
    "SELECT j.id FROM jobs j LEFT JOIN queues q ON q.job_id=j.id WHERE q.job_id IS NULL",
    "SELECT id FROM jobs WHERE id IN (SELECT job_id FROM queues WHERE entry_type='requester')",
    "WITH f AS (SELECT id FROM jobs WHERE status_kind='Failed') SELECT COUNT(*) FROM f",
    "SELECT id, ROW_NUMBER() OVER (ORDER BY priority, id) AS rn FROM jobs",
    "SELECT id FROM jobs WHERE", "SELECT FROM WHERE", "SELECT nope FROM jobs", "SELECT * FROM nope", "", "   ",
    "SELECT id FROM jobs WHERE id=$2", "SELECT id FROM jobs WHERE priority='abc'", "SELECT CAST(tenant AS INT) FROM jobs",
    "DELETE FROM jobs", "DROP TABLE jobs", "SELECT 1; SELECT 2",
    *[f"SELECT * FROM {table}" for table in (
        "tasks", "queues", "tenant_counts", "queue_counts", "attempts", "limits", "leases", "shards")],
]

TABLES = {
    "jobs": ["shard_id", "tenant", "id", "priority", "enqueue_time_ms", "payload", "status_kind", "status_changed_at_ms",
             "task_group", "current_attempt", "next_attempt_starts_after_ms", "metadata", "limits"],
    "tasks": ["shard_id", "tenant", "task_group", "start_time_ms", "priority", "job_id", "attempt", "variant_type", "task_id",
              "held_queues"],
    "queues": ["shard_id", "tenant", "queue_name", "entry_type", "task_id", "job_id", "priority", "timestamp_ms"],
    "tenant_counts": ["shard_id", "tenant", "status_kind", "cnt"],
    "queue_counts": ["shard_id", "tenant", "queue_name", "holders", "requesters", "max_concurrency", "limit_type"],
    "attempts": ["shard_id", "tenant", "job_id", "attempt", "task_id", "outcome", "started_at_ms", "finished_at_ms", "error_code",
                 "error_data", "result"],
    "limits": ["shard_id", "tenant", "name", "limit_key", "limit_type", "maximum", "held", "waiting", "next_room_ms", "is_paused",
               "paused_since_ms"],
    "leases": ["shard_id", "tenant", "job_id", "task_id", "worker_id", "task_group", "attempt", "started_at_ms", "expires_at_ms",
               "cancelled_at_ms", "held_queues"],
    "shards": ["shard_id", "range_start", "range_end", "tenants", "jobs", "finished_jobs", "leases"],
}
FUNCTIONS = [
    "lower", "upper", "length", "octet_length", "hex", "abs", "round", "floor", "ceil", "sqrt", "ln", "exp", "trim", "ltrim", "map_keys",
    "map_values", "cardinality", "array_any_value", "json_type", "json_valid", "json_array_length",
]
FUNCTIONS_OF_TWO = [
    "coalesce", "ifnull", "nullif", "greatest", "least", "substr", "instr", "starts_with", "ends_with", "contains", "power", "concat",
    "json_extract", "element_at", "array_contains", "trim", "round",
]
#: What a mutation puts anywhere.
PIECES = [
    "'", '"', "(", ")", "[", "]", ",", ".", "*", "%", "$1", "$9", ";", "--", "/*", "*/", "||", "->>", "<", ">=", "=", "_", " ", "\0", "é",
    "\U0001f980", " SELECT ", " FROM ", " NULL ", " jobs ", " AND ", " OR ", " NOT ", " IN (", " UNION ", " LIKE ", " CASE ", " END ",
    "1e999", "9223372036854775808", "-9223372036854775808", "x'00ff'", " OVER (", " WITH RECURSIVE ", " sqlite_schema ", " rowid ",
    " PRAGMA ", " ATTACH ", " tenant ", "\"tenant\"", "zeroblob(1000000000)", "printf('%.*c', 100000000, 'x')", " LIMIT ", " OFFSET ",
    " GROUP BY ", " EXPLAIN ", "((((((((", "randomblob(9)", "load_extension('x')", " COLLATE ", " GLOB ", " MATCH ", " ESCAPE ",
]


NUMBERS = {
    "priority", "enqueue_time_ms", "status_changed_at_ms", "current_attempt", "next_attempt_starts_after_ms", "start_time_ms", "attempt",
    "timestamp_ms", "cnt", "holders", "requesters", "max_concurrency", "started_at_ms", "finished_at_ms", "maximum", "held", "waiting",
    "expires_at_ms", "tenants", "jobs", "finished_jobs", "leases",
}


class Grammar:
    """Statements over all tables. `words`: texts that conditions compare with, such as names that are somebody else's."""

    def __init__(self, chance, words):
        self.chance = chance
        self.words = words

    def pick(self, choices):
        return self.chance.choice(choices)

    def rarely(self, part):
        return self.chance.random() < part

    def constant(self):
        word = str(self.pick(self.words)).replace("'", "''")
        return self.pick([
            f"'{word}'", f"'{word}'", f"'{word[:3]}%'", "''", "NULL", "TRUE", "FALSE", str(self.chance.randrange(-5, 100)), "1.5", "$1", "$2",
            "'Waiting'", "'Failed'", "'Running'", "x'00'", "now_ms()", "9223372036854775807",
        ])

    def column(self, scope):
        alias, table = self.pick(scope)
        return f"{alias}.{self.pick(TABLES[table])}" if table in TABLES else f"{alias}.c0"

    def value(self, scope, depth=2):
        if depth == 0 or self.rarely(0.35):
            return self.column(scope) if scope and self.rarely(0.75) else self.constant()
        a, b = self.value(scope, depth - 1), self.value(scope, depth - 1)
        return self.pick([
            lambda: self.number(scope, depth - 1),
            lambda: self.number(scope, depth - 1),
            lambda: f"({a} {self.pick(['||', '||', '||', '+', '<<'])} {b})",
            lambda: f"{self.pick(FUNCTIONS)}({a})",
            lambda: f"{self.pick(FUNCTIONS_OF_TWO)}({a}, {b})",
            lambda: f"CASE WHEN {self.truth(scope, depth - 1)} THEN {a} ELSE {b} END",
            lambda: f"CAST({a} AS {self.pick(['TEXT', 'BIGINT', 'DOUBLE', 'BOOLEAN', 'INT'])})",
            lambda: f"(a.payload ->> 'k')" if ("a", "jobs") in scope else f"({a} ->> 'k')",
            lambda: f"replace({a}, {b}, {a})",
            lambda: f"(SELECT {self.pick(['MAX', 'MIN', 'COUNT'])}({self.column([('s', table := self.pick(list(TABLES)))])}) FROM {table} s)",
        ])()

    def number(self, scope, depth):
        columns = [f"{alias}.{column}" for alias, table in scope for column in TABLES.get(table, []) if column in NUMBERS]
        if depth <= 0 or self.rarely(0.4):
            return self.pick(columns) if columns and self.rarely(0.7) else self.pick(["1", "-7", "2.5", "9223372036854775807", "NULL", "0"])
        a, b = self.number(scope, depth - 1), self.number(scope, depth - 1)
        return self.pick([
            f"({a} {self.pick(['+', '-', '*', '/', '%', '<<', '>>', '&', '|'])} {b})", f"(- {a})", f"abs({a})", f"round({a})",
            f"length({self.value(scope, depth - 1)})", f"CAST({a} AS {self.pick(['TEXT', 'BIGINT', 'DOUBLE', 'INT'])})", f"sqrt({a})",
        ])

    def truth(self, scope, depth=2):
        a, b = self.value(scope, max(0, depth - 1)), self.value(scope, 0)
        if depth == 0:
            return f"{a} {self.pick(['=', '<>', '<', '<=', '>', '>='])} {b}"
        return self.pick([
            lambda: f"({self.truth(scope, depth - 1)} {self.pick(['AND', 'OR'])} {self.truth(scope, depth - 1)})",
            lambda: f"(NOT {self.truth(scope, depth - 1)})",
            lambda: f"{a} {self.pick(['LIKE', 'ILIKE', 'NOT LIKE'])} {b}",
            lambda: f"{a} {self.pick(['IN', 'NOT IN'])} ({b}, {self.constant()})",
            lambda: f"{a} IN (SELECT {self.column([('s', table := self.pick(list(TABLES)))])} FROM {table} s)",
            lambda: f"{a} BETWEEN {b} AND {self.constant()}",
            lambda: f"{a} IS {self.pick(['', 'NOT '])}NULL",
            lambda: f"EXISTS (SELECT 1 FROM {(table := self.pick(list(TABLES)))} e WHERE {self.truth([*scope, ('e', table)], 0)})",
            lambda: f"array_contains(element_at({a}, 'env'), {b})",
            lambda: f"{self.column(scope)} = {self.constant()}",
            lambda: f"{self.column(scope)} = {self.constant()}",
        ])() if scope else f"{a} = {b}"

    def source(self, depth):
        """FROM, and what it is called in the rest."""
        table = self.pick(list(TABLES))
        if depth > 0 and self.rarely(0.2):
            return f"({self.select(depth - 1, 'c0')}) a", [("a", "")]
        text, scope = f"{self.pick(['', 'public.'])}{table} a", [("a", table)]
        for alias in ("b", "c")[:self.pick([0, 0, 0, 1, 1, 2])]:
            other = self.pick(list(TABLES))
            scope.append((alias, other))
            kind = self.pick(["JOIN", "LEFT JOIN", "CROSS JOIN"])
            on = "" if kind == "CROSS JOIN" else f" ON {self.pick([f'a.tenant = {alias}.tenant', self.truth(scope, 1)])}"
            text += f" {kind} {other} {alias}{on}"
        return text, scope

    def select(self, depth=2, only=None, is_arm=False):
        source, scope = self.source(depth)
        where = f" WHERE {self.truth(scope, depth)}" if self.rarely(0.7) else ""
        if self.rarely(0.3):
            key = self.value(scope, 1)
            function = self.pick(["COUNT", "MIN", "MAX", "SUM", "AVG", "group_concat"])
            columns = f"{function}({self.value(scope, 1)}) AS c0" + ("" if only else f", {key} AS c1")
            group = "" if only and self.rarely(0.5) else f" GROUP BY {key}"
            having = f" HAVING COUNT(*) > {self.chance.randrange(3)}" if group and self.rarely(0.3) else ""
            return f"SELECT {columns} FROM {source}{where}{group}{having}"
        if not only and self.rarely(0.3):
            columns = "*"
        else:
            columns = ", ".join(f"{self.value(scope, 2)} AS c{n}" for n in range(1 if only else self.chance.randrange(1, 4)))
        if not only and self.rarely(0.1):
            columns += f", {self.pick(['RANK()', 'COUNT(*)', 'LAG(1)'])} OVER (PARTITION BY {self.column(scope)} ORDER BY {self.column(scope)}) AS w"
        if is_arm:
            return f"SELECT {columns} FROM {source}{where}"
        order = f" ORDER BY {self.value(scope, 1)}{self.pick(['', ' DESC', ' NULLS LAST'])}" if self.rarely(0.4) else ""
        limit = f" LIMIT {self.chance.randrange(30)}" + self.pick(["", f" OFFSET {self.chance.randrange(5)}"]) if self.rarely(0.4) else ""
        return f"SELECT {self.pick(['', '', 'DISTINCT '])}{columns} FROM {source}{where}{order}{limit}"

    def statement(self):
        kind = self.chance.random()
        if kind < 0.08:
            return f"EXPLAIN {self.select()}"
        if kind < 0.18:
            word = self.pick(["UNION", "UNION ALL", "EXCEPT", "INTERSECT"])
            return f"{self.select(1, 'c0', is_arm=True)} {word} {self.select(1, 'c0', is_arm=True)}"
        if kind < 0.26:
            return f"WITH x(c0) AS ({self.select(1, 'c0')}) SELECT a.c0, COUNT(*) AS n FROM x a GROUP BY a.c0"
        if kind < 0.3:
            return (f"WITH RECURSIVE x(c0) AS (SELECT {self.value([], 1)} UNION ALL SELECT {self.value([('x', '')], 1)} FROM x "
                    f"LIMIT {self.chance.randrange(1, 3000)}) SELECT COUNT(*), MAX(c0) FROM x")
        return self.select()

    def mutated(self):
        """Some statement with some of its text gone, doubled, or something else's."""
        text = list(self.pick(REPRESENTATIVE) if self.rarely(0.6) else self.statement()) or [" "]
        for _ in range(self.chance.randrange(1, 5)):
            place = self.chance.randrange(len(text) + 1)
            end = min(len(text), place + self.chance.randrange(1, 12))
            change = self.chance.randrange(4)
            if change == 0:
                del text[place:end]
            elif change == 1:
                text[place:place] = self.pick(PIECES)
            elif change == 2:
                text[place:end] = self.pick(PIECES)
            else:
                text[place:place] = text[place:end] * self.chance.randrange(1, 4)
        return "".join(text)

    def any(self):
        return self.mutated() if self.rarely(0.4) else self.statement()
