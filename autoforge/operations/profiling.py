"""Profiles of requests and of the whole server, for those who may ask for them."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from autoforge.access.deps import identify
from autoforge.errors import AutoforgeError, BadInput, Conflict
from autoforge.queue import REGISTRY
from autoforge.telemetry.profiles import KINDS, LONGEST, PROFILES, Running
from autoforge.web.exchange import route_of

NEEDED = "server:write"
"""What one must be allowed to do to have a profile made."""
_tasks: set[asyncio.Task[None]] = set()


class Profiling:
    """Stands where :mod:`autoforge.web.watching` asks whether a request is to be profiled."""

    @property
    def path(self) -> str:
        return PROFILES.path

    async def call(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request, and profiles it when an admin asked for that; for others the header says nothing."""
        by = await self._who_asks(scope)
        running = PROFILES.begin("request", scope["path"], by) if by else None
        if running is None:
            await app(scope, receive, send)
            return
        address = f"/operations/profiles/{running.id}".encode()
        scope.setdefault("autoforge.headers", []).append((b"x-profile", address))
        timer = asyncio.get_running_loop().call_later(LONGEST, running.stop)
        try:
            await app(scope, receive, send)
        finally:
            timer.cancel()
            running.what = f"{scope['method']} {route_of(scope)}"  # the address itself may hold anything
            running.stop()

    @staticmethod
    async def _who_asks(scope: Scope) -> str:
        """The name of the admin, "" when nobody who may asked."""
        if any(name == b"x-profile" for name, _ in scope["headers"]):
            try:
                actor = await identify(Request(scope))
            except AutoforgeError:
                return ""
            return actor.user_name if actor.may(NEEDED) else ""
        order = PROFILES.take("request", scope["path"].startswith)
        return "" if order is None else str(order["by"])


def ask(kind: str, what: str, by: str) -> str:
    """Begins a profile or orders one; says which. ``what`` is seconds, a task or how an address begins.

    BadInput for what cannot be profiled, Conflict while another one is being made.
    """
    if kind not in KINDS:
        raise BadInput.at("/kind", f"A profile is one of {', '.join(KINDS)}.")
    if kind == "server":
        _of_the_server(_seconds(what), by)
        return f"The server is profiled for {what} seconds."
    if kind == "job":
        task = REGISTRY.get(what)
        if task is None or task.process:
            raise BadInput.at("/what", "There is no such task, or it runs in a process of its own.")
        PROFILES.order("job", what, by)
        return f"The next run of {what} is profiled."
    if not what.startswith("/") or len(what) > 500:
        raise BadInput.at("/what", "An address begins with a slash, such as /api/v1/prompts.")
    PROFILES.order("request", what, by)
    return f"The next request to {what} is profiled."


def _seconds(what: str) -> int:
    if not what.isascii() or not what.isdigit() or not 1 <= int(what[:4]) <= LONGEST or len(what) > 4:
        raise BadInput.at("/what", f"The server can be profiled for 1 to {LONGEST} seconds.")
    return int(what)


def _of_the_server(seconds: int, by: str) -> None:
    running = PROFILES.begin("server", f"{seconds} s", by)
    if running is None:
        raise Conflict("A profile is being made already; there is one at a time.")
    task = asyncio.create_task(_stop_after(running, seconds), context=Context())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _stop_after(running: Running, seconds: int) -> None:
    await asyncio.sleep(seconds)
    running.stop()


def profilable() -> list[Any]:
    """Tasks whose next run can be profiled, by name."""
    return sorted((task for task in REGISTRY if not task.process), key=lambda task: task.name)
