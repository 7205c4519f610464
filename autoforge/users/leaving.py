"""Handing over what a leaver owned: prompts, templates, suites and runs change hands, their keys are revoked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select, union, update

from autoforge.access import Actor, audit, members, sessions
from autoforge.db import WriteSession, clock, named
from autoforge.db import models as m
from autoforge.errors import BadInput, NotFound
from autoforge.users.commands import locked, needs_admin

# What is owned: its table, and the columns that say by whom and in which workspace.
_OWNED: Mapping[str, tuple[Any, Any, Any]] = {
    "prompts": (m.Prompt, m.Prompt.owner_id, m.Prompt.workspace_id),
    "templates": (m.Template, m.Template.owner_id, m.Template.workspace_id),
    "suites": (m.Suite, m.Suite.owner_id, m.Suite.workspace_id),
    "evaluations": (m.Evaluation, m.Evaluation.created_by, m.Evaluation.workspace_id),
}


async def transfer(session: WriteSession, actor: Actor, leaver_id: UUID, heir_id: UUID) -> dict[str, int]:
    """Everything of one person becomes another's, who joins the workspaces that it is in; how much of each kind.

    What was written (versions, moves) keeps its author: history is not rewritten. The leaver's keys are revoked.
    """
    needs_admin(actor)
    if leaver_id == heir_id:
        raise BadInput.at("/to", "Name somebody else to take it over.")
    try:
        heir = await locked(session, heir_id)
    except NotFound:
        raise BadInput.at("/to", "There is no such person to take it over.") from None
    await _exists(session, leaver_id)
    places = await _places(session, leaver_id)
    for workspace_id in places:
        await members.join(session, workspace_id, heir_id)
    moved = {kind: await _hand_over(session, kind, leaver_id, heir_id) for kind in _OWNED}
    moved["keys"] = await _revoke_keys(session, leaver_id)
    session.touch(sessions.ACCESS, "templates:public", *(f"{kind}:{place.hex}" for kind in _OWNED for place in places))
    audit.record(session, actor, "transferred", "user", leaver_id, {"to": heir.email, **moved})
    return moved


async def _exists(session: WriteSession, user_id: UUID) -> None:
    if await session.scalar(select(m.User.id).where(m.User.id == user_id)) is None:
        raise NotFound(f"There is no person with the id {user_id}.")


async def _places(session: WriteSession, user_id: UUID) -> list[UUID]:
    """The workspaces where they own something."""
    owned = [select(place).where(owner == user_id) for _, owner, place in _OWNED.values()]
    return [row[0] for row in await session.all(named("users.owned_places", union(*owned)))]


async def _hand_over(session: WriteSession, kind: str, leaver_id: UUID, heir_id: UUID) -> int:
    table, owner, _ = _OWNED[kind]
    changed = {owner.key: heir_id, "row_version": table.row_version + 1}
    if hasattr(table, "updated_at"):
        changed["updated_at"] = clock.now()
    handed = update(table).where(owner == leaver_id).values(changed)
    return (await session.execute(named(f"users.hand_over_{kind}", handed))).rowcount


async def _revoke_keys(session: WriteSession, user_id: UUID) -> int:
    theirs = update(m.ApiKey).where(m.ApiKey.user_id == user_id, m.ApiKey.revoked_at.is_(None))
    return (await session.execute(named("users.revoke_keys", theirs).values(revoked_at=clock.now()))).rowcount
