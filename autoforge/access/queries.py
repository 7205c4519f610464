"""Reads about people, workspaces and what they sign in with. Secrets are looked up by hash and never read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, bindparam, or_, select

from autoforge.access import Actor
from autoforge.access.permissions import EVERYTHING
from autoforge.db import ReadSession, clock, named
from autoforge.db import models as m

_PERSON = (m.User.id.label("user_id"), m.User.name.label("user_name"), m.User.role)
_PLACE = (
    m.Workspace.id.label("workspace_id"),
    m.Workspace.slug,
    m.Workspace.name.label("workspace_name"),
    m.Membership.role.label("member_role"),
)
_IS_ACTIVE = m.User.is_active & m.User.deleted_at.is_(None)
# A team's workspace before one's own, and the one that one has been in for longest.
_HOME_FIRST = (m.Workspace.kind.desc(), m.Membership.created_at, m.Workspace.id)
_is_theirs = (m.Membership.workspace_id == m.Workspace.id) & (m.Membership.user_id == m.User.id)


def _visible() -> ColumnElement[bool]:
    """A member sees the workspace, and an admin every one."""
    return m.Workspace.deleted_at.is_(None) & or_(m.Membership.user_id.is_not(None), m.User.role == "admin")


_OWNER = named(
    "access.local_owner",
    select(*_PERSON, *_PLACE)
    .select_from(m.User)
    .join(m.Workspace, m.Workspace.slug == bindparam("slug"))
    .outerjoin(m.Membership, _is_theirs)
    .where(m.User.role == "admin", m.Workspace.deleted_at.is_(None), _IS_ACTIVE)
    .order_by(m.User.created_at, m.User.id)
    .limit(1),
    bounded=True,
)
_BY_KEY = named(
    "access.by_key",
    select(*_PERSON, *_PLACE, m.ApiKey.id.label("key_id"), m.ApiKey.scopes, m.ApiKey.last_used_at, m.ApiKey.expires_at)
    .select_from(m.ApiKey)
    .join(m.User, m.User.id == m.ApiKey.user_id)
    .join(m.Workspace, m.Workspace.id == m.ApiKey.workspace_id)
    .outerjoin(m.Membership, _is_theirs)
    .where(m.ApiKey.key_hash == bindparam("hash"), m.ApiKey.revoked_at.is_(None), _IS_ACTIVE, _visible())
    .where(or_(m.ApiKey.expires_at.is_(None), m.ApiKey.expires_at > bindparam("now", type_=m.ApiKey.created_at.type))),
    bounded=True,
)
_SESSION = (
    select(
        *_PERSON, *_PLACE, m.SignInSession.id.label("session_id"), m.SignInSession.seen_at, m.SignInSession.expires_at
    )
    .select_from(m.SignInSession)
    .join(m.User, m.User.id == m.SignInSession.user_id)
    .where(m.SignInSession.token_hash == bindparam("hash"), m.SignInSession.ended_at.is_(None), _IS_ACTIVE)
    .where(m.SignInSession.expires_at > bindparam("now", type_=m.SignInSession.expires_at.type))
)
_BY_SESSION_AT = named(
    "access.by_session_in_workspace",
    _SESSION.join(m.Workspace, m.Workspace.slug == bindparam("slug"))
    .outerjoin(m.Membership, _is_theirs)
    .where(_visible()),
    bounded=True,
)
_BY_SESSION = named(
    "access.by_session",
    _SESSION.join(m.Membership, m.Membership.user_id == m.User.id)
    .join(m.Workspace, m.Workspace.id == m.Membership.workspace_id)
    .where(m.Workspace.deleted_at.is_(None))
    .order_by(*_HOME_FIRST)
    .limit(1),
    bounded=True,
)
_IN_WORKSPACE = named(
    "access.person_in_workspace",
    select(*_PERSON, *_PLACE)
    .select_from(m.User)
    .join(m.Workspace, m.Workspace.slug == bindparam("slug"))
    .outerjoin(m.Membership, _is_theirs)
    .where(m.User.id == bindparam("user_id"), _IS_ACTIVE, _visible()),
    bounded=True,
)
_FOR_SIGN_IN = named(
    "access.for_sign_in",
    select(m.User.id, m.User.name, m.User.password_hash, m.User.is_active).where(
        m.User.email == bindparam("email"), m.User.deleted_at.is_(None)
    ),
    bounded=True,
)
_LINK = named(
    "access.link",
    select(m.OneTimeLink.kind, m.OneTimeLink.email, m.OneTimeLink.role, m.OneTimeLink.user_id, m.Workspace.name)
    .outerjoin(m.Workspace, m.Workspace.id == m.OneTimeLink.workspace_id)
    .where(m.OneTimeLink.token_hash == bindparam("hash"), m.OneTimeLink.used_at.is_(None))
    .where(m.OneTimeLink.expires_at > bindparam("now", type_=m.OneTimeLink.expires_at.type)),
    bounded=True,
)
_PERSON_BY_ID = named(
    "access.person",
    select(
        m.User.id,
        m.User.email,
        m.User.name,
        m.User.role,
        m.User.created_at,
        m.User.last_login_at,
        m.User.password_hash.is_not(None).label("has_password"),
    ).where(m.User.id == bindparam("user_id")),
    bounded=True,
)
_NOBODY_YET = named("access.anybody_signed_in", select(m.SignInSession.id).limit(1), bounded=True)
_KEYS = named(
    "access.keys",
    select(
        m.ApiKey.id,
        m.ApiKey.name,
        m.ApiKey.prefix,
        m.ApiKey.scopes,
        m.ApiKey.created_at,
        m.ApiKey.expires_at,
        m.ApiKey.last_used_at,
        m.ApiKey.revoked_at,
        m.ApiKey.replaced_by,
        m.User.name.label("owner"),
        m.ApiKey.user_id,
    )
    .join(m.User, m.User.id == m.ApiKey.user_id)
    .where(m.ApiKey.workspace_id == bindparam("workspace_id"))
    .where(or_(bindparam("manages", type_=Boolean), m.ApiKey.user_id == bindparam("user_id")))
    .order_by(m.ApiKey.created_at.desc(), m.ApiKey.id.desc())
    .limit(500),
    bounded=True,
)
_SESSIONS = named(
    "access.sessions",
    select(
        m.SignInSession.id,
        m.SignInSession.address,
        m.SignInSession.browser,
        m.SignInSession.created_at,
        m.SignInSession.seen_at,
    )
    .where(m.SignInSession.user_id == bindparam("user_id"), m.SignInSession.ended_at.is_(None))
    .where(m.SignInSession.expires_at > bindparam("now", type_=m.SignInSession.expires_at.type))
    .order_by(m.SignInSession.created_at.desc(), m.SignInSession.id.desc())
    .limit(100),
    bounded=True,
)
_WORKSPACES = named(
    "access.workspaces_of",
    select(m.Workspace.id, m.Workspace.slug, m.Workspace.name, m.Workspace.kind, m.Membership.role)
    .join(m.Membership, m.Membership.workspace_id == m.Workspace.id)
    .where(m.Membership.user_id == bindparam("user_id"), m.Workspace.deleted_at.is_(None))
    .order_by(*_HOME_FIRST)
    .limit(500),
    bounded=True,
)


async def first_admin(session: ReadSession, workspace_slug: str) -> Actor | None:
    """The oldest active admin, in a workspace: who the command line acts as, and who owns the embedded default."""
    row = await session.first(_OWNER, {"slug": workspace_slug})
    return None if row is None else actor_of(row)


async def in_workspace(session: ReadSession, user_id: UUID, slug: str) -> Actor | None:
    """A person in a workspace that they see; None when they do not, or are not active."""
    row = await session.first(_IN_WORKSPACE, {"user_id": user_id, "slug": slug})
    return None if row is None else actor_of(row)


async def by_key(session: ReadSession, key_hash: bytes) -> Any:
    return await session.first(_BY_KEY, {"hash": key_hash, "now": clock.now()})


async def by_session(session: ReadSession, token_hash: bytes, slug: str | None) -> Any:
    given = {"hash": token_hash, "now": clock.now()}
    if slug is None:
        return await session.first(_BY_SESSION, given)
    return await session.first(_BY_SESSION_AT, given | {"slug": slug})


def actor_of(row: Any) -> Actor:
    known = row._mapping
    manages = row.role == "admin" or (row.role == "manager" and row.member_role == "manager")
    return Actor(
        user_id=row.user_id,
        user_name=row.user_name,
        workspace_id=row.workspace_id,
        workspace_slug=row.slug,
        workspace_name=row.workspace_name,
        role=row.role,
        manages=manages,
        scopes=tuple(json.loads(known["scopes"])) if "scopes" in known else EVERYTHING,
        session_id=known.get("session_id"),
        key_id=known.get("key_id"),
    )


async def for_sign_in(session: ReadSession, email: str) -> Any:
    """id, name, password_hash and is_active of the person with this address, or None."""
    return await session.first(_FOR_SIGN_IN, {"email": email})


async def open_link(session: ReadSession, token_hash: bytes) -> Any:
    """What an unused, unexpired link is for: kind, email, role, user_id, and the workspace's name; or None."""
    return await session.first(_LINK, {"hash": token_hash, "now": clock.now()})


async def person(session: ReadSession, user_id: UUID) -> dict[str, Any]:
    """What a person may know of their own account."""
    row = await session.first(_PERSON_BY_ID, {"user_id": user_id})
    return {} if row is None else dict(row._mapping)


async def has_anybody_signed_in(session: ReadSession) -> bool:
    return await session.scalar(_NOBODY_YET) is not None


async def keys(session: ReadSession, actor: Actor) -> list[dict[str, Any]]:
    """The API keys of the workspace, newest first, for others than its managers their own: never hashes."""
    given = {"workspace_id": actor.workspace_id, "user_id": actor.user_id, "manages": actor.may("keys:admin")}
    return [{**row._mapping, "scopes": json.loads(row.scopes)} for row in await session.all(_KEYS, given)]


async def sessions(session: ReadSession, user_id: UUID) -> list[dict[str, Any]]:
    rows = await session.all(_SESSIONS, {"user_id": user_id, "now": clock.now()})
    return [dict(row._mapping) for row in rows]


async def workspaces(session: ReadSession, user_id: UUID) -> Sequence[dict[str, Any]]:
    """The workspaces that a person is a member of: teams first, oldest membership first."""
    return [dict(row._mapping) for row in await session.all(_WORKSPACES, {"user_id": user_id})]
