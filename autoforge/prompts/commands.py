"""Changes to prompts: made, described, archived, deleted and brought back.

Every function works inside the caller's transaction. What changes forgets its cache tags after the commit, through
``session.touch``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from autoforge.access import Actor, audit
from autoforge.db import WriteSession, clock, named, search
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, Conflict, FieldError, NotFound, Stale
from autoforge.prompts.content import PromptContent, canonical_json, content_hash, searchable_text
from autoforge.prompts.names import MAIN as MAIN
from autoforge.prompts.names import folder_of, parse_label, parse_name

STATUSES = ("draft", "active", "archived")
_FEW_TOKENS = 2_000
"""A text of so many words is put into the search index on the event loop, in well under a millisecond."""
_EDITABLE = ("name", "title", "description", "status", "tags")


@dataclass(frozen=True, slots=True)
class Draft:
    """A prompt that does not exist yet, with its first version; ``labels`` point at that version."""

    name: str
    content: PromptContent
    title: str = ""
    description: str = ""
    status: str = "draft"
    tags: Sequence[str] = ()
    message: str = ""
    labels: Sequence[str] = ()
    is_sample: bool = False


@dataclass(frozen=True, slots=True)
class Created:
    """The keys of a new prompt and of its first version."""

    prompt_id: UUID
    version_id: UUID


_OWNED = named(
    "prompts.owned_row",
    select(m.Prompt.id, m.Prompt.name, m.Prompt.title, m.Prompt.row_version, m.Prompt.deleted_at)
    .where(m.Prompt.id == bindparam("prompt_id"), m.Prompt.workspace_id == bindparam("workspace_id"))
    .with_for_update(),
    bounded=True,
)
_ADD_PROMPT = named("prompts.add", insert(m.Prompt))
ADD_VERSION = named("prompts.add_version", insert(m.PromptVersion))
ADD_HEAD = named("prompts.add_head", insert(m.PromptHead))
ADD_MOVE = named("prompts.add_move", insert(m.PromptHeadMove))
_SET = named(
    "prompts.set",
    update(m.Prompt)
    .where(m.Prompt.id == bindparam("of_prompt"))
    .values(row_version=m.Prompt.row_version + 1)
    .returning(m.Prompt.name),
    bounded=True,
)
"""Sets the columns among its parameters besides."""
_MAIN_CONTENT = named(
    "prompts.main_content",
    select(m.Prompt.name, m.Prompt.title, m.Prompt.description, m.PromptVersion.content)
    .join(m.PromptHead, m.PromptHead.prompt_id == m.Prompt.id)
    .join(m.PromptVersion, m.PromptVersion.id == m.PromptHead.version_id)
    .where(m.Prompt.id == bindparam("prompt_id"), m.PromptHead.kind == "branch", m.PromptHead.name == MAIN),
    bounded=True,
)


def served_tags(workspace_id: UUID, name: str) -> tuple[str, str]:
    """What a served version is cached under: its prompt's name, and all names (an import, the samples) at once."""
    return f"served:{workspace_id.hex}:{name}", f"served:{workspace_id.hex}"


def touched(session: WriteSession, actor: Actor, *names: str) -> None:
    """What is served under these names, and the lists of the workspace's prompts, are out of date."""
    session.touch(f"prompts:{actor.workspace_id.hex}", *(served_tags(actor.workspace_id, name)[0] for name in names))


async def create(session: WriteSession, actor: Actor, draft: Draft) -> Created:
    """A new prompt with version 1 on the branch ``main``. Conflict when the name is taken."""
    checked_status(draft.status)
    made = Created(new_id(), new_id())
    try:
        await session.execute(_ADD_PROMPT, prompt_row(actor, draft, made.prompt_id))
    except IntegrityError as error:
        raise name_taken(draft.name) from error
    await session.execute(ADD_VERSION, version_row(actor, draft, made))
    heads = [("branch", MAIN), *(("label", label) for label in _labels(draft))]
    await session.execute(ADD_HEAD, [head_row(actor, made, *head) for head in heads])
    await session.execute(ADD_MOVE, [move_row(actor, made, *head) for head in heads])
    texts = (draft.name, draft.title, draft.description, searchable_text(draft.content))
    await index(session, actor, made.prompt_id, *texts)
    touched(session, actor, draft.name)
    if not draft.is_sample:
        audit.record(session, actor, "prompt_created", "prompt", made.prompt_id, {"name": draft.name})
    return made


