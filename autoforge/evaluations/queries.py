"""Reads of evaluations: the list, one run, pages of its results, and two runs side by side.

Each function is one statement. A list of one prompt's or one suite's runs finds its workspace through that prompt or
suite, so that the index on (prompt or suite, time) alone answers it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, bindparam, func, or_, select

from autoforge.db import ReadSession, named
from autoforge.db import models as m
from autoforge.db.columns import items
from autoforge.db.keyset import KeysetQuery, Page
from autoforge.errors import NotFound
from autoforge.evaluations.cases import Outcome
from autoforge.evaluations.stored_cases import CODES

_COLUMNS = (
    m.Evaluation.id,
    m.Evaluation.name,
    m.Evaluation.provider,
    m.Evaluation.model,
    m.Evaluation.source,
    m.Evaluation.status,
    m.Evaluation.score,
    m.Evaluation.cases,
    m.Evaluation.passed,
    m.Evaluation.failed,
    m.Evaluation.errors,
    m.Evaluation.latency_ms,
    m.Evaluation.tokens_in,
    m.Evaluation.tokens_out,
    m.Evaluation.cost_nano,
    m.Evaluation.prompt_id,
    m.Prompt.name.label("prompt_name"),
    m.Evaluation.version_id,
    m.PromptVersion.number.label("version_number"),
    m.Evaluation.suite_id,
    m.Suite.name.label("suite_name"),
    m.Evaluation.batch_id,
    m.Evaluation.is_sample,
    m.Evaluation.created_at,
    m.Evaluation.completed_at,
    m.Evaluation.row_version,
)
_COLUMN_OF = {column.key: column for column in _COLUMNS}
FIELDS = tuple(_COLUMN_OF)
"""What may be asked for of a run."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which runs of a workspace; ``words`` is looked for in names and models."""

    prompt_id: UUID | None = None
    suite_id: UUID | None = None
    batch_id: UUID | None = None
    status: str | None = None
    model: str | None = None
    words: str | None = None

    def given(self) -> dict[str, Any]:
        """The filters that are set."""
        every = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in every.items() if value not in (None, "")}


EVERY = Filters()


def _of_runs(columns: Sequence[Any]) -> Select[Any]:
    """Runs with whatever the columns need of prompts, versions and suites."""
    return (
        select(*columns)
        .outerjoin(m.Prompt, m.Prompt.id == m.Evaluation.prompt_id)
        .outerjoin(m.PromptVersion, m.PromptVersion.id == m.Evaluation.version_id)
        .outerjoin(m.Suite, m.Suite.id == m.Evaluation.suite_id)
        .select_from(m.Evaluation)
        .where(m.Evaluation.deleted_at.is_(None))
    )


@lru_cache(256)
def _list(given: frozenset[str], fields: tuple[str, ...]) -> KeysetQuery:
    statement = _of_runs([_COLUMN_OF[name] for name in fields])
    if "prompt_id" in given:
        statement = statement.where(
            m.Evaluation.prompt_id == bindparam("prompt_id"), m.Prompt.workspace_id == bindparam("workspace_id")
        )
    elif "suite_id" in given:
        statement = statement.where(m.Suite.workspace_id == bindparam("workspace_id"))
    elif "batch_id" in given:
        statement = statement.where(m.Evaluation.batch_id == bindparam("batch_id"))
        statement = statement.where(m.Evaluation.workspace_id == bindparam("workspace_id"))
    else:
        statement = statement.where(m.Evaluation.workspace_id == bindparam("workspace_id"))
    for name in ("suite_id", "status", "model"):
        if name in given:
            statement = statement.where(_COLUMN_OF[name] == bindparam(name))
    if "words" in given:
        words: Any = bindparam("words")
        found = [column.ilike(words, escape="\\") for column in (m.Evaluation.name, m.Evaluation.model)]
        statement = statement.where(or_(*found))
    name = "evaluations.list_of_batch" if "batch_id" in given else "evaluations.list"
    return KeysetQuery(name, statement, sort=m.Evaluation.created_at, key=m.Evaluation.id)


def contains_pattern(words: str) -> str:
    """A LIKE pattern for texts that contain ``words`` literally."""
    for special in "\\%_":
        words = words.replace(special, "\\" + special)
    return f"%{words}%"


async def page(
    session: ReadSession,
    workspace_id: UUID,
    filters: Filters = EVERY,
    limit: int = 50,
    after: str | None = None,
    *,
    fields: tuple[str, ...] = FIELDS,
) -> tuple[list[dict[str, Any]], str | None]:
    """Runs of the workspace, newest first, and the cursor of the next page (or None)."""
    given = filters.given()
    if "words" in given:
        given["words"] = contains_pattern(given["words"])
    query = _list(frozenset(given), fields)
    found = await query.fetch(session, {"workspace_id": workspace_id, **given}, limit=limit, after=after)
    return items(found.rows, fields), found.next


