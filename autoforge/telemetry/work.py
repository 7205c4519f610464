"""What the process is doing just now: which request or job a statement belongs to.

Whoever begins a request or a job sets :data:`CURRENT`; the tasks that it starts inherit it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any


class Work:
    """One request or job. ``name`` is a route such as ``GET /api/v1/prompts/{prompt_id}`` or ``job users.import``.

    ``asked`` collects the statements of one that is looked at closely (:mod:`autoforge.telemetry.n_plus_one`), else it
    is None; ``suspects`` are those that were repeated too often.
    """

    __slots__ = ("asked", "name", "suspects")

    def __init__(self, name: str = "", asked: dict[Any, list[Any]] | None = None) -> None:
        self.name = name
        self.asked = asked
        self.suspects: list[Any] | None = None

    def find_name(self) -> str:
        """For requests: the route is known only once it has been found."""
        return self.name


CURRENT: ContextVar[Work | None] = ContextVar("current_work", default=None)
