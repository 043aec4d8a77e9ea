"""What is measured: a row is a queue, the client that loads it, and how many jobs a call has."""

import importlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    module: str
    kind: str
    batch: int
    inflight: int

    def driver(self, folder, port):
        """Imports the driver only now: a library that is missing costs only its own rows."""
        module = importlib.import_module(f".drivers.{self.module}", __package__)
        return getattr(module, self.kind)(folder, port, self.batch, self.inflight)


ROWS = {
    # compiled clients
    "silobench": Row("silo", "Bench", 1, 64),
    "siloclient": Row("silo", "Library", 1, 64),
    "pgbench": Row("postgres", "PgBench", 1, 32),
    "rabbitmqbench": Row("rabbitmq", "Bench", 1, 64),
    "silobench-100": Row("silo", "Bench", 100, 4),
    "pgbench-100": Row("postgres", "PgBench", 100, 8),
    # clients in Python, one job a call
    "silo": Row("silo", "Silo", 1, 64),
    "rabbitmq": Row("rabbitmq", "RabbitMQ", 1, 64),
    "beanstalkd": Row("beanstalkd", "Beanstalkd", 1, 16),
    "nats": Row("nats_", "Nats", 1, 64),
    "redis": Row("redis_", "Redis", 1, 16),
    "postgres": Row("postgres", "SkipLocked", 1, 16),
    # clients in Python, many jobs a call
    "silo-100": Row("silo", "Silo", 100, 4),
    "beanstalkd-100": Row("beanstalkd", "Beanstalkd", 100, 4),
    "redis-100": Row("redis_", "Redis", 100, 4),
    "postgres-100": Row("postgres", "SkipLocked", 100, 4),
    "pgqueuer-100": Row("pgqueuer_", "PgQueuer", 100, 4),
}
