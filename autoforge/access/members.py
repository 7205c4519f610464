"""Becoming somebody: accepting an invitation, setting a password by link, and having a workspace to go to."""

from __future__ import annotations

import re
import secrets
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from autoforge.access import Actor, audit, sessions
from autoforge.db import ReadSession, WriteSession, clock, named
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, Unauthenticated
from autoforge.web.text import check_storable

WELCOMING = ("invitation", "password_reset")
USERS = "users"
"""The cache tag of what is counted and listed of people."""

_LONGEST_NAME = 200
_HAS_ACCOUNT = "There is an account with this address. A manager can add it to the workspace directly."
_PASSWORD = named(
    "access.password", select(m.User.password_hash).where(m.User.id == bindparam("user_id")), bounded=True
)
_BY_EMAIL = named(
    "access.user_by_email",
    select(m.User.id, m.User.is_active).where(m.User.email == bindparam("email"), m.User.deleted_at.is_(None)),
    bounded=True,
)
_IS_MEMBER = named(
    "access.is_member",
    select(m.Membership.workspace_id)
    .join(m.Workspace, m.Workspace.id == m.Membership.workspace_id)
    .where(m.Membership.user_id == bindparam("user_id"), m.Workspace.deleted_at.is_(None))
    .limit(1),
    bounded=True,
)


async def password_of(session: ReadSession, user_id: UUID) -> str | None:
    """The stored hash, or None for a person without a password."""
    stored: str | None = await session.scalar(_PASSWORD, {"user_id": user_id})
    return stored


async def accept(session: WriteSession, secret: bytes, token: str, hashed: str, name: str) -> UUID:
    """Spends an invitation or a password reset; the id of the person who is in now."""
    link = await sessions.use_link(session, secret, token, WELCOMING)
    if link.kind == "password_reset":
        user_id = UUID(bytes=link.user_id.bytes)
        await sessions.set_password(session, None, user_id, hashed)
        return user_id
    user_id = await _invited(session, link, hashed, name)
    await join(session, link.workspace_id, user_id, link.role)
    await make_personal(session, user_id, link.email)
    who = audit.Person(user_id, name, link.workspace_id)
    audit.record(session, who, "invitation_accepted", "user", user_id, {"workspace": str(link.workspace_id)})
    return user_id


async def _invited(session: WriteSession, link: Any, hashed: str, name: str) -> UUID:
    """The person with this address; one who has an account already must sign in to it, not take it over by link."""
    known = await session.first(_BY_EMAIL, {"email": link.email})
    if known is not None:
        raise Unauthenticated(_HAS_ACCOUNT)
    now, user_id = clock.now(), new_id()
    role = "manager" if link.role == "manager" else "user"
    row = {"id": user_id, "email": link.email, "name": valid_name(name), "role": role, "password_hash": hashed}
    try:
        async with session.begin_nested():
            await session.execute(insert(m.User), row | {"created_at": now, "updated_at": now})
    except IntegrityError as error:  # two invitations to one address, accepted at once
        raise Unauthenticated(_HAS_ACCOUNT) from error
    session.touch(USERS)
    return user_id


def valid_name(name: str) -> str:
    """BadInput for no name, or a very long one."""
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise BadInput.at("/name", f"A name has 1 to {_LONGEST_NAME} characters.")
    return check_storable(name.strip(), "/name")


async def rename(session: WriteSession, actor: Actor, name: str) -> None:
    """One's own name."""
    values = {"name": valid_name(name), "updated_at": clock.now(), "row_version": m.User.row_version + 1}
    await session.execute(update(m.User).where(m.User.id == actor.user_id).values(values))
    session.touch(USERS, sessions.ACCESS)
    audit.record(session, actor, "user_renamed", "user", actor.user_id, {"from": actor.user_name, "to": name})


async def join(session: WriteSession, workspace_id: UUID, user_id: UUID, role: str = "member") -> None:
    """Makes a person a member; one who is already keeps their role."""
    make: Any = sqlite.insert if session.dialect == "sqlite" else postgresql.insert
    row = {"workspace_id": workspace_id, "user_id": user_id, "role": role, "created_at": clock.now()}
    await session.execute(make(m.Membership).values(row).on_conflict_do_nothing())
    session.touch(sessions.ACCESS)


async def make_personal(session: WriteSession, user_id: UUID, email: str) -> UUID:
    """The workspace that belongs to one person."""
    now, workspace_id = clock.now(), new_id()
    word = re.sub(r"[^a-z0-9]+", "-", email.partition("@")[0].lower()).strip("-")[:40] or "person"
    place = {"id": workspace_id, "slug": f"{word}-{secrets.token_hex(3)}", "name": "Personal", "kind": "personal"}
    await session.execute(insert(m.Workspace), place | {"created_at": now})
    await join(session, workspace_id, user_id, "manager")
    return workspace_id


async def ensure_place(session: WriteSession, user_id: UUID) -> None:
    """A person whom nobody has put anywhere (an import brings them so) gets a workspace of their own."""
    if await session.scalar(_IS_MEMBER, {"user_id": user_id}) is None:
        email = await session.scalar(select(m.User.email).where(m.User.id == user_id))
        await make_personal(session, user_id, email or "")
