"""The same rows in engines that hold them in tables of their own, in memory."""

import csv
import sqlite3
import time

import duckdb

COLUMNS = {
    "tenant": "TEXT", "id": "TEXT", "priority": "BIGINT", "payload": "TEXT", "status_kind": "TEXT", "task_group": "TEXT",
    "status_changed_at_ms": "BIGINT",
}
TABLE = f"CREATE TABLE jobs({', '.join(f'{name} {type}' for name, type in COLUMNS.items())})"


def rows(jobs):
    return ((job.tenant, job.id, job.priority, job.json, job.status, job.group, job.changed) for job in jobs)


def sqlite(jobs, statements, rounds):
    """Answers and seconds, the shortest of some rounds, of each statement by its name."""
    connection = sqlite3.connect(":memory:")
    connection.execute(TABLE)
    connection.executemany("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?)", rows(jobs))
    return measured(lambda sql: connection.execute(sql).fetchall(), statements, rounds)


def duck(jobs, statements, rounds, folder):
    with open(folder / "jobs.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows(jobs))
    connection = duckdb.connect()
    connection.execute(TABLE)
    connection.execute(f"COPY jobs FROM '{folder / 'jobs.csv'}' (HEADER false)")
    return measured(lambda sql: connection.execute(sql).fetchall(), statements, rounds)


def measured(ask, statements, rounds):
    results = {}
    for name, sql in statements.items():
        times = []
        for _ in range(rounds):
            begun = time.perf_counter()
            answer = ask(sql)
            times.append(time.perf_counter() - begun)
        results[name] = sorted(answer, key=lambda row: str(row[:2])), min(times)
    return results
