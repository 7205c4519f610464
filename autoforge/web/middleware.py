"""The outermost layer of every request, as one plain ASGI wrapper.

It gives the request its id, turns away what is not for us (:mod:`autoforge.web.arrivals`), bounds the body, counts the
statements that the request makes, and stands in the way out (:mod:`autoforge.web.exchange`). One wrapper instead of
six: each of Starlette's BaseHTTPMiddleware would halve the throughput (measured, see docs/decisions.md), and reading a
response's body there would break streaming.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from autoforge.db import admission
from autoforge.db.ids import random_bits
from autoforge.db.trace import count_statements
from autoforge.errors import Overloaded
from autoforge.web import arrivals, compression, problems, watching
from autoforge.web.arrivals import Refused
from autoforge.web.exchange import Exchange, HeadAnswered
from autoforge.web.turnstile import Turnstile

log = structlog.get_logger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,100}")


class Edge:
    """Wraps the application.

    ``hosts`` are the host names that it answers to, ``most_bytes`` bounds a body, ``proxies`` are the networks whose
    ``X-Forwarded-For`` is believed; ``log_all`` writes a line per request, not only for the slow ones; ``turnstile``
    says how many are worked on at once.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str],
        most_bytes: int,
        proxies: Iterable[str] = (),
        log_all: bool = False,
        turnstile: Turnstile | None = None,
    ) -> None:
        self._turnstile = turnstile or Turnstile()
        self._app, self._hosts, self._most, self._log_all = app, frozenset(hosts), most_bytes, log_all
        self._proxies = arrivals.networks(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        scope["request_id"] = request_id_of(headers)
        if self._proxies:
            arrivals.forwarded(scope, headers, self._proxies)
        tokens = structlog.contextvars.bind_contextvars(request_id=scope["request_id"])
        with count_statements() as statements:
            exchange = Exchange(scope, send, statements, log_all=self._log_all)
            begun = watching.begin(scope)
            try:
                await self._answer(scope, headers, receive, exchange)
            finally:
                if exchange.place is not None:
                    exchange.place.leave()
                exchange.finished()
                watching.end(begun)
                structlog.contextvars.reset_contextvars(**tokens)

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, exchange: Exchange) -> None:
        try:
            arrivals.check(scope, headers, self._hosts, self._most)
            _negotiate(scope, headers, exchange)
            if scope["method"] == "HEAD":
                scope["method"] = "GET"  # Exchange keeps the body back
            keyed = scope if b"idempotency-key" in headers else None
            exchange.place = place = await self._turnstile.enter(scope)
            if place is not None and scope["method"] not in arrivals.SAFE:
                receive = place.outside(receive)
                admission.place.set(place)
            bounded = arrivals.bounded(receive, self._most, keyed)
            await watching.call(self._app, scope, headers, bounded, exchange.send)
        except Overloaded as error:
            response = await problems.expected(Request(scope), error)
            await response(scope, receive, exchange.send)
        except Refused as refused:
            response = problems.refused(Request(scope), refused)
            await response(scope, receive, exchange.send)
        except HeadAnswered:
            pass
        except ClientDisconnect:
            log.debug("the client went away", path=scope["path"])
        except Exception as error:
            if exchange.started:
                raise  # the server cuts the connection, so that half an answer is not taken for a whole one
            response = await problems.unexpected(Request(scope), error)
            await response(scope, receive, exchange.send)


def _negotiate(scope: Scope, headers: dict[bytes, bytes], exchange: Exchange) -> None:
    """What the client takes; tags that name an encoding become the ones that routes know."""
    accepted = headers.get(b"accept-encoding")
    encoding = compression.chosen_encoding(accepted) if accepted is not None else None
    seen, guard = headers.get(b"if-none-match", b""), headers.get(b"if-match", b"")
    exchange.encode(encoding, seen)
    if b"-" not in seen and b"-" not in guard:
        return
    changed = {b"if-match": compression.plain_tags(guard)}
    if encoding is not None:
        changed[b"if-none-match"] = compression.plain_tags(seen, encoding)
    scope["headers"] = [(name, changed.get(name, value)) for name, value in scope["headers"]]


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """The caller's own id when it is harmless to log, else a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return f"{random_bits():016x}{random_bits():016x}"
