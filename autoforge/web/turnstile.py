"""How many requests are worked on at once, and who is turned away when more come than can be answered in time.

Every request that is let in makes all others slower, and one that waits for seconds is often asked again. So only some
are worked on at once, and the others wait in line, first come, first served. A burst may wait for a second. When for
that long everybody has waited longer than a moment (0.15 s as it is set), or for a fifth of it while a long line grew,
it is no burst: then nobody waits longer than that moment, and who would have to is answered 503 at once, with
``Retry-After``, before any work was done for them. Those who are let in are answered in time, and when fewer come,
everything is as before within a second. (The idea is that of CoDel, RFC 8289: a queue that drains is useful, one that
stands only delays.)

Requests that wait for their sender or for SQLite's writer, and answers that last, have no place while they do.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Message, Receive, Scope

from autoforge.errors import Overloaded
from autoforge.telemetry import families, metrics
from autoforge.telemetry.levels import kind_of

LONGEST = 4_096
"""How many may wait at all."""
_MANY = 8
"""Times the places: that many requests of those that go first may be worked on at once."""
_MOMENT = 0.05
"""Seconds that a sender may take for the next part of a body before the place is somebody else's."""
_GROWN, _SHORT = 1.1, 64
"""Times its length: less may be chance. A shorter line is that of a slow moment, and not of too many who come."""


@dataclass(slots=True, eq=False)
class _Waiting:
    since: float
    called: asyncio.Future[None]


class Turnstile:
    """``places`` requests at once (0: all), ``burst`` and ``patience`` in seconds; ``clock`` tells them.

    Those whose path begins with one of ``first`` go before all others, unless there are very many of them.
    """

    def __init__(
        self,
        places: int = 0,
        burst: float = 1.0,
        patience: float = 0.04,
        *,
        first: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places, self._burst, self._patience, self._clock = places, burst, patience, clock
        self._first = first
        self._line: deque[_Waiting] = deque()
        self._since = 0.0  # since then nobody was let in without a long wait
        self._until = 0.0  # nobody waits long until then
        self._looked = self._since, 0  # when the line was looked at whether it grows, and how long it was
        self._called = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.inside = 0
        self.turned_away = 0

    @property
    def waiting(self) -> int:
        return len(self._line)

    async def enter(self, scope: Scope) -> Place | None:
        """A place, to be left; None for what never waits. Overloaded when it would take too long."""
        if not self._places or kind_of(scope["path"], False) == "beside":
            return None
        if self._first and scope["path"].startswith(self._first) and self.inside < _MANY * self._places:
            self.inside += 1
        elif self._line or self.inside >= self._places:
            await self._wait()
        else:
            self.inside += 1
        return Place(self)

    async def _wait(self) -> None:
        if len(self._line) >= LONGEST:
            raise self._refusal(self._clock())
        loop, now = asyncio.get_running_loop(), self._clock()
        if not self._line:
            self._since = now
        me = _Waiting(now, loop.create_future())
        self._line.append(me)
        if self._timer is None:
            self._timer = loop.call_later(self._patience, self._look)
        try:
            await me.called
        except asyncio.CancelledError:
            if me.called.done() and not me.called.cancelled() and me.called.exception() is None:
                self.leave()
            raise

    def leave(self) -> None:
        self.inside -= 1
        self.call()

    def back(self) -> None:
        """Somebody goes on with their work, whether there is a place or not: they have waited already."""
        self.inside += 1

    def call(self) -> None:
        """Whoever's turn it is; those who waited for too long are turned away."""
        now, line = self._clock(), self._line
        longest = self._longest(now) if line else 0.0
        while line:
            first = line[0]
            if not first.called.done():
                if now - first.since > longest:
                    first.called.set_exception(self._refusal(now))
                    longest = self._patience
                elif self.inside < self._places:
                    if now - first.since <= self._patience:
                        self._since = now
                    self.inside += 1
                    first.called.set_result(None)
                else:
                    return
            line.popleft()

    def _longest(self, now: float) -> float:
        """How long one may have waited at most."""
        if now - self._since >= self._burst or self._grows(now):
            self._until = now + self._burst
        return self._patience if now < self._until else self._burst

    def _grows(self, now: float) -> bool:
        """Whether the line is longer than it was a fifth of a burst ago, with long waits all that time.

        After a moment in which nothing happened at all (the machine stood still) everybody comes at once: that is
        counted anew.
        """
        since, length = self._looked
        stood_still, self._called = now - self._called > self._patience, now
        if stood_still or since < self._since:  # or somebody was let in without a long wait
            self._looked = now, len(self._line)
        elif now - since >= self._burst / 5:
            self._looked = now, len(self._line)
            return now - self._since > self._patience and len(self._line) >= max(_GROWN * length, _SHORT)
        return False

    def _refusal(self, now: float) -> Overloaded:
        self._until = now + self._burst
        self.turned_away += 1
        metrics.add(families.SHED)
        return Overloaded("More is asked than can be answered in time.")

    def _look(self) -> None:
        """When nobody leaves, those who wait are told all the same."""
        self._timer = None
        self.call()
        if self._line:
            self._timer = asyncio.get_running_loop().call_later(self._patience, self._look)


class Place:
    """Of one request; ``leave`` may be called more than once."""

    __slots__ = ("_has", "_turnstile")

    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile, self._has = turnstile, True

    def leave(self) -> None:
        if self._has:
            self._has = False
            self._turnstile.leave()

    def step_out(self) -> bool:
        """Gives the place away for a while; False when it is given up already."""
        if had := self._has:
            self.leave()
        return had

    def step_in(self) -> None:
        """Goes on, after :meth:`step_out`."""
        self._turnstile.back()
        self._has = True

    def outside(self, receive: Receive) -> Receive:
        """The same messages; while the sender keeps one waiting, somebody else has the place."""

        async def read() -> Message:
            had = self._has
            timer = asyncio.get_running_loop().call_later(_MOMENT, self.leave)
            try:
                return await receive()
            finally:
                timer.cancel()
                if had and not self._has:
                    self.step_in()

        return read
