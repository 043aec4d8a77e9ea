"""A grpcio server for the Swift client: server.py [FOLDER of certificates, for mTLS]. Prints its port."""
import sys
import threading
import time
from concurrent import futures

import grpc

arrived = threading.Event()
cancelled = threading.Event()
endless_ended = threading.Event()


def echo(request, context):
    return request


def metadata(request, context):
    got = [(key, value) for key, value in context.invocation_metadata() if key.startswith("x-")]
    context.set_trailing_metadata((("x-back", "ignored on success"),))
    return repr(got).encode()


def fail(request, context):
    context.set_trailing_metadata((("x-hint", "a"), ("x-hint", "b"), ("x-raw-bin", b"\x00\xff")))
    context.abort(grpc.StatusCode.ABORTED, "größer – 100%\nzweite Zeile")


def wait(request, context):
    done = threading.Event()
    # It says no when the call has ended before its handler began.
    if not context.add_callback(lambda: (cancelled.set(), done.set())):
        cancelled.set()
        done.set()
    arrived.set()
    done.wait(60)
    return b""


def has_arrived(request, context):
    return b"yes" if arrived.wait(60) else b"no"


def was_cancelled(request, context):
    return b"yes" if cancelled.wait(60) else b"no"


def remaining(request, context):
    left = context.time_remaining()
    return b"none" if left is None or left > 1e6 else str(left).encode()


def large(request, context):
    return bytes(int(request))


def agent(request, context):
    return dict(context.invocation_metadata())["user-agent"].encode()


def count(request, context):
    limit = int(request)
    for number in range(abs(limit)):
        yield b"%d" % number
    if limit < 0:
        context.set_trailing_metadata((("x-end", "bad"),))
        context.abort(grpc.StatusCode.DATA_LOSS, "gone")


produced = 0


def endless(request, context):
    global produced
    context.add_callback(endless_ended.set)
    while context.is_active():
        produced += 1
        yield bytes(65536)


def has_endless_ended(request, context):
    return b"yes" if endless_ended.wait(60) else b"no"


def how_many(request, context):
    return b"%d" % produced


unary = grpc.unary_unary_rpc_method_handler
stream = grpc.unary_stream_rpc_method_handler
methods = {
    "Echo": unary(echo), "Metadata": unary(metadata), "Fail": unary(fail), "Wait": unary(wait),
    "HasArrived": unary(has_arrived), "WasCancelled": unary(was_cancelled), "Remaining": unary(remaining), "Large": unary(large),
    "Agent": unary(agent), "Count": stream(count), "Endless": stream(endless), "EndlessEnded": unary(has_endless_ended),
    "HowMany": unary(how_many),
}
server = grpc.server(
    futures.ThreadPoolExecutor(16),
    options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)],
)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", methods),))
if len(sys.argv) > 1:
    def read(name):
        with open(f"{sys.argv[1]}/{name}", "rb") as file:
            return file.read()

    credentials = grpc.ssl_server_credentials(
        [(read("server.key"), read("server.pem"))], root_certificates=read("ca.pem"), require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()  # ends with the test
server.stop(0)
