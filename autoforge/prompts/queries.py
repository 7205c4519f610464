"""Reads of prompts: lists, one, folders. Each function is one statement.

A page of the list is one statement whatever it shows: owner, labels and the latest evaluation are looked up by index
for the rows of the page, inside it. Only the columns that were asked for are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, bindparam, cast, func, select
from sqlalchemy.orm import aliased

from autoforge.db import ReadSession, named, search
from autoforge.db import models as m
from autoforge.db.columns import items, reader
from autoforge.db.keyset import KeysetQuery
from autoforge.errors import BadInput, NotFound

_Head, _HeadVersion, _LabelVersion = aliased(m.PromptHead), aliased(m.PromptVersion), aliased(m.PromptVersion)
_RunVersion = aliased(m.PromptVersion)


def latest_run(*of: Any) -> Any:
    """The id of the newest run that is not deleted, of those that meet the conditions."""
    newest_first = (m.Evaluation.created_at.desc(), m.Evaluation.id.desc())
    return select(m.Evaluation.id).where(*of, m.Evaluation.deleted_at.is_(None)).order_by(*newest_first).limit(1)


_latest_id = latest_run(m.Evaluation.prompt_id == m.Prompt.id).correlate(m.Prompt).scalar_subquery()
_labels = (
    select(func.aggregate_strings(m.PromptHead.name + "=" + cast(_LabelVersion.number, Text), ","))
    .join(_LabelVersion, _LabelVersion.id == m.PromptHead.version_id)
    .where(m.PromptHead.prompt_id == m.Prompt.id, m.PromptHead.kind == "label")
    .correlate(m.Prompt)
    .scalar_subquery()
)

# What may be asked for, and the columns that each needs.
_COLUMNS: Mapping[str, tuple[Any, ...]] = {
    "id": (),
    "name": (m.Prompt.name,),
    "title": (m.Prompt.title,),
    "status": (m.Prompt.status,),
    "tags": (m.Prompt.tags,),
    "labels": (_labels.label("labels"),),
    "head_number": (_HeadVersion.number.label("head_number"),),
    "owner": (m.User.name.label("owner"),),
    "latest": (
        m.Evaluation.id.label("evaluation_id"),
        m.Evaluation.score.label("latest_score"),
        m.Evaluation.cases.label("latest_cases"),
        m.Evaluation.model.label("latest_model"),
        _RunVersion.number.label("latest_version"),
    ),
    "created_at": (m.Prompt.created_at,),
    "updated_at": (m.Prompt.updated_at,),
    "row_version": (m.Prompt.row_version,),
}
ITEM_FIELDS = tuple(_COLUMNS)
_FILTERS = {
    "status": m.Prompt.status == bindparam("status"),
    "owner_id": m.Prompt.owner_id == bindparam("owner_id"),
    "first": (m.Prompt.name >= bindparam("first")) & (m.Prompt.name < bindparam("last")),
}
_SORTS = ("created_at", "updated_at", "name")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list shows. ``sort`` is created_at, updated_at or name, with a minus for downwards."""

    sort: str = "-created_at"
    status: str | None = None
    folder: str | None = None
    owner_id: UUID | None = None
    words: str | None = None
    fields: tuple[str, ...] = ITEM_FIELDS

    @property
    def sort_column(self) -> str:
        """BadInput for a column that lists cannot be sorted by."""
        column = self.sort.removeprefix("-")
        if column not in _SORTS:
            raise BadInput.at("?sort", f"A list of prompts is sorted by {', '.join(_SORTS)}, not {column!r}.")
        return column


