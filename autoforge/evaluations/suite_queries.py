"""Reads of suites: the list, one, pages of its cases, and all of them for scoring."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, func, or_, select

from autoforge.db import ReadSession, named
from autoforge.db import models as m
from autoforge.db.columns import items
from autoforge.db.keyset import KeysetQuery, Page
from autoforge.errors import NotFound
from autoforge.evaluations.queries import contains_pattern
from autoforge.evaluations.stored_cases import case_from
from autoforge.evaluations.suite_commands import StoredSuite

_FEW = 100
"""Cases that are read at once, without a cursor that stays open."""
MOST_COUNTED = 1_000
"""A suite's runs are counted up to here: a figure in a list must not cost more with every run."""

_runs = (
    select(m.Evaluation.id)
    .where(m.Evaluation.suite_id == m.Suite.id, m.Evaluation.deleted_at.is_(None))
    .limit(MOST_COUNTED)
    .correlate(m.Suite)
    .subquery()
)
_latest_score = (
    select(m.Evaluation.score)
    .where(m.Evaluation.suite_id == m.Suite.id, m.Evaluation.deleted_at.is_(None))
    .order_by(m.Evaluation.created_at.desc(), m.Evaluation.id.desc())
    .limit(1)
    .correlate(m.Suite)
    .scalar_subquery()
)
_COLUMN_OF: dict[str, Any] = {
    "id": m.Suite.id,
    "name": m.Suite.name,
    "description": m.Suite.description,
    "cases": m.Suite.case_count.label("cases"),
    "evaluations": select(func.count()).select_from(_runs).scalar_subquery().label("evaluations"),
    "latest_score": _latest_score.label("latest_score"),
    "is_sample": m.Suite.is_sample,
    "created_at": m.Suite.created_at,
    "updated_at": m.Suite.updated_at,
    "row_version": m.Suite.row_version,
}
FIELDS = tuple(_COLUMN_OF)
SORTS = ("-created_at", "created_at", "name", "-name")


@lru_cache(64)
def _list(sort: str, searching: bool, fields: tuple[str, ...]) -> KeysetQuery:
    statement = select(*(_COLUMN_OF[name] for name in fields)).where(
        m.Suite.workspace_id == bindparam("workspace_id"), m.Suite.deleted_at.is_(None)
    )
    if searching:
        statement = statement.where(m.Suite.name.ilike(bindparam("words"), escape="\\"))
    down = sort.startswith("-")
    if sort.removeprefix("-") == "name":  # unique in a workspace, so it is a key by itself
        return KeysetQuery("suites.list", statement, key=m.Suite.name, descending=down)
    return KeysetQuery("suites.list", statement, sort=m.Suite.created_at, key=m.Suite.id, descending=down)


async def page(
    session: ReadSession,
    workspace_id: UUID,
    limit: int,
    after: str | None = None,
    *,
    sort: str = "-created_at",
    words: str | None = None,
    fields: tuple[str, ...] = FIELDS,
) -> tuple[list[dict[str, Any]], str | None]:
    """Suites of the workspace and the cursor of the next page. ``sort`` is one of ``SORTS``."""
    given: dict[str, Any] = {"workspace_id": workspace_id}
    if words:
        given["words"] = contains_pattern(words)
    found = await _list(sort, bool(words), fields).fetch(session, given, limit=limit, after=after)
    return items(found.rows, fields), found.next


_this = (
    m.Suite.id == bindparam("suite_id"),
    m.Suite.workspace_id == bindparam("workspace_id"),
    m.Suite.deleted_at.is_(None),
)
_ONE = named("suites.one", select(*_COLUMN_OF.values()).where(*_this), bounded=True)
_DELETED = named(
    "suites.deleted",
    select(m.Suite.id, m.Suite.name, m.Suite.deleted_at).where(*_this[:2], m.Suite.deleted_at.is_not(None)),
    bounded=True,
)
_IS_THERE = named("suites.is_there", select(m.Suite.id).where(*_this), bounded=True)
_of_suite = (m.TestCase.suite_id == bindparam("suite_id"), m.TestCase.deleted_at.is_(None))
_CASE_COLUMNS: tuple[Any, ...] = (m.TestCase.id, m.TestCase.position, m.TestCase.name, m.TestCase.content)
_page_of_cases = select(*_CASE_COLUMNS).where(*_of_suite)
_CASES = KeysetQuery("suites.cases", _page_of_cases, sort=m.TestCase.position, key=m.TestCase.id, descending=False)
_words: Any = bindparam("words")
_CASES_WITH = KeysetQuery(
    "suites.cases_with",
    _page_of_cases.where(
        or_(m.TestCase.name.ilike(_words, escape="\\"), m.TestCase.content.ilike(_words, escape="\\"))
    ),
    sort=m.TestCase.position,
    key=m.TestCase.id,
    descending=False,
)
_EVERY_CASE = named("suites.every_case", _page_of_cases.order_by(m.TestCase.position, m.TestCase.id))


async def check(session: ReadSession, workspace_id: UUID, suite_id: UUID) -> None:
    """NotFound when the suite is deleted or not of the workspace."""
    if await session.first(_IS_THERE, {"suite_id": suite_id, "workspace_id": workspace_id}) is None:
        raise _not_found(suite_id)


def _not_found(suite_id: UUID) -> NotFound:
    return NotFound(f"There is no suite with the id {suite_id} in this workspace.")


async def one(session: ReadSession, workspace_id: UUID, suite_id: UUID) -> Row[Any]:
    """A suite with figures. NotFound when it is deleted or not of the workspace."""
    row = await session.first(_ONE, {"suite_id": suite_id, "workspace_id": workspace_id})
    if row is None:
        raise _not_found(suite_id)
    return row


async def deleted(session: ReadSession, workspace_id: UUID, suite_id: UUID) -> Row[Any]:
    """``id``, ``name`` and ``deleted_at`` of a deleted suite. NotFound when it is not deleted or not there."""
    row: Row[Any] | None = await session.first(_DELETED, {"suite_id": suite_id, "workspace_id": workspace_id})
    if row is None:
        raise _not_found(suite_id)
    return row


async def cases(
    session: ReadSession, suite_id: UUID, limit: int, after: str | None = None, *, words: str | None = None
) -> Page[Row[Any]]:
    """Cases in order. The caller has found the suite in its workspace."""
    given: dict[str, Any] = {"suite_id": suite_id}
    if words:
        given["words"] = contains_pattern(words)
    return await (_CASES_WITH if words else _CASES).fetch(session, given, limit=limit, after=after)


async def whole(session: ReadSession, suite_id: UUID, *, most: int) -> StoredSuite:
    """The suite with all of its cases, ready for scoring; only the first ``most`` + 1 are read of a huge one."""
    first = await cases(session, suite_id, min(most + 1, _FEW))
    if first.next is None:
        return _stored(suite_id, first.rows)
    rows: list[Row[Any]] = []
    async for some in session.stream(_EVERY_CASE, {"suite_id": suite_id}):
        rows += some
        if len(rows) > most:
            break
    return _stored(suite_id, rows[: most + 1])


def _stored(suite_id: UUID, rows: Sequence[Row[Any]]) -> StoredSuite:
    found = [case_from(row.name, row.content) for row in rows]
    return StoredSuite(suite_id, [row.id for row in rows], found)
