"""The clean-up of people who have not come for long: who they are, removing them in batches, and taking that back.

Coming means signing in, having a browser that was seen, or an API key that was used. Removing is soft: everything of
them stays, and all that one clean-up removed share one moment of deletion, by which it is undone as a whole. Never
removed are the admin who came last, the owner of the machine, and whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, Select, bindparam, exists, func, select, update

from autoforge.access import Actor, audit, sessions
from autoforge.access.commands import FIRST_WORKSPACE
from autoforge.access.members import USERS
from autoforge.access.queries import first_admin
from autoforge.db import Database, ReadSession, WriteSession, bulk, clock, named
from autoforge.db import models as m
from autoforge.db.keyset import KeysetQuery, Page
from autoforge.db.types import Instant
from autoforge.errors import BadInput, Conflict, NotFound

TASK, UNDO = "users.cleanup", "users.cleanup_undo"
BATCH = 500
FEWEST_DAYS = 30
FIELDS = ("id", "email", "name", "role", "created_at", "last_login_at")
_SINCE = bindparam("since", type_=Instant)
_MOMENT = bindparam("moment", type_=Instant)


def _inactive() -> Select[Any]:
    key_used = exists().where(m.ApiKey.user_id == m.User.id, m.ApiKey.last_used_at >= _SINCE)
    browser_seen = exists().where(m.SignInSession.user_id == m.User.id, m.SignInSession.seen_at >= _SINCE)
    return (
        select(*(getattr(m.User, name) for name in FIELDS))
        .where(m.User.deleted_at.is_(None), m.User.came_at < _SINCE, ~key_used, ~browser_seen)
        .where(m.User.id.not_in(bindparam("kept", expanding=True)))
    )


_ORDER: dict[str, Any] = {"sort": m.User.came_at, "key": m.User.id, "descending": False}
_LISTED = KeysetQuery("users.inactive", _inactive(), **_ORDER)
_COUNTED = named(
    "users.inactive_counted", select(func.count()).select_from(_inactive().limit(bindparam("most")).subquery())
)
_LOCKED = KeysetQuery("users.inactive_locked", _inactive().with_for_update(of=m.User), **_ORDER)
_REMOVED = KeysetQuery(
    "users.removed_together", select(m.User.id).where(m.User.deleted_at == _MOMENT), key=m.User.id, descending=False
)
_LAST_ADMIN = named(
    "users.admin_seen_last",
    select(m.User.id)
    .where(m.User.role == "admin", m.User.is_active, m.User.deleted_at.is_(None))
    .order_by(m.User.came_at.desc(), m.User.id.desc())
    .limit(1),
)
_namesake = m.User.__table__.alias("namesake")
_RESTORE = named(
    "users.restore_together",
    update(m.User)
    .where(m.User.id.in_(bindparam("ids", expanding=True)), m.User.deleted_at == _MOMENT)
    .where(~exists().where(_namesake.c.email == m.User.email, _namesake.c.deleted_at.is_(None)))
    .values(deleted_at=None, updated_at=bindparam("now", type_=Instant), row_version=m.User.row_version + 1)
    .returning(m.User.id),
)
_RUN_COLUMNS: tuple[Any, ...] = (m.Job.id, m.Job.status, m.Job.state, m.Job.created_at, m.Job.ended_at)
_RUNS = named(
    "users.cleanups",
    select(*_RUN_COLUMNS)
    .where(m.Job.task == TASK, m.Job.idempotency_key.is_not(None))
    .order_by(m.Job.created_at.desc())
    .limit(50),
)
_UNDOS = named(
    "users.cleanup_undos",
    select(m.Job.payload, m.Job.status, m.Job.state, m.Job.ended_at)
    .where(m.Job.task == UNDO, m.Job.idempotency_key.is_not(None))
    .order_by(m.Job.created_at.desc())
    .limit(50),
)
_RUN = named(
    "users.cleanup", select(*_RUN_COLUMNS).where(m.Job.id == bindparam("job_id"), m.Job.task == TASK), bounded=True
)


class Position(msgspec.Struct, frozen=True):
    """Where a clean-up is: its job's state. ``moment`` is when all that it removes are deleted."""

    moment: datetime
    since: datetime
    kept: list[UUID]
    removed: int = 0
    after: str | None = None
    over: bool = False


def since_of(days: int | None, setting: int) -> datetime:
    """The moment before which one must have come last. BadInput when nobody said how many days."""
    chosen = setting if days is None else days
    if chosen == 0:
        raise BadInput.at("?days", "The clean-up is switched off (inactive_days); say after how many days.")
    return clock.now() - timedelta(days=chosen)


