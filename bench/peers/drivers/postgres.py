"""PostgreSQL in a cluster of its own, and a queue made by hand on it: a table, FOR UPDATE SKIP LOCKED, a commit for each step."""

import asyncio
import os
import re
import shutil
import signal
import subprocess

from ..driver import Driver, ToolDriver
from ..processes import HOST, UNPACKED, tool_environment
from ..shared import until

SETTINGS = {
    "listen_addresses": HOST, "unix_socket_directories": "", "max_connections": 200, "shared_buffers": "512MB",
    "max_wal_size": "4GB", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "log_min_messages": "fatal",
}
TABLE = """
create table jobs (id bigserial primary key, state smallint not null default 0,
                   lease_until timestamptz, payload text not null);
create index jobs_ready on jobs (id) where state = 0;
"""
LEASE = """with c as (select id from jobs where state = 0 order by id limit {n} for update skip locked)
update jobs j set state = 1, lease_until = now() + interval '30 s' from c where j.id = c.id returning j.id, j.payload"""


class Postgres(Driver):
    acknowledged = "committed, and the write-ahead log synced with fdatasync (`synchronous_commit=on`)"

    def versions(self):
        words = subprocess.check_output([self.program("postgres"), "-V"], text=True, env=tool_environment()).split()
        return {"PostgreSQL": words[2]}

    @staticmethod
    def program(name):
        found = sorted(UNPACKED.glob(f"usr/lib/postgresql/*/bin/{name}"))
        if not found:
            raise FileNotFoundError(f"{name} is not installed")
        return str(found[-1])

    @property
    def address(self):
        return f"postgresql://postgres@{HOST}:{self.port}/postgres"

    def start(self):
        user = []
        if os.geteuid() == 0:
            # The server refuses to be root. Whom it becomes may still pass folders that only root may enter.
            shutil.chown(self.folder, "nobody", "nogroup")
            user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=+dac_override",
                    "--ambient-caps=+dac_override"]
        data = self.folder / "data"
        subprocess.run(
            [*user, self.program("initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C"],
            check=True, stdout=subprocess.DEVNULL, cwd=self.folder, env=tool_environment())
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        self.spawn([*user, self.program("postgres"), "-D", data, "-p", self.port, *settings], cwd=self.folder)
        # Its port is open before it serves.
        asks = [self.program("pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        until(lambda: subprocess.run(asks, env=tool_environment()).returncode == 0, 60, "PostgreSQL to serve")

    def stop(self):
        super().stop(signal.SIGINT)  # ends connections instead of waiting for them

    def sql(self, text):
        return subprocess.run(
            [self.program("psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", self.address, "-c", text],
            check=True, capture_output=True, text=True, env=tool_environment()).stdout.strip()


class SkipLocked(Postgres):
    POLL_SECONDS = 0.005

    def versions(self):
        import asyncpg

        return {**super().versions(), "asyncpg": asyncpg.__version__}

    def prepare(self):
        self.sql(TABLE)

    def remaining(self):
        return int(self.sql("select count(*) from jobs"))

    async def open_producer(self):
        import asyncpg

        self.pool = await asyncpg.create_pool(self.address, min_size=self.inflight, max_size=self.inflight)

    async def enqueue(self, payloads):
        async with self.pool.acquire() as connection:
            if self.batch == 1:
                await connection.execute("insert into jobs (payload) values ($1)", payloads[0])
            else:
                await connection.execute("insert into jobs (payload) select unnest($1::text[])", payloads)

    async def work(self, client):
        await self.open_producer()
        turn = asyncio.Lock()
        await client.ready()

        async def poll(lease):
            """When there is nothing, one lane keeps asking and the others wait behind it."""
            if rows := await lease.fetch():
                return rows
            async with turn:
                while not client.stopping and not (rows := await lease.fetch()):
                    await asyncio.sleep(self.POLL_SECONDS)
                return rows

        async def lane():
            async with self.pool.acquire() as connection:
                lease = await connection.prepare(LEASE.format(n=self.batch))
                delete = await connection.prepare("delete from jobs where id = any($1::bigint[])")
                while not client.stopping:
                    if rows := await poll(lease):
                        client.got(*(row["payload"] for row in rows))
                        await delete.fetch([row["id"] for row in rows])
                        client.done(*(row["payload"] for row in rows))

        await asyncio.gather(*(lane() for _ in range(self.inflight)))


class PgBench(ToolDriver, SkipLocked):
    """The same three statements from pgbench."""

    def versions(self):
        return Postgres.versions(self)

    def run_tool(self, seconds, payload_bytes, meter):
        body = f"repeat('x', {payload_bytes})"
        # Enough that wait: pgbench gives up a connection that finds none, and a snapshot may be older than the last hundreds.
        self.sql(f"insert into jobs (payload) select {body} from generate_series(1, {max(2000, self.batch * 50)})")
        before = self.remaining()
        with meter:
            text = self.pgbench(self.life_cycle(body), int(seconds))
        jobs = self.batch * int(re.search(r"actually processed: (\d+)", text).group(1))
        change = self.remaining() - before
        rate = self.batch * float(re.search(r"tps = ([\d.]+)", text).group(1))
        return {"rate": rate, "jobs": jobs, "left": max(0, change), "doubled": max(0, -change)}

    def life_cycle(self, body):
        lease = LEASE.format(n=self.batch)
        if self.batch == 1:
            return f"insert into jobs (payload) values ({body});\n{lease} \\gset\ndelete from jobs where id = :id;\n"
        return (
            f"insert into jobs (payload) select {body} from generate_series(1, {self.batch});\n"
            f"with u as ({lease}) select array_agg(id)::text as ids, string_agg(payload, '') as p from u \\gset\n"
            "delete from jobs where id = any(:ids::bigint[]);\n")

    def pgbench(self, script, seconds):
        (self.folder / "script.sql").write_text(script)
        command = map(str, [
            self.program("pgbench"), "-n", "-h", HOST, "-p", self.port, "-U", "postgres", "-M", "prepared", "-c", self.inflight,
            "-j", 2, "-T", seconds, "-f", "script.sql", "postgres"])
        answer = subprocess.run(list(command), capture_output=True, text=True, cwd=self.folder, env=tool_environment())
        if answer.returncode:
            raise RuntimeError(f"pgbench failed: {answer.stderr.strip()[-300:]}")
        return answer.stdout
