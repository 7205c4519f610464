"""What receives traces in tests: a small server that speaks OTLP over HTTP and keeps what it is sent."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(slots=True)
class Received:
    """``url`` is the endpoint; ``spans`` are protobuf messages, each with the resource it came from."""

    url: str
    spans: list[tuple[dict[str, Any], Any]] = field(default_factory=list)

    def named(self, name: str) -> list[Any]:
        return [span for _, span in self.spans if span.name == name]

    def below(self, parent: Any) -> list[Any]:
        return [span for _, span in self.spans if span.parent_span_id == parent.span_id]


def attributes(one: Any) -> dict[str, Any]:
    """Those of a span or resource, as plain values."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in one.attributes}


@contextmanager
def collector() -> Iterator[Received]:
    """Listens on a free port until the block ends."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                about = attributes(of_resource.resource)
                received.spans += [(about, span) for scope in of_resource.scope_spans for span in scope.spans]
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Received(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