def _labels(draft: Draft) -> list[str]:
    return [parse_label(label, at=f"/labels/{place}") for place, label in enumerate(dict.fromkeys(draft.labels))]


def prompt_row(actor: Actor, draft: Draft, prompt_id: UUID) -> dict[str, Any]:
    now = clock.now()
    return {
        "id": prompt_id,
        "workspace_id": actor.workspace_id,
        "owner_id": actor.user_id,
        "name": parse_name(draft.name),
        "folder": folder_of(draft.name),
        "title": draft.title,
        "description": draft.description,
        "status": draft.status,
        "tags": json.dumps(list(draft.tags), ensure_ascii=False),
        "is_sample": draft.is_sample,
        "created_at": now,
        "updated_at": now,
    }


def version_row(actor: Actor, draft: Draft, made: Created, number: int = 1) -> dict[str, Any]:
    return {
        "id": made.version_id,
        "prompt_id": made.prompt_id,
        "number": number,
        "content_hash": content_hash(draft.content),
        "content": canonical_json(draft.content),
        "message": draft.message,
        "author_id": actor.user_id,
        "created_at": clock.now(),
    }


def head_row(actor: Actor, made: Created, kind: str, name: str) -> dict[str, Any]:
    return {
        "prompt_id": made.prompt_id,
        "kind": kind,
        "name": name,
        "version_id": made.version_id,
        "updated_at": clock.now(),
        "updated_by": actor.user_id,
    }


def move_row(actor: Actor, made: Created, kind: str, name: str, came_from: UUID | None = None) -> dict[str, Any]:
    return {
        "id": new_id(),
        "prompt_id": made.prompt_id,
        "kind": kind,
        "name": name,
        "from_version_id": came_from,
        "to_version_id": made.version_id,
        "moved_by": actor.user_id,
        "moved_at": clock.now(),
    }


async def index(session: WriteSession, actor: Actor, prompt_id: UUID, *texts: str) -> None:
    """Puts the prompt into the search index under these texts, in place of what was there."""
    tokens = search.document_tokens(actor.workspace_id, *texts)
    statement = _indexing(session.dialect, bounded=len(tokens) <= _FEW_TOKENS)
    await session.execute(statement, search.put_parameters(prompt_id, tokens, session.dialect))


@cache
def _indexing(dialect: str, *, bounded: bool) -> TextClause:
    return named("prompts.index", search.put_statement("prompt_search", "prompts", dialect), bounded=bounded)


async def reindex(session: WriteSession, actor: Actor, prompt_id: UUID) -> None:
    """The same from what is stored: names and texts as they are now, and the content at the head of ``main``."""
    row = await session.first(_MAIN_CONTENT, {"prompt_id": prompt_id})
    if row is not None:
        content = searchable_text(PromptContent.from_json(row.content))
        await index(session, actor, prompt_id, row.name, row.title, row.description, content)


async def unindex(session: WriteSession, prompt_id: UUID) -> None:
    statement = search.remove_statement("prompt_search", "prompts", session.dialect)
    key = prompt_id.bytes if session.dialect == "sqlite" else prompt_id
    await session.execute(statement, {"id": key})