_ONE = named(
    "evaluations.one",
    _of_runs([*_COLUMNS, m.Evaluation.problem]).where(
        m.Evaluation.id == bindparam("evaluation_id"), m.Evaluation.workspace_id == bindparam("workspace_id")
    ),
    bounded=True,
)
_TWO = named(
    "evaluations.two",
    _of_runs(_COLUMNS).where(
        m.Evaluation.id.in_(bindparam("ids", expanding=True)), m.Evaluation.workspace_id == bindparam("workspace_id")
    ),
    bounded=True,
)


async def one(session: ReadSession, workspace_id: UUID, evaluation_id: UUID) -> Row[Any]:
    """A run with the names of its prompt and suite. NotFound when it is deleted or not of the workspace."""
    row = await session.first(_ONE, {"evaluation_id": evaluation_id, "workspace_id": workspace_id})
    if row is None:
        raise missing(evaluation_id)
    return row


async def some(session: ReadSession, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Row[Any]]:
    """A few runs by id. NotFound when one of them is deleted or not of the workspace."""
    rows = await session.all(_TWO, {"ids": list(ids), "workspace_id": workspace_id})
    found = {row.id: row for row in rows}
    for evaluation_id in ids:
        if evaluation_id not in found:
            raise missing(evaluation_id)
    return found


def missing(evaluation_id: UUID) -> NotFound:
    return NotFound(f"There is no evaluation with the id {evaluation_id} in this workspace.")


_RESULT_COLUMNS: dict[str, Any] = {
    "position": m.TestResult.position,
    "case_id": m.TestResult.case_id,
    "case": m.TestResult.case_name.label("case"),
    "outcome": m.TestResult.outcome,
    "score": m.TestResult.score,
    "reason": m.TestResult.reason,
    "output": m.TestResult.output,
    "assertions": m.TestResult.assertions,
    "latency_ms": m.TestResult.latency_ms,
    "tokens_in": m.TestResult.tokens_in,
    "tokens_out": m.TestResult.tokens_out,
    "cost_nano": m.TestResult.cost_nano,
    "finish_reason": m.TestResult.finish_reason,
}
RESULT_FIELDS = tuple(_RESULT_COLUMNS)
RESULT_SORTS = {"position": None, "outcome": m.TestResult.outcome, "score": m.TestResult.score}
OUTPUT_SHOWN = 4_000
"""Characters of an output that a page of results shows."""


@dataclass(frozen=True, slots=True)
class ResultsAsked:
    """Which results of a run. ``sort`` is position, outcome (problems first) or score; a minus turns it round."""

    sort: str = "position"
    outcome: Outcome | None = None
    metric: str | None = None
    fields: tuple[str, ...] = RESULT_FIELDS
    with_case: bool = False


@lru_cache(256)
def _results(asked: ResultsAsked) -> KeysetQuery:
    """The statement of a page; of ``outcome`` and ``metric`` it matters only whether they are set."""
    statement: Select[Any] = select(*(_RESULT_COLUMNS[name] for name in asked.fields))
    if asked.with_case:
        shown = func.substr(m.TestResult.output, 1, OUTPUT_SHOWN + 1).label("output")
        columns = [shown if name == "output" else _RESULT_COLUMNS[name] for name in asked.fields]
        statement = (
            select(*columns, m.TestCase.content.label("case_content"))
            .select_from(m.TestResult)
            .outerjoin(m.TestCase, m.TestCase.id == m.TestResult.case_id)
        )
    statement = statement.where(m.TestResult.evaluation_id == bindparam("evaluation_id"))
    if asked.outcome is not None:
        statement = statement.where(m.TestResult.outcome == bindparam("outcome"))
    if asked.metric is not None:
        statement = statement.where(m.TestResult.assertions.like(bindparam("metric"), escape="\\"))
    sort = asked.sort.removeprefix("-")
    column = None if sort == "outcome" and asked.outcome is not None else RESULT_SORTS[sort]
    return KeysetQuery(
        "evaluations.results",
        statement,
        sort=column,
        key=m.TestResult.position,
        descending=asked.sort.startswith("-"),
    )


async def results(
    session: ReadSession, evaluation_id: UUID, asked: ResultsAsked, limit: int, after: str | None = None
) -> Page[Row[Any]]:
    """A page of a run's results. The caller has found the run in its workspace."""
    shape = ResultsAsked(asked.sort, asked.outcome and Outcome.PASS, asked.metric and "", asked.fields, asked.with_case)
    given: dict[str, Any] = {"evaluation_id": evaluation_id}
    if asked.outcome is not None:
        given["outcome"] = CODES[asked.outcome]
    if asked.metric is not None:
        given["metric"] = contains_pattern(f'"metric":{_json(asked.metric)},')
    return await _results(shape).fetch(session, given, limit=limit, after=after)


def _json(text: str) -> str:
    import msgspec

    return msgspec.json.encode(text).decode()


