"""Changes to templates, and making a prompt from one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from autoforge.access import Actor, audit
from autoforge.db import WriteSession, clock, named
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, Conflict, FieldError, NotFound, Stale
from autoforge.prompts import commands
from autoforge.prompts.commands import Created, Draft
from autoforge.prompts.content import PromptContent, canonical_json
from autoforge.prompts.names import parse_name

VISIBILITIES = ("private", "public")


@dataclass(frozen=True, slots=True)
class TemplateDraft:
    """A template that does not exist yet."""

    name: str
    content: PromptContent
    description: str = ""
    category: str = ""
    visibility: str = "private"
    is_sample: bool = False


_ROW = named(
    "templates.row_for_update",
    select(m.Template.row_version, m.Template.name, m.Template.deleted_at)
    .where(m.Template.id == bindparam("template_id"), m.Template.workspace_id == bindparam("workspace_id"))
    .with_for_update(),
    bounded=True,
)
_USED = named(
    "templates.count_use",
    update(m.Template)
    .where(
        m.Template.id == bindparam("template_id"),
        m.Template.deleted_at.is_(None),
        or_(m.Template.workspace_id == bindparam("workspace"), m.Template.visibility == "public"),
    )
    .values(usage_count=m.Template.usage_count + 1)
    .returning(m.Template.content, m.Template.description),
)


def _touched(session: WriteSession, actor: Actor) -> None:
    session.touch(f"templates:{actor.workspace_id.hex}", "templates:public")


async def create(session: WriteSession, actor: Actor, draft: TemplateDraft) -> UUID:
    """A new template of the actor's workspace. Conflict when the name is taken."""
    _check_visibility(draft.visibility)
    now, template_id = clock.now(), new_id()
    row = {
        "id": template_id,
        "workspace_id": actor.workspace_id,
        "owner_id": actor.user_id,
        "name": parse_name(draft.name),
        "description": draft.description,
        "category": draft.category,
        "visibility": draft.visibility,
        "content": canonical_json(draft.content),
        "is_sample": draft.is_sample,
        "created_at": now,
        "updated_at": now,
    }
    try:
        await session.execute(insert(m.Template), row)
    except IntegrityError as error:
        raise _taken(draft.name) from error
    _touched(session, actor)
    if not draft.is_sample:
        audit.record(session, actor, "template_created", "template", template_id, {"name": draft.name})
    return template_id


async def edit(
    session: WriteSession, actor: Actor, template_id: UUID, changes: Mapping[str, Any], expected: int | None = None
) -> None:
    """Sets some of name, description, category, visibility and content."""
    row = await _owned(session, actor, template_id, deleted=False)
    Stale.check(expected, row.row_version)
    values = {key: changes[key] for key in ("name", "description", "category", "visibility") if key in changes}
    if "name" in values:
        values["name"] = parse_name(values["name"])
    if "visibility" in values:
        _check_visibility(values["visibility"])
    if "content" in changes:
        values["content"] = canonical_json(changes["content"])
    if not values:
        return
    try:
        await _set(session, template_id, values)
    except IntegrityError as error:
        raise _taken(values.get("name", row.name)) from error
    _touched(session, actor)
    told = {"name": values.get("name", row.name), "changed": sorted(values)}
    audit.record(session, actor, "template_edited", "template", template_id, told)


async def delete(session: WriteSession, actor: Actor, template_id: UUID, expected: int | None = None) -> None:
    """Soft; :func:`restore` undoes it. Prompts made from the template stay as they are."""
    row = await _owned(session, actor, template_id, deleted=False)
    Stale.check(expected, row.row_version)
    await _set(session, template_id, {"deleted_at": clock.now()})
    _touched(session, actor)
    audit.record(session, actor, "template_deleted", "template", template_id, {"name": row.name})


async def restore(session: WriteSession, actor: Actor, template_id: UUID) -> None:
    row = await _owned(session, actor, template_id, deleted=True)
    try:
        await _set(session, template_id, {"deleted_at": None})
    except IntegrityError as error:
        raise Conflict(_taken(row.name).detail) from error
    _touched(session, actor)
    audit.record(session, actor, "template_restored", "template", template_id, {"name": row.name})


async def use(session: WriteSession, actor: Actor, template_id: UUID, name: str) -> Created:
    """A new prompt from a template of the workspace or a public one; counts the use in the same transaction.

    Forbidden for who may write templates, but no prompts.
    """
    actor.needs("prompts:write")
    row = await session.first(_USED, {"template_id": template_id, "workspace": actor.workspace_id})
    if row is None:
        raise NotFound(f"There is no template with the id {template_id} that you may use.")
    _touched(session, actor)
    content = PromptContent.from_json(row.content)
    return await commands.create(session, actor, Draft(name, content, description=row.description))


async def _owned(session: WriteSession, actor: Actor, template_id: UUID, *, deleted: bool) -> Any:
    row = await session.first(_ROW, {"template_id": template_id, "workspace_id": actor.workspace_id})
    if row is None or (row.deleted_at is not None) != deleted:
        state = "deleted template" if deleted else "template"
        raise NotFound(f"There is no {state} with the id {template_id} in this workspace.")
    return row


async def _set(session: WriteSession, template_id: UUID, values: Mapping[str, Any]) -> None:
    changed = {"is_sample": False, **values, "updated_at": clock.now(), "row_version": m.Template.row_version + 1}
    await session.execute(update(m.Template).where(m.Template.id == template_id).values(changed))


def _check_visibility(visibility: str) -> None:
    if visibility not in VISIBILITIES:
        raise BadInput.at("/visibility", f"A template is {' or '.join(VISIBILITIES)}, not {visibility!r}.")


def _taken(name: str) -> Conflict:
    told = f"There is already a template named {name!r} in this workspace. Choose another name."
    return Conflict(told, errors=[FieldError("/name", told)])
