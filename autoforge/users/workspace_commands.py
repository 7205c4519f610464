"""Changes to workspaces: making and renaming one, and who belongs to it.

``Actor`` says in which workspace: ``users:write`` there is what its managers and admins have.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from autoforge.access import Actor, audit, members, sessions
from autoforge.db import WriteSession, clock, named
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, Conflict, Forbidden, NotFound, Stale
from autoforge.users.commands import valid_email
from autoforge.web.text import check_storable

MEMBER_ROLES = ("manager", "member")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MEMBER = named(
    "workspaces.member",
    select(m.User.id, m.User.name, m.User.email, m.User.role, m.Membership.role.label("member_role"), m.Workspace.kind)
    .select_from(m.Membership)
    .join(m.User, m.User.id == m.Membership.user_id)
    .join(m.Workspace, m.Workspace.id == m.Membership.workspace_id)
    .where(m.Membership.workspace_id == bindparam("workspace_id"), m.Membership.user_id == bindparam("user_id"))
    .with_for_update(of=m.Membership),
    bounded=True,
)
_VERSION = named(
    "workspaces.version_for_update",
    select(m.Workspace.row_version).where(m.Workspace.id == bindparam("workspace_id")).with_for_update(),
    bounded=True,
)
# All of them are locked, in one order: of two managers who leave at once, one has to wait and is refused.
_MANAGERS = named(
    "workspaces.managers",
    select(m.User.id)
    .select_from(m.Membership)
    .join(m.User, m.User.id == m.Membership.user_id)
    .where(m.Membership.workspace_id == bindparam("workspace_id"), m.Membership.role == "manager")
    .where(m.User.role != "user", m.User.is_active, m.User.deleted_at.is_(None))
    .order_by(m.Membership.user_id)
    .with_for_update(of=m.Membership),
)
_BY_EMAIL = named(
    "workspaces.by_email",
    select(m.User.id, m.User.role).where(m.User.email == bindparam("email"), m.User.deleted_at.is_(None)),
    bounded=True,
)


async def create(session: WriteSession, actor: Actor, name: str, slug: str = "") -> str:
    """A team's workspace, with the actor as its manager; its slug, which addresses keep."""
    if actor.role not in ("admin", "manager") or not actor.holds("users:write"):
        raise Forbidden("Only managers and admins make workspaces, and keys of theirs with the scope users:write.")
    name = _valid_name(name)
    slug = _valid_slug(slug or re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60])
    workspace_id = new_id()
    row = {"id": workspace_id, "slug": slug, "name": name, "kind": "team", "created_at": clock.now()}
    try:
        async with session.begin_nested():
            await session.execute(insert(m.Workspace), row)
    except IntegrityError as error:
        raise Conflict(f"There is already a workspace at {slug!r}. Choose another address.") from error
    await members.join(session, workspace_id, actor.user_id, "manager")
    there = audit.Person(actor.user_id, actor.user_name, workspace_id)
    audit.record(session, there, "workspace_created", "workspace", workspace_id, {"slug": slug, "name": name})
    return slug


def _valid_name(name: str) -> str:
    if not 1 <= len(name.strip()) <= 100:
        raise BadInput.at("/name", "A workspace's name has 1 to 100 characters.")
    return check_storable(name.strip(), "/name")


def _valid_slug(slug: str) -> str:
    if not _SLUG.fullmatch(slug) or not 2 <= len(slug) <= 60:
        raise BadInput.at("/slug", "An address has 2 to 60 small letters and digits, with single hyphens between.")
    return slug


async def rename(session: WriteSession, actor: Actor, name: str, *, expected: int | None = None) -> None:
    """The name that people read; the address stays, because links hold it. Stale when ``expected`` is not current."""
    actor.needs("users:write")
    values = {"name": _valid_name(name), "row_version": m.Workspace.row_version + 1}
    if expected is not None:
        Stale.check(expected, await session.scalar(_VERSION, {"workspace_id": actor.workspace_id}) or 0)
    await session.execute(update(m.Workspace).where(m.Workspace.id == actor.workspace_id).values(values))
    session.touch(sessions.ACCESS)
    audit.record(session, actor, "workspace_renamed", "workspace", actor.workspace_id, {"name": values["name"]})


async def add(session: WriteSession, actor: Actor, email: str, role: str = "member") -> UUID:
    """Takes a person who has an account into the workspace. NotFound when nobody has this address."""
    actor.needs("users:write")
    await _check_team(session, actor)
    person = await session.first(_BY_EMAIL, {"email": valid_email(email)})
    if person is None:
        raise NotFound("Nobody with this address has an account. Invite them by link.")
    _check_role(role, person.role)
    await members.join(session, actor.workspace_id, person.id, role)
    audit.record(session, actor, "member_added", "user", person.id, {"email": email, "role": role})
    return UUID(bytes=person.id.bytes)


