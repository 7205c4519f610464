"""The request as what the process is doing: statements that run meanwhile are told to be its own.

:func:`begin` before the application is called, :func:`end` when the answer is out.
"""

from __future__ import annotations

from contextvars import Token

from starlette.types import Scope

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
