"""A collector of OpenTelemetry on loopback, made of its own published messages, with switches for what can go wrong with one."""

import concurrent.futures
import threading

import grpc
from google.protobuf import any_pb2, duration_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from .ports import fixed_address
from .waiting import until


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps every span that it was sent."""

    def __init__(self, address=None, threads=4, tls=None):
        """`tls`: a folder with `key.pem` and `cert.pem`."""
        self.address = address or fixed_address()
        self.spans = []
        self.resources = []
        self.headers = []
        self.exports = 0
        #: What it is sent is kept.
        self.keeps = True
        #: Codes that the next exports end with, in order.
        self.refusals = []
        #: Spans of each export that it says it refused.
        self.rejects = 0
        #: Exports wait until this is set.
        self.open = threading.Event()
        self.open.set()
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(threads))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        if tls:
            pair = ((tls / "key.pem").read_bytes(), (tls / "cert.pem").read_bytes())
            assert self._server.add_secure_port(self.address, grpc.ssl_server_credentials([pair]))
        else:
            assert self._server.add_insecure_port(self.address)
        self._server.start()

    def Export(self, request, context):  # noqa: N802
        self.exports += 1
        self.headers.append(dict(context.invocation_metadata()))
        self.open.wait()
        if self.refusals:
            code, *details = self.refusals.pop(0)
            if details:
                context.set_trailing_metadata((("grpc-status-details-bin", details[0]),))
            context.abort(code, "the collector was told to refuse")
        for told in request.resource_spans if self.keeps else []:
            self.resources.append({a.key: a.value.string_value for a in told.resource.attributes})
            for scope in told.scope_spans:
                self.spans += [Span(span, self.resources[-1]["service.name"]) for span in scope.spans]
        answer = trace_service_pb2.ExportTraceServiceResponse()
        if self.rejects:
            answer.partial_success.rejected_spans = self.rejects
            answer.partial_success.error_message = "some were refused"
        return answer

    def named(self, name, **attributes):
        return [s for s in list(self.spans) if s.name == name and attributes.items() <= s.attributes.items()]

    def wait_for(self, name, count=1, seconds=60, **attributes):
        def found():
            spans = self.named(name, **attributes)
            return len(spans) >= count and spans
        return until(found, seconds, f"{count} spans {name} {attributes}", lambda: "\n".join(map(repr, self.spans)))

    def tree(self, trace):
        """The spans of a trace as lines, each indented below its parent, in the order in which they ended."""
        spans = sorted((s for s in list(self.spans) if s.trace == trace), key=lambda s: s.ended)
        known = {s.id for s in spans}
        lines = []

        def add(span, depth):
            lines.append("  " * depth + repr(span))
            for child in (s for s in spans if s.parent == span.id):
                add(child, depth + 1)

        for span in spans:
            if span.parent not in known:
                add(span, 0)
        return lines

    def close(self):
        self.open.set()
        self._server.stop(None).wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Span:
    KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"]

    def __init__(self, span, service):
        self.service = service
        self.trace, self.id, self.parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        self.name, self.kind = span.name, self.KINDS[span.kind]
        self.began, self.ended = span.start_time_unix_nano, span.end_time_unix_nano
        self.attributes = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}
        self.events = [event.name for event in span.events]
        self.links = [link.span_id.hex() for link in span.links]
        self.failure = span.status.message if span.status.code == 2 else None
        self.sampled = span.flags & 1
        self.state = span.trace_state

    def __repr__(self):
        method = self.attributes.get("rpc.method")
        return f"{self.service}: {self.name}{' ' + method if method else ''} ({self.kind})"


def retry_info(seconds):
    """The details of a status that asks to try again after so long."""
    # google.rpc.RetryInfo and google.rpc.Status have no package here: their one field each that matters, by hand.
    delay = duration_pb2.Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9)).SerializeToString()
    info = b"\x0a" + bytes([len(delay)]) + delay
    detail = any_pb2.Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=info).SerializeToString()
    return b"\x08\x08" + b"\x1a" + bytes([len(detail)]) + detail
