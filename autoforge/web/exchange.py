"""The answer to one request on its way out: headers that every response carries, compression, figures and log lines.

It stands between the application and the server as the ``send`` that routes write to, and never holds back more than
the start of a response until the first piece of its body is there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import structlog
from starlette.types import Message, Scope, Send

from autoforge.db.trace import StatementCount
from autoforge.telemetry import families, levels, logs, metrics
from autoforge.web import compression
from autoforge.web.rendering import CONTENT_SECURITY_POLICY
from autoforge.web.turnstile import Place

log = structlog.get_logger(__name__)

SLOW_SECONDS = 1.0
VARY = b"Cookie, Authorization, X-Workspace, Accept-Encoding, Accept, HX-Request-Type"
"""All that shapes a response beside its address; a cache in between must not give one person's page to another."""

_SECURITY = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_PERSONAL = (b"vary", VARY)
_NO_CACHE = (b"cache-control", b"private, no-cache")
_NO_STORE = (b"cache-control", b"private, no-store")
_BESIDE_THE_ROUTE = ("access.by_", "access.key_seen", "access.session_seen", "limits.", "idempotency.")
_TABLES_BESIDE = ("rate_limits", "idempotency_keys")

Headers = list[tuple[bytes, bytes]]


class HeadAnswered(BaseException):
    """HEAD has its headers, and the body is still being made: no need. It passes through ``except Exception``."""


class Exchange:
    """One request's way out. ``encoding`` is what the client takes, ``coded`` its ``If-None-Match`` tags of it."""

    __slots__ = (
        "_began", "_coded", "_compressor", "_encoding", "_head", "_lasts", "_log_all", "_scope", "_send", "_start",
        "_streams", "place", "statements", "status",
    )  # fmt: skip

    def __init__(self, scope: Scope, send: Send, statements: StatementCount, *, log_all: bool = False) -> None:
        self._scope, self._send, self._log_all = scope, send, log_all
        self.statements, self.status = statements, 0
        self._began = time.perf_counter()
        self._head = scope["method"] == "HEAD"
        self._encoding: str | None = None
        self._coded = b""
        self._start: Message | None = None
        self._compressor: compression.Compressor | None = None
        self._streams = self._lasts = False
        self.place: Place | None = None
        metrics.request_began()

    @property
    def started(self) -> bool:
        return self.status != 0

    def encode(self, encoding: str | None, coded: bytes) -> None:
        """The client takes ``encoding``; ``coded`` is its ``If-None-Match`` as it came."""
        self._encoding, self._coded = encoding, coded

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] != "http.response.body":
            await self._send(message)
        elif self._head:
            await self._send({"type": "http.response.body", "body": b""})
            if message.get("more_body"):
                raise HeadAnswered
        else:
            await self._continue(message)

    async def _begin(self, message: Message) -> None:
        self.status = message["status"]
        headers: Headers = list(message.get("headers", ()))
        known = dict(headers)
        self._streams = known.get(b"content-type", b"").startswith(b"text/event-stream")
        self._lasts = self.status == 200 and b"content-length" not in known  # a stream, as exports are too
        if self._lasts and self.place is not None:
            self.place.leave()
        if self._encoding is not None:
            if self.status == 304:
                headers = with_coded_tag(headers, known, self._encoding, self._coded)
            elif not self._head and compression.worth_it(self.status, known):
                self._start = {**message, "headers": headers}
                return
        await self._send({**message, "headers": self._completed(headers, known)})

    async def _continue(self, message: Message) -> None:
        if self._start is None and self._compressor is None:
            await self._send(message)
            return
        body, last = message.get("body", b""), not message.get("more_body", False)
        if self._start is not None:
            start, self._start = self._start, None
            if last and len(body) < compression.LEAST_BYTES:
                await self._send({**start, "headers": self._completed(start["headers"], dict(start["headers"]))})
                await self._send(message)
                return
            self._compressor = compression.compressor(self._encoding or "")
            body = await compression.compressed(self._compressor, body, last)
            await self._send({**start, "headers": self._encoded(start["headers"], len(body) if last else None)})
        else:
            assert self._compressor is not None
            body = await compression.compressed(self._compressor, body, last)
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    def _encoded(self, headers: Headers, length: int | None) -> Headers:
        kept = encoded_headers(headers, self._encoding or "", length)
        return self._completed(kept, dict(kept))

    def _completed(self, headers: Headers, known: Mapping[bytes, bytes]) -> Headers:
        headers = with_common_headers(headers, known, self.status)
        headers += self._scope.get("autoforge.headers", ())
        spent = (time.perf_counter() - self._began) * 1_000
        timing = f'app;dur={spent:.1f}, db;dur={self.statements.seconds * 1_000:.1f};desc="{self.statements.count}"'
        headers += ((b"x-request-id", self._scope["request_id"].encode()), (b"server-timing", timing.encode()))
        return headers

    def finished(self) -> None:
        """Counts the request, and logs it: every one when asked to, and always one that was slow or took too many
        statements."""
        spent = time.perf_counter() - self._began
        self._count(spent)
        if self.status:  # else the client went away before there was an answer
            levels.request_finished(levels.kind_of(self._scope["path"], self._lasts), self.status, spent)
        slow = spent > SLOW_SECONDS and not self._streams  # which last as long as what they tell of
        if self._log_all or slow:
            log_request(slow, spent, **self._about())
        allowed = (getattr(self._scope.get("route"), "openapi_extra", None) or {}).get("x-query-budget")
        if allowed is not None and self.statements.count > allowed:
            count = self._of_the_route()
            if count > allowed:
                metrics.add(families.OVER_BUDGET, route_of(self._scope))
                about = self._about() | {"statements": count, "milliseconds": round(spent * 1_000, 1)}
                log.warning("query budget exceeded", budget=allowed, **about)

    def _count(self, spent: float) -> None:
        method = "HEAD" if self._head else self._scope["method"]
        metrics.request_ended()
        metrics.request_finished(method, route_of(self._scope), self.status, None if self._lasts else spent)

    def _of_the_route(self) -> int:
        """Statements without those that tell who is asking and count limits, which are not the route's."""
        beside = sum(
            one.name.startswith(_BESIDE_THE_ROUTE) or one.table in _TABLES_BESIDE for one in self.statements.statements
        )
        return self.statements.count - beside

    def _about(self) -> dict[str, Any]:
        client = self._scope.get("client")
        return {
            "method": "HEAD" if self._head else self._scope["method"],
            "path": self._scope["path"],
            "status": self.status,
            "statements": self.statements.count,
            "client": client[0] if client else "",
            "request_id": self._scope["request_id"],
        }


