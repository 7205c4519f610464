"""Changes to evaluations: stored whole with their results, deleted and brought back.

A run and all of its results are one transaction, so there is never half a run. In that same transaction the prompt's
average and count (:class:`PromptScore`, behind the analysis) are computed again from the rows. On PostgreSQL the
prompt's row is locked first: two runs that end together would otherwise each count without the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, literal_column, select, update

from autoforge.access import Actor, audit
from autoforge.db import WriteSession, bulk, clock, named
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, NotFound, Stale
from autoforge.evaluations.cases import AssertionResult, CaseResult, Outcome
from autoforge.evaluations.stored_cases import CODES, storable
from autoforge.evaluations.suite_commands import StoredSuite

COMPLETED = "completed"
STATUSES = ("pending", "running", COMPLETED, "failed", "cancelled")
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class RunDraft:
    """What is known of a run besides its results. ``name`` defaults to the model; ``batch_id`` joins runs."""

    model: str
    name: str = ""
    provider: str = ""
    prompt_id: UUID | None = None
    version_id: UUID | None = None
    batch_id: UUID | None = None
    source: str = "recorded"
    is_sample: bool = False
    created_at: datetime | None = None
    evaluation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """The figures of a run. cases = passed + failed + errors; ``score`` is the mean over all cases, errors count 0."""

    cases: int
    passed: int
    failed: int
    errors: int
    score: float | None
    latency_ms: float | None
    tokens_in: int | None
    tokens_out: int | None
    cost_nano: int | None


_LOCK_PROMPT = named(
    "evaluations.lock_prompt",
    select(m.Prompt.id)
    .where(m.Prompt.id == bindparam("prompt_id"), m.Prompt.workspace_id == bindparam("workspace_id"))
    .with_for_update(key_share=True),
    bounded=True,
)
_VERSION = named(
    "evaluations.version_of_prompt",
    select(m.PromptVersion.id).where(
        m.PromptVersion.id == bindparam("version_id"), m.PromptVersion.prompt_id == bindparam("prompt_id")
    ),
    bounded=True,
)
_OWNED = named(
    "evaluations.owned_for_update",
    select(m.Evaluation.prompt_id, m.Evaluation.suite_id, m.Evaluation.row_version, m.Evaluation.deleted_at)
    .where(m.Evaluation.id == bindparam("evaluation_id"), m.Evaluation.workspace_id == bindparam("workspace_id"))
    .with_for_update(),
    bounded=True,
)
_SET_DELETED = named(
    "evaluations.set_deleted",
    update(m.Evaluation)
    .where(m.Evaluation.id == bindparam("evaluation_id"))
    .values(deleted_at=bindparam("moment"), row_version=m.Evaluation.row_version + 1),
)
_ADD_RUN = named("evaluations.add_run", insert(m.Evaluation))
_FORGET_SCORE = named(
    "evaluations.forget_score",
    delete(m.PromptScore).where(m.PromptScore.prompt_id == bindparam("of_prompt")),
    bounded=True,
)
# Read, then stored: in one statement it would be a write, which on SQLite leaves the event loop whatever it costs, and
# all other writers wait for it to come back.
_SCORE_OF = named(
    "evaluations.score_of_prompt",
    select(m.Evaluation.workspace_id, func.count().label("evaluations"), func.avg(m.Evaluation.score).label("average"))
    .where(
        m.Evaluation.prompt_id == bindparam("prompt_id"),
        m.Evaluation.deleted_at.is_(None),
        m.Evaluation.status == literal_column(f"'{COMPLETED}'"),  # a literal: the index is partial
        m.Evaluation.score.is_not(None),
    )
    .group_by(m.Evaluation.prompt_id, m.Evaluation.workspace_id),
    bounded=True,
)


def touched(
    session: WriteSession, actor: Actor, evaluation_id: UUID, prompt_id: UUID | None, suite_id: UUID | None
) -> None:
    """Whatever shows this run, or figures that it counts in, is out of date after the commit."""
    tags = [f"evaluation:{evaluation_id.hex}", f"evaluations:{actor.workspace_id.hex}"]
    if prompt_id is not None:
        tags.append(f"prompts:{actor.workspace_id.hex}")
    if suite_id is not None:
        tags += [f"suites:{actor.workspace_id.hex}", f"runs:{suite_id.hex}"]
    session.touch(*tags)


async def store_run(
    session: WriteSession, actor: Actor, draft: RunDraft, results: Sequence[CaseResult], suite: StoredSuite | None
) -> UUID:
    """Stores a finished run with one result per case and brings the prompt's average up to date.

    Each result's case is one of ``suite.cases``; without a suite the results stand alone. NotFound for a prompt or
    version that the actor's workspace does not have.
    """
    evaluation_id = draft.evaluation_id or new_id()
    await _check_prompt(session, actor, draft)
    row = _run_row(actor, draft, evaluation_id, totals(results))
    await session.execute(_ADD_RUN, row | {"suite_id": None if suite is None else suite.suite_id})
    if results:
        await bulk.insert_many(session, m.TestResult, result_rows(evaluation_id, results, suite))
    if draft.prompt_id is not None:
        await recount(session, draft.prompt_id)
    touched(session, actor, evaluation_id, draft.prompt_id, None if suite is None else suite.suite_id)
    if not draft.is_sample:
        told = {"name": draft.name, "cases": len(results)}
        audit.record(session, actor, "evaluation_stored", "evaluation", evaluation_id, told)
    return evaluation_id


async def _check_prompt(session: WriteSession, actor: Actor, draft: RunDraft) -> None:
    if draft.prompt_id is None:
        if draft.version_id is not None:
            raise BadInput.at("/version_id", "A version needs the prompt that it belongs to.")
        return
    key = {"prompt_id": draft.prompt_id, "workspace_id": actor.workspace_id}
    if await session.first(_LOCK_PROMPT, key) is None:
        raise NotFound(f"There is no prompt with the id {draft.prompt_id} in this workspace.")
    version = {"version_id": draft.version_id, "prompt_id": draft.prompt_id}
    if draft.version_id is not None and await session.first(_VERSION, version) is None:
        raise NotFound(f"This prompt has no version with the id {draft.version_id}.")


def _run_row(actor: Actor, draft: RunDraft, evaluation_id: UUID, figures: Totals) -> dict[str, Any]:
    now = clock.now()
    return {
        "id": evaluation_id,
        "workspace_id": actor.workspace_id,
        "prompt_id": draft.prompt_id,
        "version_id": draft.version_id,
        "batch_id": draft.batch_id or new_id(),
        "name": _line(draft.name or draft.model or "Recorded outputs", "/name"),
        "source": draft.source,
        "status": COMPLETED,
        "provider": _line(draft.provider, "/provider"),
        "model": _line(draft.model, "/model"),
        "score": figures.score,
        "cases": figures.cases,
        "passed": figures.passed,
        "failed": figures.failed,
        "errors": figures.errors,
        "latency_ms": figures.latency_ms,
        "tokens_in": figures.tokens_in,
        "tokens_out": figures.tokens_out,
        "cost_nano": figures.cost_nano,
        "is_sample": draft.is_sample,
        "created_by": actor.user_id,
        "created_at": draft.created_at or now,
        "completed_at": draft.created_at or now,
    }


def _line(text: str, pointer: str) -> str:
    text = storable(" ".join(text.split()), "The name of a run or model")
    if len(text) > LONGEST_NAME:
        raise BadInput.at(pointer, f"A run's name and model have at most {LONGEST_NAME} characters each.")
    return text


def totals(results: Sequence[CaseResult]) -> Totals:
    """The figures of a run from its results."""
    outcomes = [result.outcome for result in results]
    outputs = [result.output for result in results]
    scores = [0.0 if result.outcome is Outcome.ERROR else result.score for result in results]
    return Totals(
        cases=len(results),
        passed=outcomes.count(Outcome.PASS),
        failed=outcomes.count(Outcome.FAIL),
        errors=outcomes.count(Outcome.ERROR),
        score=math.fsum(scores) / len(scores) if scores else None,
        latency_ms=_mean(output.latency_ms for output in outputs),
        tokens_in=_sum(output.tokens_in for output in outputs),
        tokens_out=_sum(output.tokens_out for output in outputs),
        cost_nano=_sum(output.cost_nano for output in outputs),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def result_rows(evaluation_id: UUID, results: Sequence[CaseResult], suite: StoredSuite | None) -> list[dict[str, Any]]:
    """One row per result; positions count from 1 in the order of ``results``."""
    case_of = _case_ids(suite)
    text = storable
    positions = count(1)
    return [
        {
            "evaluation_id": evaluation_id,
            "position": next(positions),
            "case_id": case_of(result),
            "case_name": text(result.case.name, "A case's name"),
            "outcome": CODES[result.outcome],
            "score": 0.0 if result.outcome is Outcome.ERROR else result.score,
            "reason": text(result.reason, "A reason"),
            "output": text(result.text, "An output"),
            "assertions": assertions_text(result.assertions),
            "latency_ms": result.output.latency_ms,
            "tokens_in": result.output.tokens_in,
            "tokens_out": result.output.tokens_out,
            "cost_nano": result.output.cost_nano,
            "finish_reason": result.output.finish_reason,
        }
        for result in results
    ]


def _case_ids(suite: StoredSuite | None) -> Callable[[CaseResult], UUID | None]:
    """Finds a result's case by identity: the same case may stand in a suite more than once."""
    if suite is None:
        return lambda result: None
    known = {id(case): case_id for case, case_id in zip(suite.cases, suite.case_ids, strict=True)}

    def find(result: CaseResult) -> UUID:
        try:
            return known[id(result.case)]
        except KeyError:
            raise ValueError(f"the case {result.case.name!r} is not one of the suite that was stored") from None

    return find


