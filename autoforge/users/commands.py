"""Changes to people: making, editing, letting in and out, deleting and bringing back.

The caller owns the transaction. Whoever is deactivated, deleted or given another role is asked about anew at once on
this host and within two seconds on others, because each of these touches the tag ``access``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from autoforge.access import Actor, audit, members, sessions
from autoforge.access.permissions import ROLES
from autoforge.db import WriteSession, clock, named
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, Conflict, Forbidden, NotFound, Stale
from autoforge.users import addresses

MOST_PROFILE = 20_000

_LOCKED = named(
    "users.locked",
    select(m.User.id, m.User.email, m.User.name, m.User.role, m.User.is_active, m.User.row_version, m.User.deleted_at)
    .where(m.User.id == bindparam("user_id"))
    .with_for_update(),
    bounded=True,
)
# All of them are locked, in one order: of two admins who remove each other at once, one has to wait and is refused.
_ADMINS = named(
    "users.admins",
    select(m.User.id)
    .where(m.User.role == "admin", m.User.is_active, m.User.deleted_at.is_(None))
    .order_by(m.User.id)
    .with_for_update(),
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A person to be made."""

    email: str
    name: str
    role: str = "user"
    profile: Mapping[str, Any] = field(default_factory=dict)


def needs_admin(actor: Actor) -> None:
    """Forbidden for all but admins: people belong to the server, their places to the workspaces."""
    if actor.role != "admin":
        raise Forbidden("Only admins look after the people of the server. Managers invite people into a workspace.")


def _needs_all_of_it(actor: Actor) -> None:
    """Roles and links to passwords give away more than a key that may only write should."""
    needs_admin(actor)
    actor.needs("users:admin")


def valid_email(text: str, at: str = "/email") -> str:
    """The address in lower case; BadInput when it cannot be one."""
    email = text.strip().lower()
    if not email:
        raise BadInput.at(at, "Enter an e-mail address.")
    if (fault := addresses.fault_of(email)) is not None:
        raise BadInput.at(at, fault)
    return email


def valid_role(role: str) -> str:
    if role not in ROLES:
        raise BadInput.at("/role", f"A role is one of {', '.join(ROLES)}, not {role[:40]!r}.")
    return role


def is_less(role: str, before: str) -> bool:
    """Whether somebody with ``role`` may do less than with the one before."""
    return ROLES.index(role) > ROLES.index(before)


def profile_text(profile: Mapping[str, Any]) -> str:
    text = json.dumps(dict(profile), ensure_ascii=False, sort_keys=True)
    if len(text) > MOST_PROFILE:
        raise BadInput.at("/profile", f"A profile has at most {MOST_PROFILE:,} characters.")
    return text


async def create(session: WriteSession, actor: Actor, draft: Draft) -> UUID:
    """A person without a password: hand them a link. Conflict when the address is taken."""
    needs_admin(actor)
    if draft.role != "user":
        _needs_all_of_it(actor)
    now, user_id = clock.now(), new_id()
    email = valid_email(draft.email)
    row: dict[str, Any] = {"id": user_id, "email": email, "name": members.valid_name(draft.name)}
    row |= {"role": valid_role(draft.role), "profile": profile_text(draft.profile)}
    try:
        async with session.begin_nested():
            await session.execute(insert(m.User), row | {"created_at": now, "updated_at": now})
    except IntegrityError as error:
        raise _taken(email) from error
    await members.make_personal(session, user_id, email)
    session.touch(members.USERS)
    audit.record(session, actor, "user_created", "user", user_id, {"email": email, "role": draft.role})
    return user_id


def _taken(email: str) -> Conflict:
    return Conflict(f"There is already a person with the address {email}.")


async def locked(session: WriteSession, user_id: UUID, *, deleted: bool = False) -> Any:
    """The locked row of a person; NotFound when there is none (or it is deleted, or is not, as asked)."""
    row = await session.first(_LOCKED, {"user_id": user_id})
    if row is None or (row.deleted_at is not None) != deleted:
        raise NotFound(f"There is no {'deleted ' if deleted else ''}person with the id {user_id}.")
    return row


