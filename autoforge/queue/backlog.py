"""How much waits in a queue, for those who watch the service: a walk along an index, with an end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from autoforge.db import ReadSession, clock, named
from autoforge.db.types import Instant
from autoforge.queue.enqueueing import POINT
from autoforge.queue.registry import MOST_PRIORITY
from autoforge.queue.statements import PENDING, J

MOST = 10_000
"""So many are counted; more are as many."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Of one queue: the jobs that could run and wait, and for how many seconds the one has whose turn is next."""

    queue: str
    waiting: int
    oldest_seconds: float


_DUE = (
    select(J.run_after)
    .where(J.queue == bindparam("queue"), PENDING)
    .where(J.turn_at <= bindparam("horizon", type_=Instant), J.run_after <= bindparam("moment", type_=Instant))
)
_COUNT = named("queue.backlog", select(func.count()).select_from(_DUE.limit(MOST).subquery()))
_NEXT = named("queue.next_turn", _DUE.order_by(J.turn_at, J.id).limit(1), bounded=True)


async def backlogs(session: ReadSession, queues: Sequence[str]) -> list[Backlog]:
    """One per queue, in their order."""
    now = clock.now()
    found = []
    for queue in queues:
        asked = {"queue": queue, "moment": now, "horizon": now + MOST_PRIORITY * POINT}
        oldest = await session.scalar(_NEXT, asked)
        waiting = 0 if oldest is None else int(await session.scalar(_COUNT, asked) or 0)
        found.append(Backlog(queue, waiting, 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())))
    return found
