"""Makes the pictures of docs/web.md: a server with work going on, looked at in Chromium.

    python scripts/web_pictures.py docs/pictures
"""

import contextlib
import pathlib
import random
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "Tests/Integration"))

from support.browser import Browser  # noqa: E402
from support.client import Client  # noqa: E402
from support.generated import pb  # noqa: E402
from support.programs import Server  # noqa: E402

TENANTS = ["acme", "globex", "initech", "umbrella", "wayne-industries"]
GROUPS = {"emails": 6, "thumbnails": 4, "reports": 1, "exports": 1}
CODES = ["SMTP_TIMEOUT", "IMAGE_TOO_LARGE", "UPSTREAM_503", "BAD_TEMPLATE"]
BILLER = "invoice-worker-1"
#: How long work goes on before the first picture, so that charts have a past.
SECONDS = 75
SIZE = (1180, 760)
PHONE_HEIGHT = 844


class Work(threading.Thread):
    """Enqueues, leases and ends jobs, as a small service would."""

    def __init__(self, address, held):
        """`held`: tasks that run all the while."""
        super().__init__(daemon=True)
        self.held = held
        self.address, self.ending, self.chance = address, threading.Event(), random.Random(7)

    def run(self):
        with Client(self.address) as client:
            while not self.ending.wait(0.05):
                self.enqueue(client)
                for task in self.held:
                    client.heartbeat(task, worker=BILLER)
                for group, pace in GROUPS.items():
                    for number in range(1 + (group == "emails")):
                        worker = f"{group}-worker-{number + 1}"
                        fields = {"host": f"node-{number + 1}.example.com", "version": "2.4.1"}
                        for task in client.lease(group, pace, worker=worker, **fields):
                            with contextlib.suppress(Exception):
                                self.end(client, task)

    def enqueue(self, client):
        for group, pace in GROUPS.items():
            for _ in range(self.chance.randrange(pace + 1)):
                tenant = self.chance.choices(TENANTS, [8, 4, 3, 2, 1])[0]
                later = self.chance.random() < 0.04
                limits = []
                if group == "reports":
                    limits = [pb.Limit(concurrency=pb.ConcurrencyLimit(key="warehouse", max_concurrency=2))]
                client.enqueue(
                    group, {"to": f"user{self.chance.randrange(900)}@example.com", "template": "welcome", "attachments": [1, 2]},
                    tenant=tenant, limits=limits, metadata={"customer": str(self.chance.randrange(4000, 4099)), "env": "prod"},
                    start_at_ms=int(time.time() * 1000) + self.chance.randrange(3_600_000) if later else 0)

    def end(self, client, task):
        if self.chance.random() < 0.05:
            client.fail(task, self.chance.choice(CODES))
        else:
            client.succeed(task, {"ok": True})


def backlog(client):
    """Jobs that show what waiting looks like; gives the tasks of those that run."""
    for number in range(240):
        client.enqueue(
            "invoices", {"invoice": number}, tenant=TENANTS[number % 2], id=f"invoice-{number:04}", metadata={"customer": "4711"},
            limits=[pb.Limit(concurrency=pb.ConcurrencyLimit(key="billing-api", max_concurrency=3))])
    return client.lease("invoices", 6, worker=BILLER, host="node-3.example.com", version="2.4.1")


def act(client):
    """Something that is done to many jobs: gives its id."""
    condition = "task_group = 'exports' AND status_kind = 'Failed'"
    return client.call("StartBulkAction", kind=pb.BULK_ACTION_KIND_RESTART, condition=condition).action.id


def pictures(server, folder, action):
    pages = {
        "web-overview": "/", "web-groups": "/groups", "web-tenant": "/tenant?name=acme",
        "web-limit": "/limit?key=billing-api&tenant=acme", "web-failures": "/failures", "web-job": "/job?id=invoice-0100&tenant=acme",
        "web-sql": "/sql?q=SELECT+task_group%2C+COUNT(*)+AS+jobs+FROM+jobs+GROUP+BY+task_group+ORDER+BY+jobs+DESC&view=chart",
        "web-workers": "/workers", "web-tenants": "/tenants", "web-limits": "/limits", "web-jobs": "/jobs?status=Failed",
        "web-action": f"/action?id={action}", "web-schedule": "/schedule", "web-shards": "/shards",
        "web-configuration": "/configuration", "web-audit": "/audit",
    }
    with Browser(*SIZE) as browser:
        for name, path in pages.items():
            take(browser, server, path, folder / f"{name}.png", SIZE[1])
        browser.dark(True)
        take(browser, server, "/", folder / "web-overview-dark.png", SIZE[1])
        browser.screen(390, PHONE_HEIGHT)
        take(browser, server, "/", folder / "web-overview-phone.png", PHONE_HEIGHT)


def take(browser, server, link, path, height):
    browser.go(f"http://{server.operator}{link}")
    time.sleep(2.5 if link in ("/", "/groups") else 0.5)
    assert browser.text("h1"), link
    browser.picture(path, height=height)
    print(f"{path}: {path.stat().st_size // 1024} KiB", flush=True)


def main():
    folder = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="silo-") as data:
        flags = ["--shards", 2, "--tenancy", "--audit-log", f"{data}/audit.log"]
        with Server(data, *flags) as server:
            run(server, folder)


def run(server, folder):
    with Client(server.address) as client:
        held = backlog(client)
        work = Work(server.address, held)
        work.start()
        time.sleep(SECONDS)
        pictures(server, folder, act(client))
        work.ending.set()
        work.join(30)


main()
