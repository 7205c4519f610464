"""Reads of jobs. Each function is one statement.

The jobs of a workspace are seen by its members. Jobs of the system (scheduled ones) belong to no workspace and are seen
by admins. What came of a job whose task asks for a permission is for those who have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, select

from autoforge.access import Actor
from autoforge.db import ReadSession, named
from autoforge.db import models as m
from autoforge.db.columns import items
from autoforge.db.keyset import KeysetQuery
from autoforge.errors import NotFound
from autoforge.queue import REGISTRY

STATUSES = ("pending", "running", "completed", "cancelled", "dead")
SYSTEM = "server:read"
"""The permission to see jobs that belong to no workspace."""

_ITEM = (
    m.Job.id, m.Job.task, m.Job.title, m.Job.queue, m.Job.priority, m.Job.status, m.Job.done, m.Job.total, m.Job.note,
    m.Job.cancel_requested, m.Job.attempt, m.Job.created_at, m.Job.started_at, m.Job.ended_at, m.Job.row_version,
)  # fmt: skip
_COLUMNS: Mapping[str, Any] = {column.key: column for column in _ITEM}
ITEM_FIELDS = tuple(_COLUMNS)

_ONE = named(
    "jobs.one",
    select(
        *_ITEM,
        m.Job.workspace_id,
        m.Job.result,
        m.Job.error,
        m.Job.failures,
        m.Job.most_attempts,
        m.Job.timeout_seconds,
        m.Job.run_after,
        m.Job.created_by,
        m.User.name.label("creator"),
    )
    .outerjoin(m.User, m.User.id == m.Job.created_by)
    .where(m.Job.id == bindparam("id")),
    bounded=True,
)
_NEWS = named(
    "jobs.news",
    select(
        m.Job.workspace_id,
        m.Job.task,
        m.Job.created_by,
        m.Job.row_version,
        m.Job.status,
        m.Job.done,
        m.Job.total,
        m.Job.note,
        m.Job.attempt,
        m.Job.cancel_requested,
        m.Job.error,
    ).where(m.Job.id == bindparam("id")),
    bounded=True,
)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list shows; ``system``: the jobs of no workspace."""

    status: str | None = None
    task: str | None = None
    system: bool = False
    fields: tuple[str, ...] = ITEM_FIELDS


async def page(
    session: ReadSession, actor: Actor, asked: Listing, limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """One page, newest first, and the cursor of the next. Forbidden for jobs of the system, unless admin."""
    given: dict[str, Any] = {}
    if asked.system:
        actor.needs(SYSTEM)
    else:
        given["workspace_id"] = actor.workspace_id
    given |= {name: value for name in ("status", "task") if (value := getattr(asked, name)) is not None}
    found = await _listing(asked.fields, frozenset(given)).fetch(session, given, limit=limit, after=after)
    return items(found.rows, asked.fields), found.next


@lru_cache(64)
def _listing(fields: tuple[str, ...], filters: frozenset[str]) -> KeysetQuery:
    columns = [_COLUMNS[name] for name in fields]
    statement: Select[Any] = select(*columns)
    workspace = m.Job.workspace_id
    here = workspace == bindparam("workspace_id") if "workspace_id" in filters else workspace.is_(None)
    statement = statement.where(here)
    for name in ("status", "task"):
        if name in filters:
            statement = statement.where(_COLUMNS[name] == bindparam(name))
    return KeysetQuery("jobs.page", statement, key=m.Job.id, sort=m.Job.created_at)


async def one(session: ReadSession, actor: Actor, job_id: UUID) -> dict[str, Any]:
    """Everything about one job but its payload. NotFound when there is none, or not for this actor.

    ``result`` and ``error`` are None for who lacks the permission of its task.
    """
    return _seen_by(actor, job_id, await session.first(_ONE, {"id": job_id}))


async def news(session: ReadSession, actor: Actor, job_id: UUID) -> dict[str, Any]:
    """What changes while a job runs, its ``error`` as in :func:`one`; and its ``task`` and ``created_by``."""
    return _seen_by(actor, job_id, await session.first(_NEWS, {"id": job_id}))


def _seen_by(actor: Actor, job_id: UUID, row: Any) -> dict[str, Any]:
    if row is None or not _may_see(actor, row.workspace_id):
        raise NotFound(f"There is no job {job_id} here.")
    job = dict(row._mapping)
    if not may_read(actor, job):
        job |= {name: None for name in ("result", "error") if name in job}
    return job


def _may_see(actor: Actor, workspace_id: UUID | None) -> bool:
    return actor.may(SYSTEM) if workspace_id is None else workspace_id == actor.workspace_id


def permission_of(job: Mapping[str, Any]) -> str:
    """What its task asks of those who change a job or read what came of it; empty when it asks for nothing."""
    task = REGISTRY.get(job["task"])
    return task.permission if task else ""


def may_read(actor: Actor, job: Mapping[str, Any]) -> bool:
    """Whether the actor may read what came of the job."""
    return not (permission := permission_of(job)) or actor.may(permission)


def may_change(actor: Actor, job: Mapping[str, Any]) -> bool:
    """Cancelling and trying again: who has the task's permission; where it has none, its creator and managers."""
    if permission := permission_of(job):
        return actor.may(permission)
    return job["created_by"] == actor.user_id or actor.may("jobs:admin")