def whole_day(moment: datetime) -> datetime:
    """The beginning of its day: the pages of one list are then bound to the same moment."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


async def begin(session: ReadSession, user_id: UUID | None, since: datetime) -> Position:
    """Who is kept, and the moment that marks what this clean-up removes."""
    owner = await first_admin(session, FIRST_WORKSPACE)
    admin = await session.scalar(_LAST_ADMIN)
    kept = {user_id, admin, owner.user_id if owner else None} - {None}
    return Position(clock.now(), since, sorted(one for one in kept if one is not None))


async def inactive(session: ReadSession, position: Position, limit: int, after: str | None) -> Page[Row[Any]]:
    """Who would be removed, those who are away longest first."""
    return await _LISTED.fetch(session, _parameters(position), limit=limit, after=after)


async def count(session: ReadSession, position: Position, most: int) -> int:
    """How many would be removed; ``most`` + 1 when there are more than ``most``."""
    return await session.scalar(_COUNTED, {**_parameters(position), "most": most + 1}) or 0


async def remove(session: WriteSession, by: Actor | audit.Person | None, label: str, position: Position) -> Position:
    """Removes the next batch; the position is ``over`` when there is no more."""
    page = await _LOCKED.fetch(session, _parameters(position), limit=BATCH, after=position.after)
    if page.rows:
        ids = [row.id for row in page.rows]
        await bulk.soft_delete_many(session, m.User, ids, at=position.moment)
        await sessions.shut_out(session, ids)
        session.touch(USERS, sessions.ACCESS)
    for row in page.rows:
        seen = (row.last_login_at or row.created_at).isoformat()
        audit.record(session, by, "user_deleted", "user", row.id, {"inactive_since": seen, "cleanup": label})
    removed = position.removed + len(page.rows)
    return msgspec.structs.replace(position, removed=removed, after=page.next, over=page.next is None)


async def restore(
    session: WriteSession, by: Actor | audit.Person | None, label: str, moment: datetime, after: str | None
) -> tuple[int, int, str | None]:
    """Takes the next batch of a clean-up back: restored, left out (the address is somebody else's now), and where next.

    The search goes on behind what was looked at, so that those who are left out do not come again.
    """
    page = await _REMOVED.fetch(session, {"moment": moment}, limit=BATCH, after=after)
    ids = [row.id for row in page.rows]
    asked = {"ids": ids, "moment": moment, "now": clock.now()}
    restored = [row.id for row in await session.all(_RESTORE, asked)] if ids else []
    for user_id in restored:
        audit.record(session, by, "user_restored", "user", user_id, {"cleanup": label})
    session.touch(USERS, sessions.ACCESS)
    return len(restored), len(ids) - len(restored), page.next


async def runs(session: ReadSession) -> list[dict[str, Any]]:
    """The latest clean-ups, newest first."""
    return [_shown(row) for row in await session.all(_RUNS)]


async def undos(session: ReadSession) -> dict[str, dict[str, Any]]:
    """The newest undoing of each of the latest clean-ups, by the id of the clean-up."""
    found: dict[str, dict[str, Any]] = {}
    for row in await session.all(_UNDOS):
        state = msgspec.json.decode(row.state) if row.state else {}
        about = {"status": row.status, "live": row.ended_at is None}
        about |= {name: state.get(name, 0) for name in ("restored", "left_out")}
        found.setdefault(msgspec.json.decode(row.payload)["cleanup"], about)
    return found


async def to_undo(session: ReadSession, job_id: UUID) -> Position:
    """NotFound when there is no such clean-up, Conflict while it runs."""
    row = await session.first(_RUN, {"job_id": job_id})
    if row is None:
        raise NotFound(f"There is no clean-up with the id {job_id}.")
    if row.ended_at is None:
        raise Conflict("This clean-up still runs; cancel it first, or wait for its end.")
    if row.state is None:
        raise Conflict("This clean-up removed nobody.")
    return msgspec.json.decode(row.state, type=Position)


def _parameters(position: Position) -> dict[str, Any]:
    return {"since": position.since, "kept": position.kept}


def _shown(row: Row[Any]) -> dict[str, Any]:
    state = msgspec.json.decode(row.state, type=Position) if row.state else None
    about = {"id": row.id, "status": row.status, "created_at": row.created_at, "ended_at": row.ended_at}
    return about | {"removed": state.removed if state else 0, "inactive_since": state.since if state else None}


def people(rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    return [{name: getattr(row, name) for name in FIELDS} for row in rows]


async def whole_list(database: Database, actor: Actor, days: int | None, setting: int) -> list[dict[str, Any]]:
    """All who would be removed; for the command line."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    async with database.read() as session:
        position = await begin(session, actor.user_id, since_of(days, setting))
        while True:
            page = await inactive(session, position, BATCH, after)
            found += people(page.rows)
            if (after := page.next) is None:
                return found


async def remove_all(
    database: Database, actor: Actor, days: int | None, setting: int, step: Callable[[int], object]
) -> int:
    """Removes them in this process; how many. ``step`` is told after each batch."""
    async with database.read() as session:
        position = await begin(session, actor.user_id, since_of(days, setting))
    label = position.moment.isoformat()
    while not position.over:
        position = await database.transact(remove, actor, label, position)
        step(position.removed)
    return position.removed
