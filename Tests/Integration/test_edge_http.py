"""What goes over the wire, as peers see it that nobody here wrote: Node's HTTP/2, and frames by hand."""

import json
import shutil
import subprocess
import time

import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from support.client import Client
from support.generated import pb
from support.http2 import HEADERS, Peer
from support.waiting import until

node = shutil.which("node")

#: Calls `path` with each of the hexadecimal messages and prints what came, header by header.
CALLER = """
const http2 = require('http2');
const [address, path, ...bodies] = process.argv.slice(1);
const session = http2.connect('http://' + address);
const call = body => new Promise((resolve, reject) => {
  const stream = session.request({
    ':method': 'POST', ':path': path, te: 'trailers', 'content-type': 'application/grpc',
  });
  const seen = {};
  stream.on('response', headers => Object.assign(seen, headers));
  stream.on('trailers', headers => Object.assign(seen, headers));
  stream.on('data', () => {});
  stream.on('error', reject);
  stream.on('end', () => resolve({ status: seen['grpc-status'], message: seen['grpc-message'] ?? null }));
  stream.end(Buffer.from(body, 'hex'));
});
(async () => {
  const answers = [];
  for (const body of bodies) answers.push(await call(body));
  console.log(JSON.stringify(answers));
  session.close();
})();
"""


def call_from_node(server, path, *requests: Message):
    def body(request):
        data = request.SerializeToString()
        return (b"\0" + len(data).to_bytes(4, "big") + data).hex()

    ended = subprocess.run(
        [node, "-e", CALLER, server.address, path, *map(body, requests)], capture_output=True, text=True, timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.skipif(node is None, reason="Node is not installed")
class TestNode:
    """Node drops a header whose value begins or ends with white space."""

    @pytest.mark.parametrize("service, message", [
        ("x", "unknown service x"),
        ("", None),
        ("x ", "unknown service x"),
        ("x \t \n", "unknown service x"),
        (" ", "unknown service"),
        ("a\nb", "unknown service a%0Ab"),
        ("a\x00\x1b[31m\x7f", "unknown service a%00%1B[31m"),
        ("100%", "unknown service 100%25"),
        ("größe\u00a0", "unknown service gr%C3%B6%C3%9Fe"),
        ("\u2028🙂", "unknown service %E2%80%A8%F0%9F%99%82"),
    ])
    def test_messages_arrive(self, server, service, message):
        """Percent-encoded as https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md says."""
        [answer] = call_from_node(server, "/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest(service=service))
        assert answer == ({"status": "5", "message": message} if message else {"status": "0", "message": None})

    def test_so_does_that_of_a_refusal_that_quotes_the_request(self, server):
        [answer] = call_from_node(server, "/silo.v1.Silo/GetJob", pb.GetJobRequest(shard="  no shard  "))
        assert answer == {"status": "3", "message": "invalid shard ID:   no shard"}


class TestUndelivered:
    """Tasks whose answer reaches nobody are given back: no attempt is lost for them."""

    def test_an_answer_that_waits_for_room(self, server, client, group):
        """The worker gives no window for data, so that its answer waits at the server, and goes away."""
        ids = {client.enqueue(group) for _ in range(20)}
        for ending in ("reset", "close"):
            with Peer(server.port, window=0) as peer:
                request = pb.LeaseTasksRequest(task_group=group, max_tasks=100, worker_id="deaf").SerializeToString()
                peer.call(1, "/silo.v1.Silo/LeaseTasks", request)
                peer.until(HEADERS, 1)
                assert client.lease(group) == [], "the deaf worker holds them"
                if ending == "reset":
                    peer.reset(1)
                    until(lambda: client.explain(min(ids)).status == pb.JOB_STATUS_SCHEDULED, 8, "the tasks to be given back")
        tasks = until(lambda: client.lease(group, 100), 8, "the tasks to be given back")
        assert {task.job_id for task in tasks} == ids
        assert {task.attempt_number for task in tasks} == {1}
        for task in tasks:
            client.succeed(task)

    def test_a_single_task(self, server, client):
        id = client.enqueue()
        with Peer(server.port, window=0) as peer:
            request = pb.LeaseTaskRequest(shard=client.shard, id=id, worker_id="deaf").SerializeToString()
            peer.call(1, "/silo.v1.Silo/LeaseTask", request)
            peer.until(HEADERS, 1)
            peer.reset(1)
            until(lambda: client.status(id) == pb.JOB_STATUS_SCHEDULED, 8, "the task to be given back")
        task = client.lease_one(id)
        assert task.attempt_number == 1
        client.succeed(task)

    def test_workers_that_cancel_at_any_moment(self, client, group):
        """Real cancellations. What had not left is back at once; one that crosses an answer on the network cannot be seen, and
        that task waits for the end of its lease."""
        rounds, back = 100, 0
        for number in range(rounds):
            id = client.enqueue(group)
            poll = client.begin("LeaseTasks", task_group=group, max_tasks=1, worker_id="w", wait_ms=5000)
            time.sleep(number % 20 * 0.0002)
            poll.cancel()
            tasks = list(poll.result().tasks) if not poll.cancelled() else client.lease(group, 1, wait_ms=200)
            if not tasks:
                client.cancel(id)
                continue
            assert (tasks[0].job_id, tasks[0].attempt_number) == (id, 1)
            client.succeed(tasks[0])
            back += 1
        assert back > rounds // 2
