"""Reads of a prompt's history: its versions, its heads, and what a reference such as ``NAME@production`` means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Text, bindparam, cast, func, or_, select
from sqlalchemy.orm import aliased

from autoforge.db import ReadSession, named
from autoforge.db import models as m
from autoforge.prompts.names import MAIN, Reference
from autoforge.prompts.queries import latest_run

_Parent = aliased(m.PromptVersion)
_COLUMNS = (
    m.PromptVersion.id,
    m.PromptVersion.prompt_id,
    m.PromptVersion.number,
    m.PromptVersion.content_hash,
    m.PromptVersion.message,
    m.PromptVersion.created_at,
    m.User.name.label("author"),
)
_parents = (  # "position:number" each: which parent is the first one matters, and an aggregate has no order
    select(func.aggregate_strings(cast(m.PromptLineage.position, Text) + ":" + cast(_Parent.number, Text), ","))
    .select_from(m.PromptLineage)
    .join(_Parent, _Parent.id == m.PromptLineage.parent_id)
    .where(m.PromptLineage.version_id == m.PromptVersion.id)
    .correlate(m.PromptVersion)
    .scalar_subquery()
    .label("parents")
)
_latest_id = (
    latest_run(
        m.Evaluation.prompt_id == m.PromptVersion.prompt_id,
        m.Evaluation.version_id == m.PromptVersion.id,
    )
    .correlate(m.PromptVersion)
    .scalar_subquery()
)
_LATEST = (m.Evaluation.score.label("latest_score"), m.Evaluation.model.label("latest_model"))


def _of_prompt(*more: Any) -> Any:
    return (
        select(*_COLUMNS, _parents, *more)
        .join(m.User, m.User.id == m.PromptVersion.author_id)
        .where(m.PromptVersion.prompt_id == bindparam("prompt_id"))
    )


def _with_latest(*more: Any) -> Any:
    """With the score and the model of the version's latest run: a score says little without its model."""
    return _of_prompt(*_LATEST, *more).outerjoin(m.Evaluation, m.Evaluation.id == _latest_id)


_NEWEST = named(
    "versions.newest",
    _with_latest()
    .where(m.PromptVersion.number < bindparam("before"))
    .order_by(m.PromptVersion.number.desc())
    .limit(bindparam("limit")),
    bounded=True,
)
_ONE = named(
    "versions.one",
    _with_latest(m.PromptVersion.content).where(m.PromptVersion.number == bindparam("number")),
    bounded=True,
)
_ONE_OF_WORKSPACE = named(
    "versions.one_of_workspace",
    _with_latest(m.PromptVersion.content).where(
        m.PromptVersion.number == bindparam("number"),
        m.PromptVersion.prompt_id.in_(
            select(m.Prompt.id).where(
                m.Prompt.id == bindparam("prompt_id"), m.Prompt.workspace_id == bindparam("workspace_id")
            )
        ),
    ),
    bounded=True,
)
_TWO = named(
    "versions.two",
    _of_prompt(m.PromptVersion.content).where(m.PromptVersion.number.in_(bindparam("numbers", expanding=True))),
    bounded=True,
)
_Older, _Newer = aliased(m.PromptVersion), aliased(m.PromptVersion)
_NEIGHBOURS = named(
    "versions.neighbours",
    select(
        select(func.max(_Older.number))
        .where(_Older.prompt_id == bindparam("prompt_id"), _Older.number < bindparam("number"))
        .scalar_subquery()
        .label("older"),
        select(func.min(_Newer.number))
        .where(_Newer.prompt_id == bindparam("prompt_id"), _Newer.number > bindparam("number"))
        .scalar_subquery()
        .label("newer"),
    ),
    bounded=True,
)
_HEADS = named(
    "versions.heads",
    select(
        m.PromptHead.kind,
        m.PromptHead.name,
        m.PromptHead.row_version,
        m.PromptHead.updated_at,
        m.PromptVersion.number,
        m.User.name.label("updated_by"),
    )
    .join(m.PromptVersion, m.PromptVersion.id == m.PromptHead.version_id)
    .join(m.User, m.User.id == m.PromptHead.updated_by)
    .where(m.PromptHead.prompt_id == bindparam("prompt_id"))
    .order_by(m.PromptHead.kind, m.PromptHead.name),
    bounded=True,
)
_From, _To = aliased(m.PromptVersion), aliased(m.PromptVersion)
_MOVES = named(
    "versions.moves",
    select(
        m.PromptHeadMove.kind,
        m.PromptHeadMove.name,
        m.PromptHeadMove.moved_at,
        m.User.name.label("moved_by"),
        _From.number.label("from_number"),
        _To.number.label("to_number"),
    )
    .outerjoin(_From, _From.id == m.PromptHeadMove.from_version_id)
    .outerjoin(_To, _To.id == m.PromptHeadMove.to_version_id)
    .join(m.User, m.User.id == m.PromptHeadMove.moved_by)
    .where(m.PromptHeadMove.prompt_id == bindparam("prompt_id"))
    .order_by(m.PromptHeadMove.moved_at.desc(), m.PromptHeadMove.id.desc())
    .limit(bindparam("limit")),
    bounded=True,
)
_REFERENCED = (
    select(
        m.Prompt.id.label("prompt_id"),
        m.Prompt.name,
        m.Prompt.title,
        m.Prompt.status,
        m.PromptVersion.id.label("version_id"),
        m.PromptVersion.number,
        m.PromptVersion.content_hash,
        m.PromptVersion.content,
        m.PromptVersion.created_at,
    )
    .join(m.PromptVersion, m.PromptVersion.prompt_id == m.Prompt.id)
    .where(
        m.Prompt.workspace_id == bindparam("workspace_id"),
        m.Prompt.name == bindparam("name"),
        m.Prompt.deleted_at.is_(None),
    )
)
_BY_NUMBER = named("versions.by_number", _REFERENCED.where(m.PromptVersion.number == bindparam("number")), bounded=True)
_at_head = _REFERENCED.join(m.PromptHead, m.PromptHead.version_id == m.PromptVersion.id).where(
    m.PromptHead.prompt_id == m.Prompt.id
)
_BY_MAIN = named(
    "versions.by_main", _at_head.where(m.PromptHead.kind == "branch", m.PromptHead.name == MAIN), bounded=True
)
_BY_HEAD = named(
    "versions.by_head",
    _at_head.where(m.PromptHead.name == bindparam("head"))
    .where(or_(m.PromptHead.kind == "label", m.PromptHead.kind == "branch"))
    .order_by(m.PromptHead.kind.desc())  # a label wins over a branch of the same name
    .limit(1),
    bounded=True,
)


