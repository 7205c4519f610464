"""Statistics are computed anew before they end, so that nobody waits for them."""

from __future__ import annotations

import asyncio
import time

import pytest

from autoforge.cache import Cache, Kind

pytestmark = pytest.mark.anyio


class Figures:
    def __init__(self) -> None:
        self.cache, self.reads, self.fails = Cache(), 0, False

    async def load(self) -> int:
        if self.fails:
            raise ValueError("no figures today")
        self.reads += 1
        return self.reads

    async def read(self) -> int:
        return await self.cache.get_or_load("k", Kind.STATISTICS, ("t",), self.load)

    def age(self) -> None:
        """As if it were about to end."""
        self.cache.near.entries["k"].expires = time.monotonic() + Kind.STATISTICS.ahead / 2

    async def landed(self) -> None:
        flight = self.cache._flights.get("k")
        if flight is not None and flight.task is not None:
            await asyncio.wait([flight.task])


async def test_a_reader_near_the_end_gets_the_old_and_starts_the_new() -> None:
    figures = Figures()
    assert [await figures.read(), await figures.read()] == [1, 1]
    assert figures.reads == 1
    figures.age()
    assert [await figures.read(), await figures.read()] == [1, 1]
    await figures.landed()
    assert await figures.read() == 2
    assert figures.reads == 2
    assert figures.cache.counts[Kind.STATISTICS].renewed == 1
    figures.cache.close()


async def test_the_timer_renews_what_was_asked_for_and_nothing_else() -> None:
    figures = Figures()
    await figures.read()
    flight = figures.cache._timers
    assert list(flight) == ["k"]
    ring = flight["k"]._callback, flight["k"]._args  # type: ignore[attr-defined]
    figures.age()
    ring[0](*ring[1])
    assert not figures.cache._flights  # nobody asked since it was computed
    figures.cache.near.entries["k"].asked = True
    ring[0](*ring[1])
    await figures.landed()
    assert await figures.read() == 2
    figures.cache.close()


async def test_a_renewed_value_lasts_no_longer_than_it_says() -> None:
    figures = Figures()

    async def read() -> int:
        return await figures.cache.get_or_load("k", Kind.STATISTICS, ("t",), figures.load, lasts=lambda _value: 2.0)

    await read()
    figures.age()
    await read()
    await figures.landed()
    assert figures.reads == 2
    assert figures.cache.near.entries["k"].expires <= time.monotonic() + 2.0
    figures.cache.close()


async def test_a_failure_to_renew_leaves_the_old_one(caplog: pytest.LogCaptureFixture) -> None:
    figures = Figures()
    await figures.read()
    figures.age()
    figures.fails = True
    assert await figures.read() == 1
    await figures.landed()
    await asyncio.sleep(0)
    assert await figures.read() == 1
    assert "ahead of its end" in caplog.text
    figures.cache.close()


async def test_a_change_is_not_covered_by_what_is_being_renewed() -> None:
    figures = Figures()
    await figures.read()
    figures.age()
    await figures.read()
    figures.cache.forget("t")
    assert await figures.read() >= 2
    figures.cache.close()
