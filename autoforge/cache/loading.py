"""``get_or_load`` and ``forget``: the near cache, Redis behind it where there is one, and one computation for many."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from autoforge.cache.near import ABSENT, Entry, Near, weight_of
from autoforge.cache.stamps import Mark, Stamps, slots_of
from autoforge.cache.ttl import Kind
from autoforge.telemetry import families, metrics, traces

if TYPE_CHECKING:
    from autoforge.cache.far import Far, Right, Seen

T = TypeVar("T")
Load = Callable[[], Awaitable[Any]]
Lasts = Callable[[Any], float]
"""For how many seconds a value holds by itself, whatever its kind allows."""

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds to wait for another process that computes; then one computes for oneself."""
_LATELY = 0.5
"""Seconds within which it does not matter which value was used last."""
_POLL = (0.002, 0.025)
_MOST_TIMERS = 256


@dataclass(slots=True)
class Counts:
    """Of one kind, since the start of the process.

    ``hits`` in this process, ``misses`` not in this process, ``far_hits`` of those in Redis, ``loads`` computed here,
    ``shared`` joined to a computation that ran already, ``renewed`` computed ahead of the end, ``stale`` there but too
    old or forgotten. ``seconds`` is what the loads took in all.
    """

    hits: int = 0
    misses: int = 0
    loads: int = 0
    far_hits: int = 0
    shared: int = 0
    renewed: int = 0
    stale: int = 0
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class _Flight:
    """One computation, or the wait for another process's. ``mark`` and ``began`` are of its last look at the stamps."""

    key: str
    kind: Kind
    tags: tuple[str, ...]
    load: Load
    renewing: bool
    mark: Mark
    began: float
    lasts: Lasts | None = None
    task: asyncio.Task[Any] | None = None


def cache_key(*parts: object) -> str:
    """A key that every process builds alike, from values whose text is stable (strings, numbers, ids, None)."""
    return "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)


