"""First come, first served, and not everybody: the queue in front of something that few can use at once.

SQLAlchemy's asynchronous pool lets newcomers overtake those who wait, which under load makes some wait for seconds.
This line does not; and it turns work away, with ``Overloaded``, once waiting has become pointless.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from autoforge.errors import Overloaded
from autoforge.settings import DatabaseSettings
from autoforge.telemetry import families, metrics


class Place(Protocol):
    """Where only some may work at once, such as the requests of a server."""

    def step_out(self) -> bool:
        """Somebody else may have the place meanwhile; False when there is none to give."""
        ...

    def step_in(self) -> None: ...


place: ContextVar[Place | None] = ContextVar("place", default=None)
"""The place of whoever works here."""


@contextmanager
def no_place_meanwhile() -> Iterator[None]:
    """Who waits for the disk or for others needs no processor: the place goes to somebody who does."""
    mine = place.get()
    if mine is None or not mine.step_out():
        yield
        return
    try:
        yield
    finally:
        mine.step_in()


@dataclass(slots=True, eq=False)
class Waiting:
    """Somebody in the line. ``alone`` is for the caller's use: the writer lets such a one share with nobody."""

    called: asyncio.Future[None]
    alone: bool


def _nobody_listens(seconds: float) -> None: ...


class Line:
    """Who waits, in order of arrival.

    ``refused`` counts who was turned away; ``waited`` is told how many seconds each of the others waited.
    """

    __slots__ = ("_closed", "_patience", "_waited", "_waiting", "_what", "longest", "refused")

    def __init__(
        self, what: str, *, longest: int, patience: float, waited: Callable[[float], object] = _nobody_listens
    ) -> None:
        self._what = what
        self.longest = longest
        self.refused = 0
        self._waited = waited
        self._patience = patience
        self._waiting: deque[Waiting] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> Waiting | None:
        return self._waiting[0] if self._waiting else None

    async def wait(self, declined: Callable[[], None], *, alone: bool = False) -> None:
        """Return when called. ``declined`` is called instead when the turn came, but the task had been cancelled."""
        self.check_open()
        if len(self._waiting) >= self.longest:
            self.refused += 1
            raise Overloaded(f"{len(self._waiting)} are waiting for {self._what} already")
        loop, began = asyncio.get_running_loop(), time.perf_counter()
        me = Waiting(loop.create_future(), alone)
        self._waiting.append(me)
        timer = loop.call_later(self._patience, self._send_away, me, f"waited {self._patience:g} s for {self._what}")
        try:
            await me.called
            self._waited(time.perf_counter() - began)
        except asyncio.CancelledError:
            if me.called.done() and not me.called.cancelled() and me.called.exception() is None:
                declined()
            elif me in self._waiting:
                self._waiting.remove(me)
            raise
        finally:
            timer.cancel()

    def call_next(self) -> bool:
        """It is the turn of the first who still waits; False when nobody does."""
        while self._waiting:
            next_one = self._waiting.popleft()
            if not next_one.called.done():
                next_one.called.set_result(None)
                return True
        return False

    def check_open(self) -> None:
        if self._closed:
            raise Overloaded(f"{self._what}: shutting down")

    def close(self) -> None:
        """Send away all who wait and all who come."""
        self._closed = True
        for waiting in list(self._waiting):
            self._send_away(waiting, f"{self._what}: shutting down")

    def _send_away(self, waiting: Waiting, why: str) -> None:
        if not waiting.called.done():
            waiting.called.set_exception(Overloaded(why))
            self.refused += 1
        if waiting in self._waiting:
            self._waiting.remove(waiting)


def connection_line(settings: DatabaseSettings, pool: str) -> Line:
    """The line in front of the connections; ``pool`` is their name in metrics."""
    return Line(
        "a database connection",
        longest=settings.pool_queue,
        patience=settings.pool_timeout,
        waited=lambda seconds: metrics.observe(families.POOL_WAIT, seconds, pool),
    )


class Gate:
    """Lets ``places`` in at once and keeps the others in line."""

    __slots__ = ("_empty", "_free", "_line", "places")

    def __init__(self, line: Line, places: int) -> None:
        self._line = line
        self._free = places
        self._empty: asyncio.Future[None] | None = None
        self.places = places

    @property
    def waiting(self) -> int:
        return len(self._line)

    @property
    def refused(self) -> int:
        """How many were turned away so far."""
        return self._line.refused

    @property
    def inside(self) -> int:
        return self.places - self._free

    def try_enter(self) -> bool:
        """Enter without waiting, unless somebody else waits already."""
        if self._free and not len(self._line):
            self._line.check_open()
            self._free -= 1
            return True
        return False

    async def enter(self) -> None:
        if not self.try_enter():
            await self._line.wait(self.leave)

    def leave(self) -> None:
        if not self._line.call_next():
            self._free += 1
            if self._empty is not None and self._free == self.places and not self._empty.done():
                self._empty.set_result(None)

    def close(self) -> None:
        self._line.close()

    async def emptied(self) -> None:
        """After :meth:`close`: return when all who are inside have left."""
        if self._free < self.places:
            self._empty = asyncio.get_running_loop().create_future()
            await self._empty
