"""Pages of the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Select, bindparam, select

from autoforge.access import Actor
from autoforge.db import ReadSession, named
from autoforge.db import models as m
from autoforge.db.keyset import KeysetQuery, Page
from autoforge.web.responses import raw_json

_COLUMNS = (
    m.AuditEntry.seq,
    m.AuditEntry.at,
    m.AuditEntry.actor_id,
    m.AuditEntry.actor_name,
    m.AuditEntry.action,
    m.AuditEntry.subject_kind,
    m.AuditEntry.subject_id,
    m.AuditEntry.detail,
)
_HEAD = named("audit.newest", select(m.AuditHead.seq, m.AuditHead.hash).where(m.AuditHead.id == 1), bounded=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """Only what was done to one subject, or by one person; and for admins, what was done ``everywhere``.

    There is an index for each of these, and none for actions and moments: the log is walked by its number.
    """

    subject_id: str | None = None
    everywhere: bool = False
    actor_id: UUID | None = None


@cache
def _listing(of_subject: bool, everywhere: bool, by_actor: bool) -> KeysetQuery:
    entries = cast(Select[Any], select(*_COLUMNS))
    if not everywhere:
        entries = entries.where(m.AuditEntry.workspace_id == bindparam("workspace_id"))
    if of_subject:
        entries = entries.where(m.AuditEntry.subject_id == bindparam("subject_id"))
    if by_actor:
        entries = entries.where(m.AuditEntry.actor_id == bindparam("actor_id", type_=m.AuditEntry.actor_id.type))
    return KeysetQuery("audit.page", entries, key=m.AuditEntry.seq)


async def page(session: ReadSession, actor: Actor, asked: Asked, limit: int, after: str | None) -> Page[Any]:
    """What was done, newest first. Forbidden to look beyond the actor's workspace for all but admins."""
    given: dict[str, Any] = {}
    if asked.everywhere:
        actor.needs("server:admin")
    else:
        given["workspace_id"] = actor.workspace_id
    if asked.subject_id is not None:
        given["subject_id"] = asked.subject_id
    if asked.actor_id is not None:
        given["actor_id"] = asked.actor_id
    listing = _listing(asked.subject_id is not None, asked.everywhere, asked.actor_id is not None)
    return await listing.fetch(session, given, limit=limit, after=after)


async def head(session: ReadSession) -> dict[str, Any]:
    """The number and the hash of the newest entry of the whole chain."""
    row = await session.first(_HEAD)
    return {"seq": 0, "hash": ""} if row is None else {"seq": row.seq, "hash": row.hash.hex()}


def shown(row: Any) -> dict[str, Any]:
    return {**row._mapping, "detail": raw_json(row.detail)}
