"""A span per request, around everything else; part of the application only where traces are sent."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autoforge.telemetry import metrics, traces
from autoforge.web.exchange import route_of


class Traced:
    """Wraps the application. ``unrouted`` are the routes of what is answered before routing, by prefix of the path."""

    def __init__(self, app: ASGIApp, unrouted: Mapping[str, str]) -> None:
        self._app, self._unrouted = app, unrouted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or traces.tracer is None:
            await self._app(scope, receive, send)
            return
        status, method = 0, scope["method"] if scope["method"] in metrics.METHODS else "_OTHER"

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        about = {"url.path": scope["path"], "url.scheme": scope["scheme"]}
        with traces.request(method, headers, about) as span:
            tokens = structlog.contextvars.bind_contextvars(trace_id=traces.trace_id(span))
            try:
                await self._app(scope, receive, noting)
            finally:
                traces.answered(span, method, self._route(scope), status)
                structlog.contextvars.reset_contextvars(**tokens)

    def _route(self, scope: Scope) -> str | None:
        found = route_of(scope)
        if found != metrics.UNMATCHED:
            return found
        return next((route for prefix, route in self._unrouted.items() if scope["path"].startswith(prefix)), None)