def log_request(
    slow: bool, seconds: float, *, method: str, path: str, status: int, statements: int, client: str, request_id: str
) -> None:
    """The line of one request."""
    if slow:
        about = {"method": method, "path": path, "status": status, "statements": statements}
        about |= {"client": client, "request_id": request_id, "milliseconds": round(seconds * 1_000, 1)}
        log.warning("slow request", **about)
    else:
        logs.request_answered(
            method, path, status, seconds, statements=statements, client=client, request_id=request_id
        )


def with_common_headers(headers: Headers, known: Mapping[bytes, bytes], status: int) -> Headers:
    """With what every response carries. ``known`` are the same headers by name."""
    headers = [*headers, *_SECURITY]
    if b"vary" not in known:
        headers.append(_PERSONAL)
    if b"cache-control" not in known:
        headers.append(_NO_CACHE if status < 400 else _NO_STORE)
    return headers


def encoded_headers(headers: Headers, encoding: str, length: int | None) -> Headers:
    """Those of the same response in ``encoding``; ``length`` of the encoded body, None while it is not known."""
    kept = [
        (name, compression.coded_tag(value, encoding) if name == b"etag" else value)
        for name, value in headers
        if name not in (b"content-length", b"accept-ranges")
    ]
    kept.append((b"content-encoding", encoding.encode()))
    if length is not None:
        kept.append((b"content-length", str(length).encode()))
    return kept


def with_coded_tag(headers: Headers, known: Mapping[bytes, bytes], encoding: str, seen: bytes) -> Headers:
    """Those of a 304, which names the representation that the client has: its ``If-None-Match`` is ``seen``."""
    coded = compression.coded_tag(known.get(b"etag", b""), encoding)
    if not coded or coded not in seen:
        return headers
    return [(name, coded if name == b"etag" else value) for name, value in headers]


def route_of(scope: Scope) -> str:
    """The template of the address, such as ``/api/v1/prompts/{prompt_id}``: the same for all that one route answers."""
    matched = (scope.get("fastapi") or {}).get("effective_route_context") or scope.get("route")
    if matched is not None:
        return str(getattr(matched, "path_format", metrics.UNMATCHED))
    if scope.get("endpoint") is not None and scope.get("root_path"):
        return f"{scope['root_path']}/{{path}}"  # what is mounted
    return metrics.UNMATCHED