async def edit(
    session: WriteSession, actor: Actor, user_id: UUID, changes: Mapping[str, Any], *, expected: int | None = None
) -> None:
    """Sets some of name, email, role and profile. Stale when ``expected`` is not the row's version."""
    needs_admin(actor)
    if {"role", "email"} & changes.keys():
        _needs_all_of_it(actor)
    row = await _to_change(session, user_id, expected, losing=changes.get("role", "admin") != "admin")
    values = _checked(changes)
    if "role" in values and is_less(values["role"], row.role):
        await sessions.end_links_by(session, [user_id])
    try:
        async with session.begin_nested():
            await _set(session, user_id, values)
    except IntegrityError as error:
        raise _taken(values["email"]) from error
    known = {key: getattr(row, key) for key in values if key != "profile"}
    told: dict[str, Any] = {key: [old, values[key]] for key, old in known.items() if old != values[key]}
    told |= {"profile": "changed"} if "profile" in values else {}
    audit.record(session, actor, "user_edited", "user", user_id, told)


def _checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    checks: Mapping[str, Any] = {
        "name": members.valid_name, "email": valid_email, "role": valid_role, "profile": profile_text,
    }  # fmt: skip
    return {key: check(changes[key]) for key, check in checks.items() if key in changes}


async def active_admins(session: WriteSession) -> set[UUID]:
    """Who they are; locked until the transaction ends."""
    return {row.id for row in await session.all(_ADMINS)}


async def _to_change(session: WriteSession, user_id: UUID, expected: int | None, *, losing: bool) -> Any:
    """The locked row. Conflict when the last active admin would be lost; admins are locked before the person is."""
    admins = await active_admins(session) if losing else set()
    row = await locked(session, user_id)
    Stale.check(expected, row.row_version)
    if admins == {user_id}:
        raise Conflict("This is the last active admin. Make somebody else an admin first.")
    return row


async def _set(session: WriteSession, user_id: UUID, values: Mapping[str, Any]) -> None:
    changed = {**values, "updated_at": clock.now(), "row_version": m.User.row_version + 1}
    await session.execute(update(m.User).where(m.User.id == user_id).values(changed))
    session.touch(members.USERS, sessions.ACCESS)


async def set_active(session: WriteSession, actor: Actor, user_id: UUID, active: bool) -> None:
    """Out of everything (sessions, keys, streams) within two seconds; or in again, with keys as they were."""
    needs_admin(actor)
    row = await _to_change(session, user_id, None, losing=not active)
    if row.is_active == active:
        return
    await _set(session, user_id, {"is_active": active})
    if not active:
        await sessions.shut_out(session, [user_id])
    audit.record(session, actor, "user_activated" if active else "user_deactivated", "user", user_id)


async def delete(session: WriteSession, actor: Actor, user_id: UUID, *, expected: int | None = None) -> None:
    """Soft: what they made stays, the address becomes free, their keys stop; :func:`restore` undoes it."""
    needs_admin(actor)
    row = await _to_change(session, user_id, expected, losing=True)
    await _set(session, user_id, {"deleted_at": clock.now()})
    await sessions.shut_out(session, [user_id])
    audit.record(session, actor, "user_deleted", "user", user_id, {"email": row.email})


async def restore(session: WriteSession, actor: Actor, user_id: UUID) -> None:
    """Undoes a deletion. Conflict when somebody else has the address by now."""
    needs_admin(actor)
    row = await locked(session, user_id, deleted=True)
    try:
        async with session.begin_nested():
            await _set(session, user_id, {"deleted_at": None})
    except IntegrityError as error:
        raise _taken(row.email) from error
    audit.record(session, actor, "user_restored", "user", user_id, {"email": row.email})


async def sign_out(session: WriteSession, actor: Actor, user_id: UUID) -> None:
    """Ends all sessions of a person; they may sign in again."""
    needs_admin(actor)
    await locked(session, user_id)
    await sessions.end_all_of(session, user_id)
    audit.record(session, actor, "user_signed_out", "user", user_id)


async def hand_link(session: WriteSession, secret: bytes, actor: Actor, user_id: UUID) -> str:
    """The token of a link by which a person sets a (new) password; earlier ones stop working."""
    _needs_all_of_it(actor)
    row = await locked(session, user_id)
    if not row.is_active:
        raise Conflict("This person is deactivated. Activate them first.")
    await sessions.end_links(session, [user_id])
    audit.record(session, actor, "password_link_made", "user", user_id)
    return await sessions.make_link(
        session, secret, "password_reset", user_id=user_id, email=row.email, created_by=actor.user_id
    )