async def owned(session: WriteSession, actor: Actor, prompt_id: UUID, *, deleted: bool = False) -> Any:
    """The locked row of a prompt of the actor's workspace; NotFound when there is none (or it is deleted)."""
    row = await session.first(_OWNED, {"prompt_id": prompt_id, "workspace_id": actor.workspace_id})
    if row is None or (row.deleted_at is not None) != deleted:
        state = "deleted prompt" if deleted else "prompt"
        raise NotFound(f"There is no {state} with the id {prompt_id} in this workspace.")
    return row


async def lock_if_unchanged(session: WriteSession, actor: Actor, prompt_id: UUID, expected: int | None) -> None:
    """Locks the prompt until the end of the transaction; Stale when its row version is another than expected."""
    Stale.check(expected, (await owned(session, actor, prompt_id)).row_version)


async def edit(
    session: WriteSession, actor: Actor, prompt_id: UUID, changes: Mapping[str, Any], *, expected: int | None = None
) -> None:
    """Sets some of name, title, description, status and tags; nothing at all is no change.

    Stale when ``expected`` is not the row's version.
    """
    row = await owned(session, actor, prompt_id)
    Stale.check(expected, row.row_version)
    values = {key: changes[key] for key in _EDITABLE if key in changes}
    if "name" in values:
        values["folder"] = folder_of(parse_name(values["name"]))
    if "status" in values:
        checked_status(values["status"])
    if "tags" in values:
        values["tags"] = json.dumps(list(values["tags"]), ensure_ascii=False)
    if not values:
        return
    try:
        await _set(session, prompt_id, values)
    except IntegrityError as error:
        raise name_taken(values.get("name", row.name)) from error
    await reindex(session, actor, prompt_id)
    touched(session, actor, row.name, values.get("name", row.name))
    session.touch(f"evaluations:{actor.workspace_id.hex}")  # they show its name
    told = {"name": values.get("name", row.name), "changed": sorted(values)}
    audit.record(session, actor, "prompt_edited", "prompt", prompt_id, told)


async def _set(session: WriteSession, prompt_id: UUID, values: Mapping[str, Any]) -> str:
    """Sets the columns and counts the change; the prompt's name."""
    # Whoever changes a sample makes it their own: removing the samples leaves it.
    changed = {"is_sample": False, **values, "updated_at": clock.now(), "of_prompt": prompt_id}
    return (await session.execute(_SET, changed)).scalar_one()


async def bump(session: WriteSession, actor: Actor, prompt_id: UUID) -> None:
    """Counts as a change of the prompt without changing a column of it: a head moved."""
    name = await _set(session, prompt_id, {})
    touched(session, actor, name)


async def delete(session: WriteSession, actor: Actor, prompt_id: UUID, *, expected: int | None = None) -> None:
    """Soft: versions and evaluations stay, the name becomes free, and :func:`restore` undoes it."""
    row = await owned(session, actor, prompt_id)
    Stale.check(expected, row.row_version)
    await _set(session, prompt_id, {"deleted_at": clock.now()})
    await unindex(session, prompt_id)
    touched(session, actor, row.name)
    audit.record(session, actor, "prompt_deleted", "prompt", prompt_id, {"name": row.name})


async def restore(session: WriteSession, actor: Actor, prompt_id: UUID) -> None:
    """Undoes a deletion. Conflict when another prompt has taken the name since."""
    row = await owned(session, actor, prompt_id, deleted=True)
    try:
        await _set(session, prompt_id, {"deleted_at": None})
    except IntegrityError as error:
        raise Conflict(name_taken(row.name).detail) from error
    await reindex(session, actor, prompt_id)
    touched(session, actor, row.name)
    audit.record(session, actor, "prompt_restored", "prompt", prompt_id, {"name": row.name})


def checked_status(status: str) -> None:
    if status not in STATUSES:
        raise BadInput.at("/status", f"A status is one of {', '.join(STATUSES)}, not {status!r}.")


def name_taken(name: str) -> Conflict:
    told = f"There is already a prompt named {name!r} in this workspace. Choose another name."
    return Conflict(told, errors=[FieldError("/name", told)])