def assertions_text(results: Sequence[AssertionResult]) -> str:
    """The JSON list that a result keeps of its assertions."""
    if not results:
        return "[]"
    import msgspec

    rows = [
        {
            "type": one.type,
            "metric": one.metric,
            "outcome": one.outcome.value,
            "score": one.score,
            "reason": one.reason,
            "weight": one.weight,
        }
        for one in results
    ]
    return msgspec.json.encode(rows).decode()


async def delete_run(session: WriteSession, actor: Actor, evaluation_id: UUID, *, expected: int | None = None) -> None:
    """Soft: the results stay, the prompt's average no longer counts it, and :func:`restore_run` undoes it."""
    await _set_deleted(session, actor, evaluation_id, clock.now(), expected)


async def restore_run(session: WriteSession, actor: Actor, evaluation_id: UUID) -> None:
    """Undoes a deletion."""
    await _set_deleted(session, actor, evaluation_id, None, None)


async def _set_deleted(
    session: WriteSession, actor: Actor, evaluation_id: UUID, moment: datetime | None, expected: int | None
) -> None:
    row = await session.first(_OWNED, {"evaluation_id": evaluation_id, "workspace_id": actor.workspace_id})
    if row is None or (row.deleted_at is None) != (moment is not None):
        state = "evaluation" if moment is not None else "deleted evaluation"
        raise NotFound(f"There is no {state} with the id {evaluation_id} in this workspace.")
    Stale.check(expected, row.row_version)
    await session.execute(_SET_DELETED, {"evaluation_id": evaluation_id, "moment": moment})
    if row.prompt_id is not None:
        await session.first(_LOCK_PROMPT, {"prompt_id": row.prompt_id, "workspace_id": actor.workspace_id})
        await recount(session, row.prompt_id)
    touched(session, actor, evaluation_id, row.prompt_id, row.suite_id)
    action = "evaluation_restored" if moment is None else "evaluation_deleted"
    audit.record(session, actor, action, "evaluation", evaluation_id)


async def recount(session: WriteSession, prompt_id: UUID) -> None:
    """Computes the prompt's average and count again from its completed runs that are not deleted."""
    row = await session.first(_SCORE_OF, {"prompt_id": prompt_id})
    if row is None:
        await session.execute(_FORGET_SCORE, {"of_prompt": prompt_id})
    else:
        figures = {"prompt_id": prompt_id, **row._mapping}
        await bulk.upsert_many(session, m.PromptScore, [figures], conflict=("prompt_id",))
