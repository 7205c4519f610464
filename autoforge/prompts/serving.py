"""Served prompts from memory, in front of everything else: what programs ask for most, thousands of times a second.

Routing, dependencies and the edge take ten times as long as answering does when caller and prompt are both in memory.
So this layer looks at each request for ``/api/v1/prompts/served/...`` first. It answers what is as usual as that, and
passes everything else on to the ordinary route (:func:`autoforge.prompts.routes.serve`), which alone loads, refuses and
explains. What it answers is what the route would have answered, header by header; a test compares the two.

It holds no truth of its own. Callers and prompts are looked up in the cache at every request, which knows whether they
still hold; kept here is only what follows from a value in the cache, for as long as it is that same value.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from autoforge.access import Actor
from autoforge.access.deps import Gate, Known, key_in_cache, limit_fields, limited_as
from autoforge.access.tokens import digest
from autoforge.cache import Cache, Kind, cache_key
from autoforge.cache.near import ABSENT
from autoforge.errors import BadInput
from autoforge.prompts.names import Reference, parse_reference
from autoforge.telemetry import levels, metrics
from autoforge.web import arrivals, compression, conditional
from autoforge.web.exchange import (
    SLOW_SECONDS,
    Headers,
    encoded_headers,
    log_request,
    with_coded_tag,
    with_common_headers,
)
from autoforge.web.middleware import request_id_of
from autoforge.web.responses import PRIVATE

PREFIX = "/api/v1/prompts/served/"
ROUTE = PREFIX + "{reference}"
PERMISSION = "prompts:read"
MOST_READY = 8_192
"""Addresses whose answers are kept ready, and callers that are known."""
_OVERHEAD = 3_000
"""About what an address takes besides: its path, its key and the headers of its answers."""

_LONGEST = 1_000
_UNUSUAL = frozenset(
    b"cookie,content-length,transfer-encoding,expect,if-match,idempotency-key,range,upgrade,x-profile".split(b",")
)
"""Requests with one of these go the ordinary way: it costs nothing to be right about them."""


def key_of(workspace_id: UUID, wanted: Reference) -> str:
    """Under which a served version is cached, as its tag and its body."""
    return cache_key("served", workspace_id, wanted.name, wanted.head, wanted.number)


def response_of(tag: str, body: bytes) -> Response:
    return Response(body, 200, {"ETag": tag, "Cache-Control": PRIVATE}, media_type="application/json")


@dataclass(slots=True)
class _Caller:
    """What follows from one value of the cache (``place`` is where): who has a key, and that they may read prompts."""

    place: str
    value: Any
    actor: Actor
    limited_as: str
    shelf: dict[bytes, _Ready]


@dataclass(slots=True, eq=False)
class _Ready:
    """An address of one workspace: where its prompt is in the cache, and what follows from the value there.

    ``forms`` are body and headers by encoding, ``unchanged`` those of a 304; they are for ``value`` alone. ``weight``
    is about how many bytes all of it takes. It stands on ``shelf`` under ``path``.
    """

    shelf: dict[bytes, _Ready]
    path: bytes
    key: str
    value: tuple[str, bytes]
    forms: dict[str | None, tuple[bytes, Headers]] = field(default_factory=dict)
    unchanged: Headers | None = None
    weight: int = 0


Form = tuple[int, bytes, Headers]
"""Status, body, and the headers that are the same each time."""
Limits = tuple[tuple[bytes, bytes], ...]
_Found = tuple[Form, Limits]


class Serving:
    """Wraps the application. ``hosts``, ``proxies`` and ``log_all`` are those of the edge.

    It passes everything on until it is opened. ``answered`` counts what it answered itself.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Iterable[str], proxies: Iterable[str] = (), log_all: bool = False
    ) -> None:
        self._app, self._hosts, self._log_all = app, frozenset(hosts), log_all
        self._proxies = arrivals.networks(proxies)
        self._cache: Cache | None = None
        self._gate: Gate | None = None
        self._callers: dict[bytes, _Caller] = {}
        self._shelves: dict[UUID, dict[bytes, _Ready]] = {}
        self._kept: dict[_Ready, None] = {}  # the one that was made longest ago first
        self.bytes = 0
        """About how many are kept: bodies (of which the cache may have let go), compressed ones, and headers."""
        self._most_bytes = 0
        self.answered = 0

    def open(self, cache: Cache, gate: Gate) -> None:
        self._cache, self._gate = cache, gate
        self._most_bytes = cache.near.most_bytes  # whatever is in memory there finds room here

    def close(self) -> None:
        self._cache = self._gate = None
        self._shelves.clear()
        self._callers.clear()
        self._kept.clear()
        self.bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            began = time.perf_counter()
            headers = dict(scope["headers"])
            if (found := self._found(scope, headers)) is not None:
                await self._send(scope, send, found, request_id_of(headers), began)
                return
        await self._app(scope, receive, send)

    async def _send(self, scope: Scope, send: Send, found: _Found, request_id: str, began: float) -> None:
        (status, body, fixed), limits = found
        timing = b'app;dur=%.1f, db;dur=0.0;desc="0"' % ((time.perf_counter() - began) * 1_000)
        headers = [*fixed, *limits, (b"x-request-id", request_id.encode()), (b"server-timing", timing)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        spent = time.perf_counter() - began
        self.answered += 1
        metrics.request_finished(scope["method"], ROUTE, status, spent)
        levels.request_finished("api", status, spent)
        if self._log_all or spent > SLOW_SECONDS:
            self._log(scope, status, spent, request_id)

    # --- from memory, or not at all -----------------------------------------------------------------------------------

    def _found(self, scope: Scope, headers: Mapping[bytes, bytes]) -> _Found | None:
        """None for what has to go the ordinary way; nothing has been counted then."""
        cache, gate = self._cache, self._gate
        if cache is None or gate is None or not self._is_usual(scope, headers):
            return None
        caller = self._caller(cache, gate, headers)
        if caller is None:
            return None
        ready = self._ready(cache, caller, scope["raw_path"])
        if ready is None:
            return None
        form = self._form(ready, headers, scope["method"] == "HEAD")
        limits = None if form is None else _limits(gate, caller)
        return None if form is None or limits is None else (form, limits)

    def _is_usual(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        return (
            scope["method"] in ("GET", "HEAD")
            and not scope["query_string"]
            and len(headers) == len(scope["headers"])  # none is there twice
            and _UNUSUAL.isdisjoint(headers)
            and arrivals.is_for_us(headers.get(b"host", b""), self._hosts)
        )

    def _caller(self, cache: Cache, gate: Gate, headers: Mapping[bytes, bytes]) -> _Caller | None:
        """Who asks, when the cache knows them and they may read prompts."""
        given = headers.get(b"authorization", b"")
        if given[:7].lower() != b"bearer " or not given.isascii():
            return None
        hashed = digest(gate.secret, given[7:].decode())
        known = self._callers.get(hashed)
        place = key_in_cache(hashed) if known is None else known.place
        value = cache.hit(place, Kind.ACCESS)
        if known is not None and known.value is value:
            return known
        if value is ABSENT or value is None:
            self._callers.pop(hashed, None)
            return None
        return self._admitted(hashed, place, value)

    def _admitted(self, hashed: bytes, place: str, value: Known) -> _Caller | None:
        actor = value[0]
        if not actor.may(PERMISSION):
            return None
        if len(self._callers) >= MOST_READY:
            self._callers.clear()
        shelf = self._shelves.setdefault(actor.workspace_id, {})
        made = self._callers[hashed] = _Caller(place, value, actor, limited_as("read", actor), shelf)
        return made

    def _ready(self, cache: Cache, caller: _Caller, raw_path: bytes) -> _Ready | None:
        """The address with the present value of its prompt, when that is in memory."""
        ready = caller.shelf.get(raw_path)
        key = _key(caller.actor.workspace_id, raw_path) if ready is None else ready.key
        if key is None:
            return None
        value = cache.hit(key, Kind.PROMPT)
        if ready is not None:
            if value is ready.value:
                return ready
            self._drop(ready)
        if value is ABSENT or value is None:  # not in memory, or known not to exist
            return None
        return self._prepared(_Ready(caller.shelf, raw_path, key, value))

    def _prepared(self, ready: _Ready) -> _Ready:
        """Keeps what follows from the value, in place of what was made ready longest ago where there is no room."""
        tag, body = ready.value
        response = response_of(tag, body).raw_headers
        ready.forms[None] = body, with_common_headers(response, dict(response), 200)
        ready.shelf[ready.path] = ready
        self._kept[ready] = None
        if len(self._kept) > MOST_READY:
            self._drop(next(iter(self._kept)))
        self._grow(ready, _OVERHEAD + 2 * len(ready.path) + len(body))
        return ready

    def _grow(self, ready: _Ready, size: int) -> None:
        if ready not in self._kept:  # larger than all the room: answered, and not kept
            return
        ready.weight += size
        self.bytes += size
        while self.bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, ready: _Ready) -> None:
        del ready.shelf[ready.path], self._kept[ready]
        self.bytes -= ready.weight

    # --- forms of the same answer -------------------------------------------------------------------------------------

    def _form(self, ready: _Ready, headers: Mapping[bytes, bytes], head: bool) -> Form | None:
        """None for a large body that has to be compressed."""
        accepted = headers.get(b"accept-encoding")
        encoding = None if accepted is None else compression.chosen_encoding(accepted)
        seen = headers.get(b"if-none-match")
        if seen is not None and self._is_seen(ready, seen, encoding):
            fixed = ready.unchanged or _unchanged(ready)
            return 304, b"", fixed if encoding is None else with_coded_tag(fixed, dict(fixed), encoding, seen)
        if head:
            return 200, b"", ready.forms[None][1]
        form = ready.forms.get(encoding) or self._encode(ready, encoding)
        return None if form is None else (200, *form)

    def _is_seen(self, ready: _Ready, seen: bytes, encoding: str | None) -> bool:
        plain = seen if encoding is None or b"-" not in seen else compression.plain_tags(seen, encoding)
        return conditional.names(plain.decode("latin-1"), ready.value[0])

    def _encode(self, ready: _Ready, encoding: str | None) -> tuple[bytes, Headers] | None:
        assert encoding is not None
        plain, headers = ready.forms[None]
        if len(plain) >= compression.IN_THREAD_BYTES:
            return None
        if not compression.worth_it(200, dict(headers)):
            ready.forms[encoding] = ready.forms[None]
            return ready.forms[None]
        body = compression.compressor(encoding).piece(plain, True)
        raw = encoded_headers(response_of(*ready.value).raw_headers, encoding, len(body))
        form = ready.forms[encoding] = body, with_common_headers(raw, dict(raw), 200)
        self._grow(ready, len(body))
        return form

    def _log(self, scope: Scope, status: int, spent: float, request_id: str) -> None:
        if self._proxies:
            arrivals.forwarded(scope, dict(scope["headers"]), self._proxies)
        client = scope.get("client")
        log_request(
            spent > SLOW_SECONDS,
            spent,
            method=scope["method"],
            path=scope["path"],
            status=status,
            statements=0,
            client=client[0] if client else "",
            request_id=request_id,
        )


def _key(workspace_id: UUID, raw_path: bytes) -> str | None:
    """Where the cache keeps what is at an address; None for one that the route must explain or decode."""
    if b"%" in raw_path or not raw_path.isascii() or len(raw_path) > _LONGEST:
        return None
    try:
        return key_of(workspace_id, parse_reference(raw_path.decode().removeprefix(PREFIX)))
    except BadInput:
        return None


def _unchanged(ready: _Ready) -> Headers:
    """The headers of a 304, made when somebody asks for one: most addresses never do."""
    headers = conditional.unchanged(ready.value[0]).raw_headers
    ready.unchanged = with_common_headers(headers, dict(headers), 304)
    return ready.unchanged


def _limits(gate: Gate, caller: _Caller) -> Limits | None:
    """The fields that tell the caller's limit, once this request is counted; None when memory cannot say."""
    if gate.budgets.most == 0:
        return ()
    taken = gate.budgets.take_held(caller.limited_as)
    return None if taken is None else limit_fields(gate.budgets.most, *taken)
