"""How often something may happen, counted in the database so that all processes agree.

Two kinds. An *exact* limit keeps the latest moments themselves: signing in, five times in any minute, per address and
per account. A *budget* counts per minute; a process takes it from the database in portions, so that counting costs a
write per portion and not per request.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from autoforge.db import Database, WriteSession, clock, named
from autoforge.db import models as m
from autoforge.db.types import from_microseconds, to_microseconds
from autoforge.errors import DatabaseTimeout, Overloaded, TooManyRequests

log = structlog.get_logger(__name__)

_RECENT = named(
    "limits.recent",
    select(m.RateLimit.recent).where(m.RateLimit.key == bindparam("key")).with_for_update(),
    bounded=True,
)
_SET_RECENT = named(
    "limits.set_recent",
    update(m.RateLimit)
    .where(m.RateLimit.key == bindparam("of_key"))
    .values(recent=bindparam("moments"), window_start=bindparam("start", type_=m.RateLimit.window_start.type)),
)


async def exactly(session: WriteSession, key: str, most: int, seconds: int) -> None:
    """Counts one more event under ``key``, or raises TooManyRequests when ``most`` happened within ``seconds``."""
    now = clock.now()
    await _ensure(session, key, now)
    stored = json.loads(await session.scalar(_RECENT, {"key": key}) or "[]")
    oldest = to_microseconds(now - timedelta(seconds=seconds))
    recent = [moment for moment in stored if moment > oldest]
    if len(recent) >= most:
        wait = from_microseconds(recent[-most]) + timedelta(seconds=seconds) - now
        raise TooManyRequests(
            f"At most {most} in {seconds} seconds.", retry_after=max(1, -int(-wait.total_seconds() // 1))
        )
    moments = json.dumps([*recent, to_microseconds(now)])
    await session.execute(_SET_RECENT, {"of_key": key, "moments": moments, "start": now})


async def _ensure(session: WriteSession, key: str, now: datetime) -> None:
    make: Any = sqlite.insert if session.dialect == "sqlite" else postgresql.insert
    row = {"key": key, "window_start": now, "count": 0, "recent": "[]"}
    await session.execute(make(m.RateLimit).values(row).on_conflict_do_nothing())


@dataclass(slots=True)
class _Portion:
    """What this process may still use in a minute, what all have taken, and whether the minute's budget is gone."""

    minute: int
    left: int = 0
    remaining: int = 0
    used: int = 0
    spent: bool = False
    refill: asyncio.Task[None] | None = None


class Budgets:
    """Requests per minute per key. ``most`` 0 turns the limit off; a portion is a fiftieth of it."""

    def __init__(self, database: Database, most: int) -> None:
        self._database, self.most = database, most
        self._portion = max(1, most // 50)
        self._early = self._portion // 4
        self._held: dict[str, _Portion] = {}
        self._is_counting = True

    async def take(self, key: str) -> tuple[int, int]:
        """Uses one request of this minute; (how many are left at least, seconds until the next minute).

        Raises TooManyRequests when the budget is used up.
        """
        while (taken := self.take_held(key)) is None:
            minute = int(time.time() // 60)
            held = self._held.get(key)
            if held is None or held.minute != minute:
                held = self._held[key] = _Portion(minute)
                self._forget_old(minute)
            if held.spent:
                reset = 60 - int(time.time() % 60)
                raise TooManyRequests(f"At most {self.most:,} requests a minute.", retry_after=reset)
            await asyncio.shield(self._refilling(key, held))
        return taken

    def take_held(self, key: str) -> tuple[int, int] | None:
        """:meth:`take` when it needs nothing but memory; None: use that."""
        now = time.time()
        if self.most == 0:
            return 0, 60 - int(now % 60)
        held = self._held.get(key)
        if held is None or held.left == 0 or held.minute != now // 60:
            return None
        held.left -= 1
        if held.left == self._early and held.left and not held.spent:
            self._refilling(key, held)  # the next portion is here before this one is used up: nobody waits for it
        return held.remaining + held.left, 60 - int(now % 60)

    def _refilling(self, key: str, held: _Portion) -> asyncio.Task[None]:
        """All who come meanwhile wait for the same portion. One that goes away does not take it from the others."""
        if held.refill is None:
            # A context of its own: counting is no part of the request's statements, nor of a transaction around it.
            held.refill = asyncio.create_task(self._refill(key, held), context=Context())
            held.refill.add_done_callback(_seen)
        return held.refill

    async def _refill(self, key: str, held: _Portion) -> None:
        try:
            held.used = await self._take_portion(f"{key}:{held.minute}", held.minute)
            self._is_counting = True
        except (Overloaded, DatabaseTimeout) as error:
            # A disk that is full must not stop who only reads: this process counts alone until it can be written.
            held.used += self._portion
            if self._is_counting:
                log.warning("requests are counted in this process alone for now", error=error.detail)
            self._is_counting = False
        finally:
            held.refill = None
        over = max(0, held.used - self.most)
        granted = max(0, self._portion - over)
        held.left += granted
        held.remaining = max(0, self.most - held.used)
        held.spent = granted == 0

    async def _take_portion(self, key: str, minute: int) -> int:
        async with self._database.write() as session:
            return await _reserve(session, key, minute, self._portion)

    def _forget_old(self, minute: int) -> None:
        if len(self._held) > 10_000:
            self._held = {key: held for key, held in self._held.items() if held.minute == minute}


def _seen(refill: asyncio.Task[None]) -> None:
    """Who waited for it has its error; where nobody did, the next one asks again."""
    if not refill.cancelled():
        refill.exception()


async def _reserve(session: WriteSession, key: str, minute: int, portion: int) -> int:
    """Adds a portion to what all processes have taken; the sum."""
    make: Any = sqlite.insert if session.dialect == "sqlite" else postgresql.insert
    row = {"key": key, "window_start": datetime.fromtimestamp(minute * 60, UTC), "count": portion, "recent": "[]"}
    put = make(m.RateLimit).values(row)
    put = put.on_conflict_do_update(index_elements=[m.RateLimit.key], set_={"count": m.RateLimit.count + portion})
    used = (await session.execute(put.returning(m.RateLimit.count))).scalar_one()
    return int(used)


async def forget_old(session: WriteSession) -> int:
    """Removes counts that are over; for the hourly clean-up."""
    old = clock.now() - timedelta(hours=1)
    return (await session.execute(delete(m.RateLimit).where(m.RateLimit.window_start < old))).rowcount