_RESULT = named(
    "evaluations.result",
    select(*_RESULT_COLUMNS.values(), m.TestCase.content.label("case_content"))
    .select_from(m.TestResult)
    .outerjoin(m.TestCase, m.TestCase.id == m.TestResult.case_id)
    .where(m.TestResult.evaluation_id == bindparam("evaluation_id"), m.TestResult.position == bindparam("position")),
    bounded=True,
)
_ELSEWHERE = named(
    "evaluations.case_elsewhere",
    select(
        m.Evaluation.id.label("run_id"),
        m.Evaluation.name.label("run_name"),
        m.Evaluation.model,
        m.TestResult.position.label("result_id"),
        m.TestResult.outcome,
        m.TestResult.score,
    )
    .join(m.Evaluation, m.Evaluation.id == m.TestResult.evaluation_id)
    .where(
        m.TestResult.case_id == bindparam("case_id"),
        m.TestResult.evaluation_id != bindparam("evaluation_id"),
        m.Evaluation.deleted_at.is_(None),
    )
    .order_by(m.TestResult.evaluation_id.desc())
    .limit(10),
    bounded=True,
)


async def result(session: ReadSession, evaluation_id: UUID, position: int) -> Row[Any]:
    """One result with its case."""
    row: Row[Any] | None = await session.first(_RESULT, {"evaluation_id": evaluation_id, "position": position})
    if row is None:
        raise NotFound(f"This evaluation has no result {position}.")
    return row


async def elsewhere(session: ReadSession, evaluation_id: UUID, case_id: UUID | None) -> Sequence[Row[Any]]:
    """The same case in the ten newest other runs."""
    if case_id is None:
        return []
    return await session.all(_ELSEWHERE, {"evaluation_id": evaluation_id, "case_id": case_id})


_EVERY_RESULT = named(
    "evaluations.every_result",
    select(*_RESULT_COLUMNS.values())
    .where(m.TestResult.evaluation_id == bindparam("evaluation_id"))
    .order_by(m.TestResult.position),
)
_MEASURED = named(
    "evaluations.measured",
    select(m.TestResult.assertions, m.TestResult.latency_ms).where(
        m.TestResult.evaluation_id == bindparam("evaluation_id")
    ),
)
_FEW = 100
"""Results that are read at once, without a cursor that stays open."""
_MEASURED_FEW = named("evaluations.measured_few", _MEASURED.limit(_FEW), bounded=True)
_SCORED = named(
    "evaluations.scored_pair",
    select(
        m.TestResult.evaluation_id,
        m.TestResult.case_id,
        m.TestResult.position,
        m.TestResult.outcome,
        m.TestResult.score,
    ).where(m.TestResult.evaluation_id.in_(bindparam("ids", expanding=True))),
)
_SCORED_CONTENT = named(
    "evaluations.scored_content",
    select(m.TestResult.position, m.TestResult.outcome, m.TestResult.score, m.TestCase.content_hash)
    .select_from(m.TestResult)
    .outerjoin(m.TestCase, m.TestCase.id == m.TestResult.case_id)
    .where(m.TestResult.evaluation_id == bindparam("evaluation_id"))
    .order_by(m.TestResult.position),
)
_SIDE_BY_SIDE = named(
    "evaluations.side_by_side",
    select(
        m.TestResult.evaluation_id,
        m.TestResult.position,
        m.TestResult.case_name,
        m.TestResult.outcome,
        m.TestResult.score,
        m.TestResult.reason,
        func.substr(m.TestResult.output, 1, OUTPUT_SHOWN + 1).label("output"),
        m.TestCase.content.label("case_content"),
    )
    .select_from(m.TestResult)
    .outerjoin(m.TestCase, m.TestCase.id == m.TestResult.case_id)
    .where(
        m.TestResult.evaluation_id == bindparam("evaluation_id"),
        m.TestResult.position.in_(bindparam("positions", expanding=True)),
    ),
    bounded=True,
)


def every_result(session: ReadSession, evaluation_id: UUID) -> AsyncIterator[Sequence[Row[Any]]]:
    """All results in order, in batches."""
    return session.stream(_EVERY_RESULT, {"evaluation_id": evaluation_id}, batch=200)


async def measured(session: ReadSession, evaluation_id: UUID, cases: int) -> AsyncIterator[Sequence[Any]]:
    """The assertions and latency of every result of a run of so many cases, in batches."""
    if cases <= _FEW:
        yield await session.all(_MEASURED_FEW, {"evaluation_id": evaluation_id})
    else:
        async for rows in session.stream(_MEASURED, {"evaluation_id": evaluation_id}):
            yield rows


def scored(session: ReadSession, ids: Sequence[UUID]) -> AsyncIterator[Sequence[Row[Any]]]:
    """Case, position, outcome and score of every result of these runs, in batches and in no order."""
    return session.stream(_SCORED, {"ids": list(ids)})


def scored_content(session: ReadSession, evaluation_id: UUID) -> AsyncIterator[Sequence[Row[Any]]]:
    """Outcome and score of every result with the hash of its case's content, in order and in batches."""
    return session.stream(_SCORED_CONTENT, {"evaluation_id": evaluation_id})


async def side_by_side(session: ReadSession, evaluation_id: UUID, positions: Sequence[int]) -> dict[int, Row[Any]]:
    """What a comparison shows of some results of one run, by position."""
    if not positions:
        return {}
    rows = await session.all(_SIDE_BY_SIDE, {"evaluation_id": evaluation_id, "positions": list(positions)})
    return {row.position: row for row in rows}
