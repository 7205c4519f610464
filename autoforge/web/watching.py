"""The request as what the process is doing: statements that run meanwhile are told to be its own.

:func:`begin` before the application is called, :func:`end` when the answer is out.
"""

from __future__ import annotations

from contextvars import Token
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from autoforge.telemetry.n_plus_one import WATCH
from autoforge.telemetry.work import CURRENT, Work
from autoforge.web.exchange import route_of

Begun = Token[Work | None]


class Asking(Work):
    """One request."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Scope) -> None:
        super().__init__("", WATCH.chosen())
        self._scope = scope

    def find_name(self) -> str:
        """``GET /api/v1/prompts/{prompt_id}``, once the route was found."""
        found = f"{self._scope['method']} {route_of(self._scope)}"
        if self._scope.get("endpoint") is not None:
            self.name = found
        return found


def begin(scope: Scope) -> Begun:
    return CURRENT.set(Asking(scope))


def end(begun: Begun) -> None:
    work = CURRENT.get()
    CURRENT.reset(begun)
    if work is not None and work.suspects:
        WATCH.finished(work)


# --- profiles ---------------------------------------------------------------------------------------------------------


class Profiling(Protocol):
    """Who makes profiles of requests: of the next one whose address begins with ``path``, and of those that ask."""

    @property
    def path(self) -> str: ...

    async def call(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None: ...


_profiling: Profiling | None = None


def profile_with(profiling: Profiling | None) -> None:
    global _profiling
    _profiling = profiling


async def call(app: ASGIApp, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
    """Calls the application; profiled when somebody asks for that, who may be told no."""
    profiling = _profiling
    if profiling is not None and (b"x-profile" in headers or (profiling.path and _begins(scope, profiling.path))):
        await profiling.call(app, scope, receive, send)
    else:
        await app(scope, receive, send)


def _begins(scope: Scope, path: str) -> bool:
    return str(scope["path"]).startswith(path)
