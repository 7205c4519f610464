"""Stored totals against the rows that they are made of.

Counted here: the versions of a prompt, the cases of a suite, the figures of an evaluation, the average of a prompt, and
what is derived from a name. ``templates.usage_count`` has no rows behind it, so nobody can say whether it is right.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import Executable, case, func, or_, select

from autoforge.db import models as m
from autoforge.db import named
from autoforge.operations.doctor.finding import Finding, Severity, examples, plural
from autoforge.operations.doctor.integrity import gather
from autoforge.operations.doctor.patient import Patient
from autoforge.prompts.names import folder_of

_TOLERANCE = 1e-9

_newest = (
    select(m.PromptVersion.prompt_id, func.max(m.PromptVersion.number).label("newest"))
    .group_by(m.PromptVersion.prompt_id)
    .subquery("versions")
)
_VERSIONS = named(
    "doctor.version_totals",
    select(m.Prompt.name, m.Prompt.latest_number, _newest.c.newest)
    .outerjoin(_newest, _newest.c.prompt_id == m.Prompt.id)
    .where(func.coalesce(_newest.c.newest, 0) != m.Prompt.latest_number),
)
_cases = (
    select(m.TestCase.suite_id, func.count().label("cases"))
    .where(m.TestCase.deleted_at.is_(None))
    .group_by(m.TestCase.suite_id)
    .subquery("counted")
)
_SUITES = named(
    "doctor.suite_totals",
    select(m.Suite.name, m.Suite.case_count, func.coalesce(_cases.c.cases, 0).label("cases"))
    .outerjoin(_cases, _cases.c.suite_id == m.Suite.id)
    .where(func.coalesce(_cases.c.cases, 0) != m.Suite.case_count),
)
_R = m.TestResult


def _outcomes(code: int) -> Any:
    return func.sum(case((_R.outcome == code, 1), else_=0))


_results = (
    select(
        _R.evaluation_id,
        func.count().label("cases"),
        _outcomes(0).label("errors"),
        _outcomes(1).label("failed"),
        _outcomes(2).label("passed"),
        func.avg(_R.score).label("score"),
        func.sum(_R.tokens_in).label("tokens_in"),
        func.sum(_R.tokens_out).label("tokens_out"),
        func.sum(_R.cost_nano).label("cost_nano"),
    )
    .group_by(_R.evaluation_id)
    .subquery("results")
)
_COUNTED = ("cases", "passed", "failed", "errors", "tokens_in", "tokens_out", "cost_nano", "score")
_RUNS = named(
    "doctor.evaluation_totals",
    select(
        m.Evaluation.id,
        m.Evaluation.name,
        *(getattr(m.Evaluation, name).label(f"stored_{name}") for name in _COUNTED),
        *(_results.c[name] for name in _COUNTED),
    )
    .outerjoin(_results, _results.c.evaluation_id == m.Evaluation.id)
    .where(m.Evaluation.status == "completed"),
)
_scores = (
    select(m.Evaluation.prompt_id, func.count().label("runs"), func.avg(m.Evaluation.score).label("mean"))
    .where(
        m.Evaluation.prompt_id.is_not(None),
        m.Evaluation.deleted_at.is_(None),
        m.Evaluation.status == "completed",
        m.Evaluation.score.is_not(None),
    )
    .group_by(m.Evaluation.prompt_id)
    .subquery("scores")
)
_AVERAGES = named(
    "doctor.prompt_averages",
    select(m.Prompt.name, m.PromptScore.evaluations, m.PromptScore.average, _scores.c.runs, _scores.c.mean)
    .select_from(m.Prompt)
    .outerjoin(m.PromptScore, m.PromptScore.prompt_id == m.Prompt.id)
    .outerjoin(_scores, _scores.c.prompt_id == m.Prompt.id)
    .where(
        or_(
            func.coalesce(m.PromptScore.evaluations, 0) != func.coalesce(_scores.c.runs, 0),
            func.abs(func.coalesce(m.PromptScore.average, 0.0) - func.coalesce(_scores.c.mean, 0.0)) > _TOLERANCE,
        )
    ),
)
_FOLDERS = named("doctor.folders", select(m.Prompt.name, m.Prompt.folder))


async def versions(patient: Patient) -> AsyncIterator[Finding]:
    commands = (
        "UPDATE prompts SET latest_number = (SELECT max(number) FROM prompt_versions v WHERE v.prompt_id = prompts.id)"
        "\nWHERE latest_number <> (SELECT max(number) FROM prompt_versions v WHERE v.prompt_id = prompts.id);"
    )
    async for finding in _stale(
        patient,
        "total-versions",
        Severity.HIGH,
        _VERSIONS,
        lambda row: f"{row.name}: latest_number {row.latest_number}, newest version {row.newest or 'none'}",
        "The next version gets a number from this total: a smaller one is taken already, and saving fails.",
        commands,
    ):
        yield finding


async def suites(patient: Patient) -> AsyncIterator[Finding]:
    commands = (
        "UPDATE suites SET case_count = (SELECT count(*) FROM test_cases c\n"
        "  WHERE c.suite_id = suites.id AND c.deleted_at IS NULL);"
    )
    async for finding in _stale(
        patient,
        "total-cases",
        Severity.MEDIUM,
        _SUITES,
        lambda row: f"{row.name}: {row.case_count} stored, {row.cases} there",
        "Count again.",
        commands,
    ):
        yield finding


async def evaluations(patient: Patient) -> AsyncIterator[Finding]:
    async for finding in _stale(
        patient,
        "total-evaluation",
        Severity.HIGH,
        _RUNS,
        lambda row: f"{row.name} ({row.id}): " + "; ".join(_differences(row)),
        "The figures of these runs do not come from their results. Restore the results from a backup, or delete the "
        "runs and score the outputs again.",
        "",
        broken=lambda row: bool(_differences(row)),
    ):
        yield finding


def _differences(row: Any) -> list[str]:
    """Which figures of a run are not those of its results. A run without results has counts of 0 and no sums."""
    found = []
    for name in _COUNTED:
        stored, counted = getattr(row, f"stored_{name}"), getattr(row, name)
        if name in ("cases", "passed", "failed", "errors"):
            counted = counted or 0
        same = stored == counted
        if stored is not None and counted is not None:
            same = abs(float(stored) - float(counted)) <= _TOLERANCE if name == "score" else int(stored) == int(counted)
        if not same:
            found.append(f"{name} {stored} stored, {counted} counted")
    return found


async def averages(patient: Patient) -> AsyncIterator[Finding]:
    commands = (
        "DELETE FROM prompt_scores;\n"
        "INSERT INTO prompt_scores (prompt_id, workspace_id, evaluations, average)\n"
        "SELECT prompt_id, workspace_id, count(*), avg(score) FROM evaluations\n"
        "WHERE prompt_id IS NOT NULL AND deleted_at IS NULL AND status = 'completed' AND score IS NOT NULL\n"
        "GROUP BY prompt_id, workspace_id;"
    )
    async for finding in _stale(
        patient,
        "total-prompt-score",
        Severity.HIGH,
        _AVERAGES,
        lambda row: f"{row.name}: {row.average} over {row.evaluations} stored, {row.mean} over {row.runs} counted",
        "The list of the best prompts is wrong. Compute the averages again, in one transaction.",
        commands,
    ):
        yield finding


async def folders(patient: Patient) -> AsyncIterator[Finding]:
    folder = "rtrim(name, replace(name, '/', ''))"  # everything but slashes, taken off at the end
    commands = f"UPDATE prompts SET folder = {folder}\nWHERE folder <> {folder};"
    async for finding in _stale(
        patient,
        "total-folder",
        Severity.MEDIUM,
        _FOLDERS,
        lambda row: f"{row.name}: folder {row.folder!r}",
        "These prompts are listed in another folder than their names say. Set it again from the name, up to its last "
        "slash.",
        commands,
        broken=lambda row: folder_of(row.name) != row.folder,
    ):
        yield finding


_WHAT = {
    "total-versions": "a prompt does not know its newest version",
    "total-cases": "a suite counts its cases wrongly",
    "total-evaluation": "an evaluation has figures that are not those of its results",
    "total-prompt-score": "a prompt has an average that is not that of its evaluations",
    "total-folder": "a prompt is not in the folder of its name",
}


async def _stale(
    patient: Patient,
    slug: str,
    severity: Severity,
    statement: Executable,
    say: Any,
    remedy: str,
    commands: str,
    broken: Any = None,
) -> AsyncIterator[Finding]:
    count, shown = await gather(patient, statement, say, broken)
    if count:
        title = f"A stored total is stale: {plural(count, 'row', 'rows')} where {_WHAT[slug]}"
        yield Finding(slug, severity, title, examples(shown, count), remedy, commands)


CHECKS = (versions, suites, evaluations, averages, folders)
