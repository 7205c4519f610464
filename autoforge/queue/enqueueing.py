"""Making jobs: a row in the caller's transaction, and a wake-up after the commit.

What waits is ordered by ``turn_at``: the moment from which a job may run, less a minute for every point of its
priority. A job of priority 10 therefore overtakes everything of priority 0 that has come in the last ten minutes, and
nothing that has waited longer: priorities cannot starve anybody, and since the order never changes while a job waits,
an index has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec
from sqlalchemy import Insert, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from autoforge.db import WriteSession, clock, named
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput
from autoforge.queue.registry import MOST_PRIORITY, Task
from autoforge.queue.waking import wake
from autoforge.telemetry import families, metrics

POINT = timedelta(minutes=1)
"""What one point of priority is worth in waiting."""
LARGEST_JSON = 1_000_000
_LONGEST_KEY, _LONGEST_TITLE = 200, 200

_INSERT = named("queue.enqueue_many", insert(m.Job))
_KEYED = named(
    "queue.by_key",
    select(m.Job.id).where(m.Job.task == bindparam("task"), m.Job.idempotency_key == bindparam("key")),
)


def _unless_known(make: Any) -> Insert:
    known = {"index_elements": ["task", "idempotency_key"], "index_where": m.Job.idempotency_key.is_not(None)}
    statement: Insert = make(m.Job).on_conflict_do_nothing(**known).returning(m.Job.id)
    return named("queue.enqueue", statement)


_ENQUEUE = {"sqlite": _unless_known(sqlite.insert), "postgresql": _unless_known(postgresql.insert)}


class Owner(Protocol):
    """Who wants the job: an actor."""

    @property
    def user_id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...


async def enqueue(
    session: WriteSession,
    owner: Owner | None,
    task: Task,
    payload: Any = None,
    *,
    key: str | None = None,
    title: str | None = None,
    priority: int | None = None,
    run_after: datetime | None = None,
) -> UUID:
    """The id of a new job, or with ``key`` of the one that this workspace has for this task and key already.

    ``owner`` None makes a job of the system. BadInput for a payload that is no JSON or too large.
    """
    row = _row(owner, task, payload, title, priority, run_after)
    row["idempotency_key"] = _own_key(owner, key)
    made = await session.scalar(_ENQUEUE[session.dialect], row)
    if made is None:
        found: UUID | None = await session.scalar(_KEYED, {"task": task.name, "key": row["idempotency_key"]})
        assert found is not None
        return found
    session.after_commit(wake)
    session.after_commit(lambda: metrics.add(families.ENQUEUED, task.name))
    return row["id"]  # type: ignore[no-any-return]


async def enqueue_many(
    session: WriteSession, owner: Owner | None, task: Task, payloads: Iterable[Any], *, priority: int | None = None
) -> Sequence[UUID]:
    """Many jobs in one statement; their ids in the order of ``payloads``."""
    rows = [_row(owner, task, payload, None, priority, None) for payload in payloads]
    if rows:
        await session.execute(_INSERT, rows)
        session.after_commit(wake)
        session.after_commit(lambda: metrics.add(families.ENQUEUED, task.name, amount=len(rows)))
    return [row["id"] for row in rows]


def turn_of(run_after: datetime, priority: int) -> datetime:
    return run_after - priority * POINT


def _row(
    owner: Owner | None,
    task: Task,
    payload: Any,
    title: str | None,
    priority: int | None,
    run_after: datetime | None,
) -> dict[str, Any]:
    now = clock.now()
    chosen = task.priority if priority is None else priority
    if abs(chosen) > MOST_PRIORITY:
        raise BadInput.at("/priority", f"A priority is between -{MOST_PRIORITY} and {MOST_PRIORITY}, not {chosen}.")
    return {
        "id": new_id(),
        "workspace_id": owner and owner.workspace_id,
        "created_by": owner and owner.user_id,
        "task": task.name,
        "title": (title or task.title or task.name)[:_LONGEST_TITLE],
        "queue": task.queue,
        "priority": chosen,
        "payload": as_json({} if payload is None else payload),
        "most_attempts": task.attempts,
        "timeout_seconds": None if task.timeout is None else max(1, round(task.timeout)),
        "run_after": run_after or now,
        "turn_at": turn_of(run_after or now, chosen),
        "created_at": now,
    }


def as_json(value: Any) -> str:
    """BadInput when it is none, or too large to be kept in a job's row."""
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"A job keeps JSON, and this is none: {error}") from None
    if len(text) > LARGEST_JSON:
        raise BadInput(f"A job keeps at most {LARGEST_JSON:,} characters of JSON; store the rest elsewhere.")
    return text


def _own_key(owner: Owner | None, key: str | None) -> str | None:
    """Keys of one workspace never meet those of another."""
    if key is None:
        return None
    if not key or len(key) > _LONGEST_KEY or "\0" in key:
        raise BadInput.at("/key", f"The key of a job has 1 to {_LONGEST_KEY} characters.")
    return f"{owner.workspace_id.hex if owner else 'system'}:{key}"