async def _check_team(session: WriteSession, actor: Actor) -> None:
    kind = await session.scalar(select(m.Workspace.kind).where(m.Workspace.id == actor.workspace_id))
    if kind == "personal":
        raise Conflict("This is a personal workspace: it has one member. Make a workspace for a team.")


def _check_role(role: str, role_of_person: str | None) -> None:
    """A membership as manager gives nothing to somebody whose role does not let them manage."""
    if role not in MEMBER_ROLES:
        raise BadInput.at("/role", f"A member's role is one of {', '.join(MEMBER_ROLES)}, not {role[:40]!r}.")
    if role == "manager" and role_of_person == "user":
        raise BadInput.at("/role", "This person has the role user and cannot manage. An admin can change their role.")


async def set_role(session: WriteSession, actor: Actor, user_id: UUID, role: str) -> None:
    """Makes a member a manager of this workspace, or a manager a member. Conflict for the last manager."""
    actor.needs("users:write")
    person = await _member(session, actor, user_id)
    _check_role(role, person.role)
    if role != "manager":
        await _give_up_managing(session, actor, user_id)
    mine = (m.Membership.workspace_id == actor.workspace_id) & (m.Membership.user_id == user_id)
    await session.execute(update(m.Membership).where(mine).values(role=role))
    session.touch(sessions.ACCESS)
    audit.record(session, actor, "member_role_set", "user", user_id, {"email": person.email, "role": role})


async def remove(session: WriteSession, actor: Actor, user_id: UUID) -> None:
    """Out of the workspace within two seconds, keys to it included; what they made stays. One may leave oneself.

    Invitations that they made end. Conflict for the last manager, unless an admin removes them.
    """
    if user_id != actor.user_id or not actor.holds("users:write"):
        actor.needs("users:write")
    person = await _member(session, actor, user_id)
    if person.kind == "personal":
        raise Conflict("A personal workspace keeps its one member.")
    await _give_up_managing(session, actor, user_id)
    mine = (m.Membership.workspace_id == actor.workspace_id) & (m.Membership.user_id == user_id)
    await session.execute(delete(m.Membership).where(mine))
    session.touch(sessions.ACCESS)
    audit.record(session, actor, "member_removed", "user", user_id, {"email": person.email})


async def _give_up_managing(session: WriteSession, actor: Actor, user_id: UUID) -> None:
    """Before somebody is no manager here any more: the last one stays, and invitations go with who made them."""
    managers = [row.id for row in await session.all(_MANAGERS, {"workspace_id": actor.workspace_id})]
    if managers == [user_id] and actor.role != "admin":
        raise Conflict("This is the last manager of the workspace. Make another member a manager first.")
    await sessions.end_links_by(session, [user_id], actor.workspace_id)


async def _member(session: WriteSession, actor: Actor, user_id: UUID) -> Any:
    row = await session.first(_MEMBER, {"workspace_id": actor.workspace_id, "user_id": user_id})
    if row is None:
        raise NotFound(f"There is no member with the id {user_id} in this workspace.")
    return row


async def invite(session: WriteSession, secret: bytes, actor: Actor, email: str, role: str = "member") -> str:
    """The token of a link by which somebody without an account joins. Conflict when the address has an account."""
    actor.needs("users:write")
    await _check_team(session, actor)
    email = valid_email(email)
    _check_role(role, None)
    if role == "manager" and actor.role != "admin":
        raise Forbidden("Only admins invite managers: a manager is more than a member of this workspace.")
    if role == "manager":
        actor.needs("users:admin")  # as for making one: a key that may only write makes no managers
    if await session.first(_BY_EMAIL, {"email": email}) is not None:
        raise Conflict("This address has an account: add the person directly.")
    audit.record(session, actor, "invited", "workspace", actor.workspace_id, {"email": email, "role": role})
    return await sessions.make_link(
        session,
        secret,
        "invitation",
        workspace_id=actor.workspace_id,
        email=email,
        role=role,
        created_by=actor.user_id,
    )


async def withdraw(session: WriteSession, actor: Actor, link_id: UUID) -> None:
    """The invitation's link works no more."""
    actor.needs("users:write")
    open_one = (m.OneTimeLink.id == link_id) & (m.OneTimeLink.workspace_id == actor.workspace_id)
    open_one &= m.OneTimeLink.kind == "invitation"
    ended = update(m.OneTimeLink).where(open_one, m.OneTimeLink.used_at.is_(None)).values(used_at=clock.now())
    if not (await session.execute(ended)).rowcount:
        raise NotFound("There is no such open invitation to this workspace.")
    audit.record(session, actor, "invitation_withdrawn", "workspace", actor.workspace_id, {"link": str(link_id)})