_BEGINNINGS = named(
    "versions.beginnings",
    select(m.PromptHead.prompt_id, func.substr(m.PromptVersion.content, 1, bindparam("length")).label("content"))
    .join(m.PromptVersion, m.PromptVersion.id == m.PromptHead.version_id)
    .where(
        m.PromptHead.prompt_id.in_(bindparam("ids", expanding=True)),
        m.PromptHead.kind == "branch",
        m.PromptHead.name == MAIN,
    ),
    bounded=True,
)
MOST_SEARCHED = 30_000
"""Characters of a content that are read to show where a word stands in it."""


async def beginnings(session: ReadSession, prompt_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The contents at the heads of ``main``, as JSON text that is cut off when it is long, by prompt."""
    rows = await session.all(_BEGINNINGS, {"ids": list(prompt_ids), "length": MOST_SEARCHED})
    return {row.prompt_id: row.content for row in rows}


async def newest(session: ReadSession, prompt_id: UUID, limit: int, before: int | None = None) -> list[dict[str, Any]]:
    """Up to ``limit`` versions below number ``before``, newest first, without their contents."""
    rows = await session.all(_NEWEST, {"prompt_id": prompt_id, "limit": limit, "before": before or 2**31 - 1})
    return [_version(row) for row in rows]


async def one(session: ReadSession, prompt_id: UUID, number: int) -> dict[str, Any] | None:
    """One version with its ``content`` as stored JSON text."""
    row = await session.first(_ONE, {"prompt_id": prompt_id, "number": number})
    return None if row is None else _version(row)


async def one_of_workspace(
    session: ReadSession, workspace_id: UUID, prompt_id: UUID, number: int
) -> dict[str, Any] | None:
    """The same, if the prompt is one of the workspace."""
    given = {"prompt_id": prompt_id, "workspace_id": workspace_id, "number": number}
    row = await session.first(_ONE_OF_WORKSPACE, given)
    return None if row is None else _version(row)


async def neighbours(session: ReadSession, prompt_id: UUID, number: int) -> tuple[int | None, int | None]:
    """The numbers of the versions before and after this one, as far as there are any: numbers may have gaps."""
    row = await session.first(_NEIGHBOURS, {"prompt_id": prompt_id, "number": number})
    return (None, None) if row is None else (row.older, row.newer)


async def several(session: ReadSession, prompt_id: UUID, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The versions of these numbers that exist, with their contents, by number."""
    rows = await session.all(_TWO, {"prompt_id": prompt_id, "numbers": list(numbers)})
    return {row.number: _version(row) for row in rows}


async def heads(session: ReadSession, prompt_id: UUID) -> list[dict[str, Any]]:
    """Branches and labels: kind, name, number, row_version, updated_at, updated_by."""
    return [dict(row._mapping) for row in await session.all(_HEADS, {"prompt_id": prompt_id})]


async def moves(session: ReadSession, prompt_id: UUID, limit: int = 50) -> list[dict[str, Any]]:
    """The latest moves of branches and labels, newest first."""
    return [dict(row._mapping) for row in await session.all(_MOVES, {"prompt_id": prompt_id, "limit": limit})]


async def referenced(session: ReadSession, workspace_id: UUID, wanted: Reference) -> dict[str, Any] | None:
    """The version that the reference means, with its prompt; one statement. Without a head it is that of ``main``."""
    place = {"workspace_id": workspace_id, "name": wanted.name}
    if wanted.number is not None:
        row = await session.first(_BY_NUMBER, {**place, "number": wanted.number})
    elif wanted.head in (None, MAIN):  # the branch, even where a label of that name was made when one could
        row = await session.first(_BY_MAIN, place)
    else:
        row = await session.first(_BY_HEAD, {**place, "head": wanted.head})
    return None if row is None else dict(row._mapping)


def _version(row: Any) -> dict[str, Any]:
    version = dict(row._mapping)
    pairs = [pair.split(":") for pair in (version["parents"] or "").split(",") if pair]
    version["parents"] = [int(number) for _, number in sorted(pairs, key=lambda pair: int(pair[0]))]
    return version