class Cache:
    """One per process. ``entries`` bounds the number of near values, ``size`` their bytes in all."""

    def __init__(
        self,
        stamps: Stamps | None = None,
        *,
        entries: int = 20_000,
        size: int = 32 * 1024 * 1024,
        far: Far | None = None,
    ) -> None:
        self.stamps = stamps or Stamps()
        self.counts = {kind: Counts() for kind in Kind}
        self.near = Near(entries, size)
        self.far = far
        self._link = None if far is None else far.link
        self._flights: dict[str, _Flight] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def get(self, key: str, kind: Kind, default: Any = None) -> Any:
        """The fresh value of ``key`` in this process, or ``default``. A cached None, 0 or empty list is a hit."""
        found = self.hit(key, kind)
        if found is not ABSENT:
            return found
        self.counts[kind].misses += 1
        return default

    def hit(self, key: str, kind: Kind) -> Any:
        """:meth:`get`, or ABSENT: for who goes on to ask by :meth:`get_or_load`, which counts the miss."""
        entries = self.near.entries
        if (entry := entries.get(key)) is not None:
            now = time.monotonic()
            if entry.expires <= now or not self.stamps.hold(entry.mark):
                self.near.drop(key)
                self.counts[kind].stale += 1
            elif self._link is None or entry.certain > now or self._link.trusted_until > now:
                self.counts[kind].hits += 1
                if entry.used + _LATELY < now:
                    del entries[key]
                    entries[key] = entry
                    entry.used = now
                entry.asked = True
                return entry.value
        return ABSENT

    async def get_or_load(
        self,
        key: str,
        kind: Kind,
        tags: Iterable[str],
        load: Callable[[], Awaitable[T]],
        lasts: Callable[[T], float] | None = None,
    ) -> T:
        """The value of ``key``, computed by ``load`` when there is no fresh one.

        ``lasts`` tells for how many seconds a computed value holds where that may be less than its kind allows.
        The computation is a task of its own: one waiter that goes away does not take it from the others. A waiter
        that comes after a tag was forgotten does not join a computation that began before.
        """
        found = self.get(key, kind, ABSENT)
        if found is not ABSENT:
            if kind.ahead:
                self._renew_in_time(key, kind, tuple(tags), load, lasts)
            return found  # type: ignore[no-any-return]
        flight = self._flights.get(key)
        if flight is not None and self._may_join(flight):
            self.counts[kind].shared += 1
        else:
            flight = self._start(key, kind, tuple(tags), load, lasts)
        assert flight.task is not None
        return await asyncio.shield(flight.task)

    def forget(self, *tags: str) -> None:
        """Makes every value that carries one of the tags unservable: on this host at once, elsewhere through Redis."""
        self.stamps.change(tags)
        if self._link is not None:
            self._link.tell(slots_of(tags))

    def forgotten(self, tags: Iterable[str]) -> None:
        """:meth:`forget`, as ``Database.touched`` calls it after a commit."""
        self.forget(*tags)

    def close(self) -> None:
        """Ends what would happen later."""
        while self._timers:
            self._timers.popitem()[1].cancel()

    # --- computations -------------------------------------------------------------------------------------------------

    def _may_join(self, flight: _Flight) -> bool:
        now = time.monotonic()
        if not self.stamps.hold(flight.mark):
            return False
        certain = self._link is None or self._link.trusted_until > now
        return flight.began + (flight.kind.seconds if certain else flight.kind.alone) > now

    def _start(
        self,
        key: str,
        kind: Kind,
        tags: tuple[str, ...],
        load: Load,
        lasts: Lasts | None = None,
        *,
        renewing: bool = False,
    ) -> _Flight:
        flight = _Flight(key, kind, tags, load, renewing, self.stamps.read(tags), time.monotonic(), lasts)
        self._flights[key] = flight
        flight.task = asyncio.ensure_future(self._fly(flight))
        flight.task.add_done_callback(lambda done: self._landed(flight, done))
        return flight

    def _landed(self, flight: _Flight, task: asyncio.Task[Any]) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        if not task.cancelled():
            error = task.exception()  # seen here, so that a load that nobody waits for any more is not lost with noise
            if error is not None and flight.renewing:
                log.warning("a value could not be computed ahead of its end: %s", error)

    async def _fly(self, flight: _Flight) -> Any:
        far = self.far
        if far is None or not flight.kind.shared or not far.link.up:
            return await self._compute(flight)
        slots = slots_of(flight.tags)
        seen, right = await self._look(flight, far, slots)
        if right is None:
            if seen is not None and seen.value is not ABSENT:
                return seen.value
            return await self._compute(flight)
        assert seen is not None
        try:
            value = await self._compute(flight)
            left = flight.began + flight.kind.seconds - time.monotonic()
            await far.store(flight.key, seen.stamps, value, left)
        finally:
            await far.release(right)
        return value

    async def _look(self, flight: _Flight, far: Far, slots: tuple[int, ...]) -> tuple[Seen | None, Right | None]:
        """What Redis has, or the right to compute it; neither when one has to do without Redis.

        The stamps of this process, then those of Redis, are read before the load that follows. No connection to the
        database is held while waiting.
        """
        give_up, pause = flight.began + PATIENCE, _POLL[0]
        while True:
            flight.mark, flight.began = self.stamps.read(flight.tags), time.monotonic()
            if self.stamps.untold(slots):
                far.link.tell(slots)  # changed on this host, and Redis does not know yet
                return None, None
            seen = await far.fetch(flight.key, slots)
            if seen is None or self._take(flight, seen):
                return seen, None
            asked = await far.acquire(flight.key, seen.stamps, slots)
            if asked is None:
                return None, None
            right, now = asked
            is_there = self._take(flight, now)
            if right is not None:
                if not is_there and now.stamps == seen.stamps:
                    return seen, right
                await far.release(right)
            if is_there:
                return now, None
            if flight.renewing and seen.value is not ABSENT:
                return seen, None  # another process renews it; this value is good until then
            if time.monotonic() > give_up:
                return None, None
            await asyncio.sleep(pause * (0.5 + random.random()))
            pause = min(pause * 1.5, _POLL[1])

    def _take(self, flight: _Flight, seen: Seen) -> bool:
        """Keeps what Redis had; False when it had nothing, or what is about to end."""
        if seen.value is ABSENT or (flight.renewing and seen.left <= flight.kind.ahead):
            return False
        self.counts[flight.kind].far_hits += 1
        self._put(flight, seen.value, flight.began + seen.left)
        return True

    async def _compute(self, flight: _Flight) -> Any:
        self.counts[flight.kind].loads += 1
        self.counts[flight.kind].renewed += flight.renewing
        began = time.perf_counter()
        with traces.span(f"cache load {flight.kind.label}", autoforge__cache__kind=flight.kind.label):
            value = await flight.load()
        seconds = time.perf_counter() - began
        self.counts[flight.kind].seconds += seconds
        metrics.observe(families.CACHE_LOAD_SECONDS, seconds, flight.kind.label)
        most = flight.kind.seconds if flight.lasts is None else min(flight.kind.seconds, flight.lasts(value))
        self._put(flight, value, flight.began + most)
        return value

    def _put(self, flight: _Flight, value: Any, expires: float) -> None:
        certain = flight.began + flight.kind.alone
        self.near.put(flight.key, Entry(value, flight.mark, expires, certain, weight_of(flight.key, value)))
        if flight.kind.ahead:
            self._set_timer(flight, expires - flight.kind.ahead)

    # --- ahead of the end ---------------------------------------------------------------------------------------------

    def _renew_in_time(self, key: str, kind: Kind, tags: tuple[str, ...], load: Load, lasts: Lasts | None) -> None:
        entry = self.near.entries.get(key)
        if entry is not None and entry.expires - kind.ahead <= time.monotonic() and key not in self._flights:
            self._start(key, kind, tags, load, lasts, renewing=True)

    def _set_timer(self, flight: _Flight, moment: float) -> None:
        """What was asked for since it was computed is computed again in time, even when nobody asks just then."""
        if (timer := self._timers.pop(flight.key, None)) is not None:
            timer.cancel()
        if len(self._timers) < _MOST_TIMERS:
            delay = max(1.0, moment - time.monotonic())
            self._timers[flight.key] = asyncio.get_running_loop().call_later(delay, self._timer_rang, flight)

    def _timer_rang(self, flight: _Flight) -> None:
        self._timers.pop(flight.key, None)
        entry = self.near.entries.get(flight.key)
        if entry is not None and entry.asked and self.stamps.hold(entry.mark):
            self._renew_in_time(flight.key, flight.kind, flight.tags, flight.load, flight.lasts)
