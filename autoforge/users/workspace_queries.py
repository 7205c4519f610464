"""Reads of workspaces: who is in one, and who was invited."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Select, bindparam, func, select

from autoforge.db import ReadSession, clock, named
from autoforge.db import models as m
from autoforge.db.columns import items
from autoforge.db.keyset import KeysetQuery

MEMBER_FIELDS = ("user_id", "name", "email", "role", "member_role", "is_active", "last_login_at", "joined_at")
_COLUMNS = (
    m.Membership.user_id,
    m.User.name,
    m.User.email,
    m.User.role,
    m.Membership.role.label("member_role"),
    m.User.is_active,
    m.User.last_login_at,
    m.Membership.created_at.label("joined_at"),
)
_IS_IT = m.Membership.workspace_id == bindparam("workspace_id")
_INVITATIONS = named(
    "workspaces.invitations",
    select(
        m.OneTimeLink.id,
        m.OneTimeLink.email,
        m.OneTimeLink.role,
        m.OneTimeLink.created_at,
        m.OneTimeLink.expires_at,
        m.User.name.label("invited_by"),
    )
    .outerjoin(m.User, m.User.id == m.OneTimeLink.created_by)
    .where(m.OneTimeLink.workspace_id == bindparam("workspace_id"), m.OneTimeLink.kind == "invitation")
    .where(m.OneTimeLink.used_at.is_(None))
    .where(m.OneTimeLink.expires_at > bindparam("now", type_=m.OneTimeLink.expires_at.type))
    .order_by(m.OneTimeLink.created_at.desc(), m.OneTimeLink.id.desc())
    .limit(200),
    bounded=True,
)
_SHOWN = named(
    "workspaces.one",
    select(
        m.Workspace.id,
        m.Workspace.slug,
        m.Workspace.name,
        m.Workspace.kind,
        m.Workspace.created_at,
        m.Workspace.row_version,
        select(func.count()).select_from(m.Membership).where(_IS_IT).scalar_subquery().label("members"),
    ).where(m.Workspace.id == bindparam("workspace_id")),
)


@lru_cache(2)
def _members(searching: bool) -> KeysetQuery:
    statement = cast(Select[Any], select(*_COLUMNS).join(m.User, m.User.id == m.Membership.user_id).where(_IS_IT))
    statement = statement.where(m.User.deleted_at.is_(None))
    if not searching:
        return KeysetQuery("workspaces.members", statement, key=m.Membership.user_id, sort=m.Membership.created_at)
    statement = statement.where(m.User.name_key >= bindparam("words"), m.User.name_key < bindparam("end"))
    return KeysetQuery(
        "workspaces.found_members", statement, key=m.Membership.user_id, sort=m.User.name_key, descending=False
    )


async def members(
    session: ReadSession, workspace_id: UUID, words: str, limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """The people of a workspace, who joined last first; or those whose name begins with ``words``, by name."""
    given: dict[str, Any] = {"workspace_id": workspace_id}
    words = words.strip().lower()
    if words:
        given |= {"words": words, "end": words + "\U0010ffff"}
    found = await _members(bool(words)).fetch(session, given, limit=limit, after=after)
    return items(found.rows, MEMBER_FIELDS), found.next


async def invitations(session: ReadSession, workspace_id: UUID) -> list[dict[str, Any]]:
    """Links to join that are still open, newest first; what they look like is not stored."""
    rows = await session.all(_INVITATIONS, {"workspace_id": workspace_id, "now": clock.now()})
    return [dict(row._mapping) for row in rows]


async def one(session: ReadSession, workspace_id: UUID) -> dict[str, Any]:
    """A workspace, with the number of its members."""
    row = await session.first(_SHOWN, {"workspace_id": workspace_id})
    return {} if row is None else dict(row._mapping)
