"""Changes to a prompt's history: new versions, heads that move, branches that merge.

A version is written once. Saving content that the prompt already has makes no version: the head moves to the one
that is there. Rolling back is moving a head. A move may say where it expects the head to be; when it is elsewhere,
nothing happens and Conflict tells where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update

from autoforge.access import Actor, audit
from autoforge.db import WriteSession, clock, named
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, Conflict, NotFound, Stale
from autoforge.prompts import commands
from autoforge.prompts.commands import MAIN, Created
from autoforge.prompts.content import PromptContent, canonical_json, content_hash
from autoforge.prompts.merge import Conflict as MergeConflict
from autoforge.prompts.merge import lowest_common_ancestors
from autoforge.prompts.merge_choices import decided, no_choices
from autoforge.prompts.names import parse_head_name, parse_label


@dataclass(frozen=True, slots=True)
class Saved:
    """The version that the branch is at now; ``is_new`` is False when the prompt already had this content."""

    version_id: UUID
    number: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Merged:
    """Either the version that the branch is at after the merge, or the conflicts that want a decision."""

    saved: Saved | None
    conflicts: Sequence[MergeConflict] = ()


_HEAD = named(
    "prompts.head_for_update",
    select(m.PromptHead.version_id, m.PromptVersion.number, m.PromptHead.row_version)
    .join(m.PromptVersion, m.PromptVersion.id == m.PromptHead.version_id)
    .where(
        m.PromptHead.prompt_id == bindparam("prompt_id"),
        m.PromptHead.kind == bindparam("kind"),
        m.PromptHead.name == bindparam("name"),
    )
    .with_for_update(of=m.PromptHead.__table__),
    bounded=True,
)
_BY_HASH = named(
    "prompts.version_by_hash",
    select(m.PromptVersion.id, m.PromptVersion.number).where(
        m.PromptVersion.prompt_id == bindparam("prompt_id"), m.PromptVersion.content_hash == bindparam("content_hash")
    ),
    bounded=True,
)
_BY_NUMBER = named(
    "prompts.version_by_number",
    select(m.PromptVersion.id).where(
        m.PromptVersion.prompt_id == bindparam("prompt_id"), m.PromptVersion.number == bindparam("number")
    ),
    bounded=True,
)
_NEXT_NUMBER = named(
    "prompts.next_number",
    update(m.Prompt)
    .where(m.Prompt.id == bindparam("prompt_id"))
    .values(latest_number=m.Prompt.latest_number + 1)
    .returning(m.Prompt.latest_number),
    bounded=True,
)
_ADD_LINEAGE = named("prompts.add_lineage", insert(m.PromptLineage))
_MOVE_HEAD = named(
    "prompts.move_head",
    update(m.PromptHead)
    .where(
        m.PromptHead.prompt_id == bindparam("of_prompt"),
        m.PromptHead.kind == bindparam("of_kind"),
        m.PromptHead.name == bindparam("of_name"),
    )
    .values(row_version=m.PromptHead.row_version + 1),
    bounded=True,
)
"""Sets the columns among its parameters besides."""
_LINEAGE = named(
    "prompts.lineage",
    select(m.PromptVersion.id, m.PromptLineage.parent_id)
    .outerjoin(m.PromptLineage, m.PromptLineage.version_id == m.PromptVersion.id)
    .where(m.PromptVersion.prompt_id == bindparam("prompt_id"))
    .order_by(m.PromptVersion.number, m.PromptLineage.position),
)


async def save(
    session: WriteSession,
    actor: Actor,
    prompt_id: UUID,
    content: PromptContent,
    *,
    branch: str = MAIN,
    message: str = "",
    expected: int | None = None,
) -> Saved:
    """Puts ``content`` at the head of ``branch``. ``expected`` is the version number that the writer started from."""
    await commands.owned(session, actor, prompt_id)
    head = await _head(session, prompt_id, "branch", branch)
    if head is None:
        raise NotFound(f"This prompt has no branch {branch!r}. Make it first, or save to {MAIN!r}.")
    _check_expected(expected, head.number, f"The branch {branch!r}")
    saved = await write_version(session, actor, prompt_id, content, [head.version_id], message)
    if saved.version_id != head.version_id:
        await _move(session, actor, Created(prompt_id, saved.version_id), "branch", branch, head)
        told = {"branch": branch, "from": head.number, "to": saved.number}
        audit.record(session, actor, "prompt_saved", "prompt", prompt_id, told)
    return saved


async def write_version(
    session: WriteSession, actor: Actor, prompt_id: UUID, content: PromptContent, parents: Sequence[UUID], message: str
) -> Saved:
    """The version that holds ``content``: the one that is there, or a new one that came from ``parents``."""
    digest = content_hash(content)
    known = await session.first(_BY_HASH, {"prompt_id": prompt_id, "content_hash": digest})
    if known is not None:
        return Saved(known.id, known.number, is_new=False)
    number = (await session.execute(_NEXT_NUMBER, {"prompt_id": prompt_id})).scalar_one()
    version_id = new_id()
    row = {"id": version_id, "prompt_id": prompt_id, "number": number, "content_hash": digest}
    row |= {"content": canonical_json(content), "message": message, "author_id": actor.user_id}
    await session.execute(commands.ADD_VERSION, {**row, "created_at": clock.now()})
    lineage = [{"version_id": version_id, "position": at, "parent_id": parent} for at, parent in enumerate(parents)]
    await session.execute(_ADD_LINEAGE, lineage)
    return Saved(version_id, number, is_new=True)


async def move_head(
    session: WriteSession,
    actor: Actor,
    prompt_id: UUID,
    kind: str,
    name: str,
    number: int,
    *,
    expected: int | None = None,
    row_version: int | None = None,
    make: bool = True,
) -> int:
    """Points a branch or a label at version ``number``; makes it when it is not there. Atomic.

    The number that it pointed at before, 0 when it was not there; unless ``make``, that is NotFound. ``expected`` is
    the number that it must point at now, 0 for "it must not exist yet", Conflict otherwise; ``row_version`` is that
    which its row must have, Stale otherwise.
    """
    name = (parse_label if kind == "label" else parse_head_name)(name, at="{name}")
    await commands.owned(session, actor, prompt_id)
    head = await _head(session, prompt_id, kind, name)
    if head is None and not make:
        raise NotFound(f"This prompt has no {kind} {name!r}.")
    _check_head(head, f"The {kind} {name!r}", expected, row_version)
    before = 0 if head is None else int(head.number)
    target = await version_id(session, prompt_id, number)
    if head is None or head.version_id != target:
        await _move(session, actor, Created(prompt_id, target), kind, name, head)
        told = {kind: name, "from": before or None, "to": number}
        audit.record(session, actor, f"{kind}_moved", "prompt", prompt_id, told)
    return before


async def remove_head(
    session: WriteSession,
    actor: Actor,
    prompt_id: UUID,
    kind: str,
    name: str,
    *,
    expected: int | None = None,
    row_version: int | None = None,
) -> int:
    """Takes a branch or label away; the versions stay. The branch ``main`` cannot be removed.

    The number that it pointed at. ``expected`` and ``row_version`` are as for :func:`move_head`.
    """
    if (kind, name) == ("branch", MAIN):
        raise BadInput.at("{name}", "The branch 'main' cannot be removed: every prompt has it.")
    name = parse_head_name(name, at="{name}")
    await commands.owned(session, actor, prompt_id)
    head = await _head(session, prompt_id, kind, name)
    if head is None:
        raise NotFound(f"This prompt has no {kind} {name!r}.")
    _check_head(head, f"The {kind} {name!r}", expected, row_version)
    await session.execute(
        delete(m.PromptHead).where(
            m.PromptHead.prompt_id == prompt_id, m.PromptHead.kind == kind, m.PromptHead.name == name
        )
    )
    gone = commands.move_row(actor, Created(prompt_id, head.version_id), kind, name, head.version_id)
    await session.execute(commands.ADD_MOVE, {**gone, "to_version_id": None})
    await commands.bump(session, actor, prompt_id)
    audit.record(session, actor, f"{kind}_removed", "prompt", prompt_id, {kind: name, "from": head.number})
    return int(head.number)


async def merge_branches(
    session: WriteSession,
    actor: Actor,
    prompt_id: UUID,
    *,
    source: str,
    into: str = MAIN,
    choices: Mapping[str, Any] | None = None,
    message: str = "",
    expected: tuple[int, int] | None = None,
) -> Merged:
    """Brings what changed on the branch ``source`` into ``into``. Conflicts come back as data and change nothing.

    When ``into`` has nothing of its own since the two parted, its head just moves forward. Otherwise the merge is a
    version with two parents. ``choices`` decides conflicts by key: ``ours``, ``theirs``, ``base`` or a value; BadInput
    for one that decides none.
    ``expected`` are the numbers that ``into`` and ``source`` must be at: those whose merge somebody has looked at.
    """
    await commands.owned(session, actor, prompt_id)
    ours, theirs = await _both_heads(session, prompt_id, into, source)
    for number, head, name in zip(expected or (), (ours, theirs), (into, source), strict=False):
        _check_expected(number, head.number, f"The branch {name!r}")
    base = await _merge_base(session, prompt_id, ours.version_id, theirs.version_id)
    if base in (ours.version_id, theirs.version_id):
        no_choices(choices or {})
    if base == theirs.version_id:
        return Merged(Saved(ours.version_id, ours.number, is_new=False))
    if base == ours.version_id:
        saved = Saved(theirs.version_id, theirs.number, is_new=False)
    else:
        three = await _contents(session, base, ours.version_id, theirs.version_id)
        result = decided(three[0], three[1], three[2], choices or {})
        if result.content is None:
            return Merged(None, result.conflicts)
        parents = [ours.version_id, theirs.version_id]
        message = message or f"Merge {source} into {into}"
        saved = await write_version(session, actor, prompt_id, result.content, parents, message)
    if saved.version_id != ours.version_id:
        await _move(session, actor, Created(prompt_id, saved.version_id), "branch", into, ours)
        told = {"branch": into, "source": source, "from": ours.number, "to": saved.number}
        audit.record(session, actor, "branch_merged", "prompt", prompt_id, told)
    return Merged(saved)


async def _both_heads(session: WriteSession, prompt_id: UUID, into: str, source: str) -> tuple[Any, Any]:
    heads = [await _head(session, prompt_id, "branch", name) for name in (into, source)]
    for name, head in zip((into, source), heads, strict=True):
        if head is None:
            raise NotFound(f"This prompt has no branch {name!r}.")
    return heads[0], heads[1]


async def _merge_base(session: WriteSession, prompt_id: UUID, ours: UUID, theirs: UUID) -> UUID:
    parents: dict[UUID, list[UUID]] = {}
    for version, parent in await session.all(_LINEAGE, {"prompt_id": prompt_id}):
        parents.setdefault(version, []).extend([parent] if parent is not None else [])
    common = lowest_common_ancestors(parents, ours, theirs)
    if not common:
        raise Conflict("The two branches have no common version, so there is nothing to merge them from.")
    return common[0]


async def _contents(session: WriteSession, *versions: UUID) -> list[PromptContent]:
    query = select(m.PromptVersion.id, m.PromptVersion.content).where(m.PromptVersion.id.in_(versions))
    found = {row.id: row.content for row in await session.all(named("prompts.contents_of", query, bounded=True))}
    return [PromptContent.from_json(found[version]) for version in versions]


async def version_id(session: WriteSession, prompt_id: UUID, number: int) -> UUID:
    row = await session.first(_BY_NUMBER, {"prompt_id": prompt_id, "number": number})
    if row is None:
        raise NotFound(f"This prompt has no version {number}.")
    found: UUID = row.id
    return found


async def _head(session: WriteSession, prompt_id: UUID, kind: str, name: str) -> Any:
    return await session.first(_HEAD, {"prompt_id": prompt_id, "kind": kind, "name": name})


async def _move(session: WriteSession, actor: Actor, to: Created, kind: str, name: str, head: Any) -> None:
    """Makes or moves the head, keeps the move, and counts as a change of the prompt."""
    if head is None:
        await session.execute(commands.ADD_HEAD, commands.head_row(actor, to, kind, name))
    else:
        values = {"version_id": to.version_id, "updated_at": clock.now(), "updated_by": actor.user_id}
        this = {"of_prompt": to.prompt_id, "of_kind": kind, "of_name": name}
        await session.execute(_MOVE_HEAD, values | this)
    came_from = None if head is None else head.version_id
    await session.execute(commands.ADD_MOVE, commands.move_row(actor, to, kind, name, came_from))
    await commands.bump(session, actor, to.prompt_id)
    if (kind, name) == ("branch", MAIN):
        await commands.reindex(session, actor, to.prompt_id)


def _check_head(head: Any, what: str, expected: int | None, row_version: int | None) -> None:
    Stale.check(row_version, 0 if head is None else head.row_version)
    _check_expected(expected, 0 if head is None else head.number, what)


def _check_expected(expected: int | None, current: int, what: str) -> None:
    if expected is not None and expected != current:
        where = f"is at version {current}" if current else "does not exist"
        raise Conflict(f"{what} {where}, not at version {expected}: somebody moved it. Read it again, then repeat.")
