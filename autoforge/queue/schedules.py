"""Tasks that come by themselves: cron expressions, one leader, and each moment once.

Whoever holds the lease ``schedules`` leads, until it expires without being renewed. The leader enqueues what is due;
should there be two for a moment (clocks differ, a process slept), the key of the job, made of the task and its moment,
lets only one job exist. Moments that were missed while nobody ran become one job, not many.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cronsim import CronSim, CronSimError
from sqlalchemy import Insert, Row, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from autoforge.db import Database, ReadSession, WriteSession, clock, named
from autoforge.db import models as m
from autoforge.db.types import Instant
from autoforge.queue.enqueueing import enqueue
from autoforge.queue.registry import Registry

LEADER = "schedules"


def _dialects(make: Any) -> dict[str, Insert]:
    return {"sqlite": make(sqlite.insert), "postgresql": make(postgresql.insert)}


def _lead(insert: Any) -> Insert:
    statement: postgresql.Insert = insert(m.Lease)
    free = or_(m.Lease.until < bindparam("moment", type_=Instant), m.Lease.holder == statement.excluded.holder)
    newer = {"holder": statement.excluded.holder, "until": statement.excluded.until}
    taken = statement.on_conflict_do_update(index_elements=["name"], set_=newer, where=free)
    return named("queue.lead", taken.returning(m.Lease.holder))


def _plan(insert: Any) -> Insert:
    """A schedule that is new, or that comes sooner than it did when its row was made."""
    statement = insert(m.Schedule)
    sooner = m.Schedule.next_run_at > statement.excluded.next_run_at
    newer = {"next_run_at": statement.excluded.next_run_at}
    planned: Insert = statement.on_conflict_do_update(index_elements=["name"], set_=newer, where=sooner)
    return named("queue.plan", planned)


_LEAD, _PLAN = _dialects(_lead), _dialects(_plan)
_DUE = named(
    "queue.due",
    select(m.Schedule.name, m.Schedule.next_run_at).where(
        m.Schedule.name.in_(bindparam("names", expanding=True)),
        m.Schedule.next_run_at <= bindparam("moment", type_=Instant),
    ),
    bounded=True,
)
_RAN = named(
    "queue.ran",
    update(m.Schedule)
    .where(m.Schedule.name == bindparam("of"), m.Schedule.next_run_at == bindparam("was", type_=Instant))
    .values(
        next_run_at=bindparam("following", type_=Instant),
        last_run_at=bindparam("moment", type_=Instant),
        last_job_id=bindparam("job"),
    ),
)


def check_expression(expression: str) -> None:
    """ValueError for what is no cron expression."""
    try:
        CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f"{expression!r} is no cron expression: {error}") from None


def next_after(expression: str, moment: datetime) -> datetime:
    """The first moment after ``moment`` that the expression names, in UTC."""
    return next(CronSim(expression, moment.astimezone(UTC)))


class Schedules:
    """Stands for the leadership and, while leading, enqueues what is due."""

    def __init__(self, registry: Registry, name: str, lease: float) -> None:
        self._expressions = {name: task.schedule or "" for name, task in registry.scheduled().items()}
        self._registry = registry
        self._name = name
        self._lease = lease
        self._stood = float("-inf")
        self._planned = False
        self.leading = False

    async def round(self, database: Database) -> None:
        if not self._expressions:
            return
        if time.monotonic() - self._stood > self._lease / 3:
            self._stood = time.monotonic()
            self.leading = await database.transact(self._stand)
        if not self.leading:
            return
        async with database.read() as session:
            due = await self._due(session)
        if due:
            await database.transact(self._enqueue, due)

    async def _stand(self, session: WriteSession) -> bool:
        """Take the lease if it is free or ours, and see that every schedule has its row."""
        if not await self._lead(session):
            return False
        if not self._planned:
            now = clock.now()
            rows = [{"name": name, "next_run_at": next_after(cron, now)} for name, cron in self._expressions.items()]
            for row in rows:
                await session.execute(_PLAN[session.dialect], row)
            session.after_commit(self._note_planned)  # rows that were rolled back are planned again
        return True

    def _note_planned(self) -> None:
        self._planned = True

    async def _lead(self, session: WriteSession) -> bool:
        now = clock.now()
        wanted = {"name": LEADER, "holder": self._name, "until": now + timedelta(seconds=self._lease), "moment": now}
        holder: str | None = await session.scalar(_LEAD[session.dialect], wanted)
        return holder == self._name

    async def _due(self, session: ReadSession) -> Sequence[Row[str, datetime]]:
        return await session.all(_DUE, {"names": list(self._expressions), "moment": clock.now()})

    async def _enqueue(self, session: WriteSession, due: Sequence[Row[str, datetime]]) -> list[UUID]:
        if not await self._lead(session):  # somebody else leads by now
            self.leading = False
            return []
        return [await self._enqueue_one(session, row.name, row.next_run_at) for row in due]

    async def _enqueue_one(self, session: WriteSession, name: str, moment: datetime) -> UUID:
        task = self._registry.tasks[name]
        job_id = await enqueue(session, None, task, {"scheduled_for": moment}, key=f"at {moment.isoformat()}")
        now = clock.now()
        ran = {"of": name, "was": moment, "following": next_after(self._expressions[name], now), "moment": now}
        await session.execute(_RAN, ran | {"job": job_id})
        return job_id
