"""Traces for OpenTelemetry, where somebody wants them: which request led to which statements, loads and jobs.

Off, this costs a comparison where a job or a load begins, and nothing anywhere else; the library is not even imported.
On, spans are collected by OpenTelemetry's own SDK and sent in batches by a thread of its own, over OTLP/HTTP. Its
standard variables (``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_TRACES_SAMPLER``, ``OTEL_SERVICE_NAME`` ...) say where to,
how many and under which name. Names of spans and attributes follow its semantic conventions. Values of parameters,
bodies and query strings are never sent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from autoforge.errors import BadInput

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

log = logging.getLogger(__name__)

PATIENCE = 3.0
"""Seconds that the end of the process waits for the collector to take what is left."""
_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_NONE: AbstractContextManager[None] = nullcontext()

tracer: Tracer | None = None
"""Set while traces are sent."""


def check() -> None:
    """BadInput when what sends traces is not installed, or the configured protocol is not spoken here."""
    try:
        missing = [name for name in _NEEDED if find_spec(name) is None]
    except (ImportError, ValueError):
        missing = [*_NEEDED]
    if missing:
        raise BadInput.at(
            "AUTOFORGE_TRACES",
            "Traces need packages that are not installed: pip install opentelemetry-sdk "
            "opentelemetry-exporter-otlp-proto-http (the extra autoforge-nexus[otel]).",
        )
    protocol = next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise BadInput.at(_PROTOCOLS[1], f"Traces are sent by http/protobuf (port 4318, usually), not by {protocol}.")


@asynccontextmanager
async def sending(version: str) -> AsyncIterator[None]:
    """Sends the spans of this process until the block ends; then what is left, without holding up the loop."""
    global tracer
    check()
    provider = await asyncio.to_thread(_provider, version)
    tracer = provider.get_tracer("autoforge", version)
    try:
        yield
    finally:
        tracer = None
        await _sent_all(provider)


async def _sent_all(provider: TracerProvider) -> None:
    """Sends what is left, for a moment: the end of the process does not wait for a collector that is away."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def shut_down() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=shut_down, name="last traces", daemon=True).start()
    try:
        async with asyncio.timeout(PATIENCE):
            await done.wait()
    except TimeoutError:
        log.warning("the collector does not answer; the last traces are lost")


def _provider(version: str) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    about = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or "autoforge", "service.version": version}
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def span(name: str, **attributes: str | int) -> AbstractContextManager[Any]:
    """What happens in the block, as a part of what is going on; ``__`` in the names of attributes stands for a dot."""
    if tracer is None:
        return _NONE
    dotted = {key.replace("__", "."): value for key, value in attributes.items()}
    return tracer.start_as_current_span(name, attributes=dotted)


def statement(system: str, operation: str, table: str, sql: str, seconds: float, error: str | None) -> None:
    """A statement of what is going on has ended just now. ``sql`` has placeholders where values were."""
    if tracer is None:
        return
    from opentelemetry import trace

    if not trace.get_current_span().is_recording():
        return  # nobody's: a look at the queue of jobs, for example
    about = {"db.system.name": system, "db.operation.name": operation.upper(), "db.query.text": sql}
    if table:
        about["db.collection.name"] = table
    summary = about["db.query.summary"] = f"{operation.upper()} {table}".strip()
    ended = time.time_ns()
    started = ended - int(seconds * 1e9)
    made = tracer.start_span(summary, kind=trace.SpanKind.CLIENT, attributes=about, start_time=started)
    if error is not None:
        made.set_attribute("error.type", error)
        made.set_status(trace.StatusCode.ERROR)
    made.end(ended)


def request(method: str, headers: Mapping[str, str], attributes: Mapping[str, Any]) -> AbstractContextManager[Span]:
    """A request that came in, as a part of the trace that its ``traceparent`` names. Only while traces are sent."""
    from opentelemetry import propagate, trace

    assert tracer is not None
    return tracer.start_as_current_span(
        method,
        context=propagate.extract(headers),
        kind=trace.SpanKind.SERVER,
        attributes={"http.request.method": method, **attributes},
        record_exception=False,
    )


def answered(span: Span, method: str, route: str | None, status: int) -> None:
    """How the request came out; ``route`` is its template, None without one."""
    from opentelemetry.trace import StatusCode

    if route is not None:
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
    if status:
        span.set_attribute("http.response.status_code", status)
    if not status or status >= 500:
        span.set_attribute("error.type", str(status or "client went away"))
        span.set_status(StatusCode.ERROR)


def trace_id(span: Span) -> str:
    """As logs and collectors write it."""
    return format(span.get_span_context().trace_id, "032x")