async def page(
    session: ReadSession, workspace_id: UUID, asked: Listing, limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of the list and the cursor of the next (or None)."""
    given: dict[str, Any] = {"workspace_id": workspace_id}
    if asked.words:
        match = search.match_expression(workspace_id, asked.words, session.dialect)
        if match is None:
            return [], None  # the search holds nothing but punctuation
        given["match"] = match
    if asked.status not in (None, "deleted"):
        given["status"] = asked.status
    if asked.owner_id is not None:
        given["owner_id"] = asked.owner_id
    if prefix := (asked.folder or "").strip("/"):
        given |= {"first": f"{prefix}/", "last": f"{prefix}0"}  # "0" is the character after "/"
    column, is_deleted = asked.sort_column, asked.status == "deleted"
    sort = "deleted_at" if is_deleted else column
    downwards = is_deleted or asked.sort.startswith("-")
    query = _listing(asked.fields, sort, downwards, frozenset(given), session.dialect)
    found = await query.fetch(session, given, limit=limit, after=after)
    return _items(found.rows, asked.fields), found.next


@lru_cache(256)
def _listing(
    fields: tuple[str, ...], sort: str, descending: bool, filters: frozenset[str], dialect: str
) -> KeysetQuery:
    """The list with these filters; a search is ordered by its index, which is newest first.

    What is deleted is ordered by when it was, latest first: the order of its own index.
    """
    columns: dict[str, Any] = {"id": m.Prompt.id} | {one.key: one for name in fields for one in _COLUMNS[name]}
    gone = m.Prompt.deleted_at.is_not(None) if sort == "deleted_at" else m.Prompt.deleted_at.is_(None)
    statement = select(*columns.values()).where(m.Prompt.workspace_id == bindparam("workspace_id"), gone)
    statement = _joined(statement, fields)
    for name, condition in _FILTERS.items():
        if name in filters:
            statement = statement.where(condition)
    if "match" not in filters and sort == "name":  # unique among what is not deleted, so it needs no other key
        return KeysetQuery("prompts.page", statement, key=m.Prompt.name, descending=descending)
    if "match" not in filters:
        column = getattr(m.Prompt, sort)
        return KeysetQuery("prompts.page", statement, key=m.Prompt.id, sort=column, descending=descending)
    found = search.matching("prompt_search", dialect).columns(m.Prompt.seq).subquery("found")
    statement = statement.where(m.Prompt.seq.in_(select(found.c.seq)))
    return KeysetQuery("prompts.search", statement, key=m.Prompt.seq)


def _joined(statement: Select[Any], fields: tuple[str, ...]) -> Select[Any]:
    if "owner" in fields:
        statement = statement.join(m.User, m.User.id == m.Prompt.owner_id)
    if "head_number" in fields:
        on_main = (_Head.prompt_id == m.Prompt.id) & (_Head.kind == "branch") & (_Head.name == "main")
        statement = statement.join(_Head, on_main).join(_HeadVersion, _HeadVersion.id == _Head.version_id)
    if "latest" in fields:
        statement = statement.outerjoin(m.Evaluation, m.Evaluation.id == _latest_id)
        statement = statement.outerjoin(_RunVersion, _RunVersion.id == m.Evaluation.version_id)
    return statement


def _items(rows: Sequence[Any], fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """What is shown of each row: most of it as it is read, the rest made of it."""
    listed = items(rows, tuple(name for name in fields if name not in _MADE))
    for name in fields:
        if rows and name in _MADE:
            columns, make = _MADE[name]
            values_of = reader(rows[0]._fields, columns)
            for row, item in zip(rows, listed, strict=True):
                item[name] = make(*values_of(row))
    return listed


def _tags_of(tags: str) -> list[str]:
    return [] if tags == "[]" else list(json.loads(tags))


def _latest_of(
    evaluation_id: UUID | None, score: float | None, cases: int, model: str, version: int | None
) -> dict[str, Any] | None:
    """The latest run; ``version`` is what it scored, which need not be the one that the list shows."""
    if evaluation_id is None:
        return None
    return {"evaluation_id": evaluation_id, "score": score, "cases": cases, "model": model, "version": version}


def _labels_of(labels: str | None) -> list[dict[str, Any]]:
    if not labels:
        return []
    pairs = sorted([part.rpartition("=") for part in labels.split(",")])
    return [{"name": name, "number": int(number)} for name, _, number in pairs]


_MADE: Mapping[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    "tags": (("tags",), _tags_of),
    "labels": (("labels",), _labels_of),
    "latest": (("evaluation_id", "latest_score", "latest_cases", "latest_model", "latest_version"), _latest_of),
}


MOST_COUNTED = 1_000
_versions = (  # numbers may have gaps: a file may hold only the fiftieth
    select(func.count())
    .select_from(
        select(m.PromptVersion.number)
        .where(m.PromptVersion.prompt_id == bindparam("prompt_id"))
        .limit(MOST_COUNTED + 1)
        .subquery()
    )
    .scalar_subquery()
)
_one = (
    select(
        m.Prompt.id,
        m.Prompt.name,
        m.Prompt.title,
        m.Prompt.description,
        m.Prompt.status,
        m.Prompt.tags,
        m.Prompt.row_version,
        m.Prompt.created_at,
        m.Prompt.updated_at,
        m.Prompt.deleted_at,
        _versions.label("versions"),
        func.coalesce(m.PromptScore.evaluations, 0).label("evaluations"),
        m.PromptScore.average.label("average_score"),
        m.User.name.label("owner"),
        _HeadVersion.number.label("head_number"),
    )
    .join(m.User, m.User.id == m.Prompt.owner_id)
    .join(_Head, (_Head.prompt_id == m.Prompt.id) & (_Head.kind == "branch") & (_Head.name == "main"))
    .join(_HeadVersion, _HeadVersion.id == _Head.version_id)
    .outerjoin(m.PromptScore, m.PromptScore.prompt_id == m.Prompt.id)
    .where(m.Prompt.id == bindparam("prompt_id"), m.Prompt.workspace_id == bindparam("workspace_id"))
)
_ONE = named("prompts.one", _one, bounded=True)
_Author, _Mover, _Pointer = aliased(m.User), aliased(m.User), aliased(m.PromptHead)
_movers = (
    select(func.aggregate_strings(_Pointer.kind + "/" + _Pointer.name + "=" + _Mover.name, "\n"))
    .join(_Mover, _Mover.id == _Pointer.updated_by)
    .where(_Pointer.prompt_id == m.Prompt.id)
    .correlate(m.Prompt)
    .scalar_subquery()
)
_run_of_head = latest_run(m.Evaluation.prompt_id == m.Prompt.id, m.Evaluation.version_id == _HeadVersion.id)
_BESIDE = ("author", "movers", "latest_run")
_ONE_WITH_BESIDE = named(
    "prompts.one_with_beside",
    _one.join(_Author, _Author.id == _HeadVersion.author_id).add_columns(
        _Author.name.label("author"),
        _movers.label("movers"),
        _run_of_head.correlate(m.Prompt, _HeadVersion).scalar_subquery().label("latest_run"),
    ),
    bounded=True,
)
_EXISTS = named(
    "prompts.exists",
    select(m.Prompt.id).where(
        m.Prompt.id == bindparam("prompt_id"), m.Prompt.workspace_id == bindparam("workspace_id")
    ),
    bounded=True,
)


async def one(session: ReadSession, workspace_id: UUID, prompt_id: UUID) -> dict[str, Any]:
    """A prompt of the workspace, deleted or not (``deleted_at`` tells), with the number at the head of ``main``.

    ``versions`` is how many there are; one more than MOST_COUNTED stands for all that are more.
    """
    row = await session.first(_ONE, {"prompt_id": prompt_id, "workspace_id": workspace_id})
    if row is None:
        raise _missing(prompt_id)
    return {**row._mapping, "tags": json.loads(row.tags)}


async def one_with_beside(session: ReadSession, workspace_id: UUID, prompt_id: UUID) -> tuple[dict[str, Any], str]:
    """The same, and a text that changes with what is shown of it and changes without it: names of people, runs."""
    row = await session.first(_ONE_WITH_BESIDE, {"prompt_id": prompt_id, "workspace_id": workspace_id})
    if row is None:
        raise _missing(prompt_id)
    shown = {**row._mapping, "tags": json.loads(row.tags)}
    author, movers, run = (shown.pop(name) for name in _BESIDE)
    names = [shown["owner"], author, *sorted((movers or "").split("\n"))]  # an aggregate has no order
    return shown, json.dumps([names, shown["evaluations"], shown["average_score"], str(run)])


async def must_exist(session: ReadSession, workspace_id: UUID, prompt_id: UUID) -> None:
    """NotFound unless the prompt is one of the workspace; its history is read only after that."""
    if await session.first(_EXISTS, {"prompt_id": prompt_id, "workspace_id": workspace_id}) is None:
        raise _missing(prompt_id)


def _missing(prompt_id: UUID) -> NotFound:
    return NotFound(f"There is no prompt with the id {prompt_id} in this workspace.")
