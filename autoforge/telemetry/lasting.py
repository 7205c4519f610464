"""What lasts is said once, and not at every try: a full disk, a database that is away.

Who reads the log wants the cause, when it began and when it was over; a line, or a traceback, for each request and
each try would bury these.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from autoforge.errors import DatabaseTimeout, Overloaded

AGAIN = 5.0
"""Seconds after which a fault that goes on is said again."""
_MOST = 50
"""Kinds of faults that are told apart; beyond, the one that was said longest ago is forgotten."""


class Seldom:
    """Decides which of many equal lines are written. ``clock`` tells seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}  # when, and how many were left out since

    def left_out(self, kind: str) -> int | None:
        """How many lines of this kind were left out since the last one; None when this one is to be left out too."""
        now = self._clock()
        said, left_out = self._said.get(kind, (float("-inf"), 0))
        if now - said < AGAIN:
            self._said[kind] = said, left_out + 1
            return None
        self._said.pop(kind, None)
        if len(self._said) >= _MOST:
            del self._said[next(iter(self._said))]
        self._said[kind] = now, 0
        return left_out


class Outage:
    """Of work that is tried again and again: a line when it begins to fail, and one when it succeeds again.

    That holds for a database that is away or too busy. Any other error is a fault of ours: its traceback, each time.
    ``what`` says what cannot be done, and ``again`` what goes on once it is over.
    """

    def __init__(self, log: logging.Logger, what: str, again: str) -> None:
        self._log, self._what, self._again = log, what, again
        self._began: float | None = None

    def failed(self, error: Exception) -> None:
        """A try failed, with this error."""
        if not isinstance(error, Overloaded | DatabaseTimeout):
            self._log.error("%s; trying again", self._what, exc_info=error)
        elif self._began is None:
            self._began = time.monotonic()
            self._log.warning("%s; trying again until it succeeds: %s", self._what, error)

    def over(self) -> None:
        """A try succeeded."""
        if self._began is not None:
            self._log.warning("%s, after %.1f s", self._again, time.monotonic() - self._began)
            self._began = None
