"""Scoring a file of recorded outputs against a stored suite, for people who have no shell at hand.

What the command line does with ``--outputs``, as far as one request can: the file is untrusted, so no Python of its
suite runs, and it is scored in the same two threads as what comes over the API.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.db import Database
from autoforge.db.ids import new_id
from autoforge.errors import AutoforgeError, BadInput, TooLarge
from autoforge.evaluations import commands, suite_queries
from autoforge.evaluations.cases import CaseResult
from autoforge.evaluations.commands import RunDraft
from autoforge.evaluations.config.model import EvaluationConfig, Join, OutputsSection
from autoforge.evaluations.outputs import Plan, plan_runs
from autoforge.evaluations.prompt_references import Maker, referenced_version
from autoforge.evaluations.recorded import chosen_runs, score_run
from autoforge.evaluations.scope import Scope
from autoforge.evaluations.scoring_routes import scorable, scorers
from autoforge.evaluations.suite_commands import StoredSuite
from autoforge.reading import Source
from autoforge.reading.source import uploaded
from autoforge.web.deps import Db
from autoforge.web.forms import PageId, errors_by_field, plain_lines
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}/suites/{suite_id}/score")

MOST_RUNS = 20
"""Models in one file."""
_TEXTS = ("model", "model_field", "prompt", "join")
_FIELDS = {"--model": "model", "/prompt": "prompt", "/join": "join"}


@dataclass(frozen=True, slots=True)
class _Scored:
    """A model's results, one per case of the suite."""

    model: str
    results: list[CaseResult]


@router.get("", openapi_extra=budget(1))
async def choose_outputs(suite_id: PageId, request: Request, database: Db, actor: Who) -> Response:
    actor.needs("evaluations:write")
    async with database.read() as session:
        suite = await suite_queries.one(session, actor.workspace_id, suite_id)
    return _form(request, suite, dict.fromkeys(_TEXTS, ""), None)


def _form(request: Request, suite: Any, values: Mapping[str, str], error: AutoforgeError | None) -> Response:
    errors = {} if error is None else errors_by_field(error, lambda pointer: _FIELDS.get(pointer, "file"), "file")
    context = {"suite": suite, "values": values, "errors": errors}
    return page(request, "suites/score.html", context, status=200 if error is None else error.status)


@router.post("")
async def score_outputs(suite_id: PageId, request: Request, database: Db, actor: Who) -> Response:
    actor.needs("evaluations:write")
    async with database.read() as session:
        suite = await suite_queries.one(session, actor.workspace_id, suite_id)
    values = dict.fromkeys(_TEXTS, "")
    try:
        source = await _sent(request, values)
        async with database.read() as session:
            stored = await scorable(session, suite_id)
            maker = await referenced_version(session, actor, values["prompt"], at="/prompt")
        work = (suite.name, stored, source, values)
        plan, found = await asyncio.get_running_loop().run_in_executor(scorers(), _score, *work)
        made = await _store(database, actor, stored, _drafts(found, suite.name, maker))
    except (BadInput, TooLarge) as error:
        return _form(request, suite, values, error)
    links = Links(actor.workspace_slug)
    address = links.evaluation(made[0]) if len(made) == 1 else links.evaluations(suite=str(suite_id))
    return seen(address, _told(found, plan))


async def _sent(request: Request, values: dict[str, str]) -> Source:
    """The file; ``values`` gets what was typed, also when there is no file."""
    async with request.form(max_files=1, max_fields=10) as form:
        values.update({name: plain_lines(str(form.get(name) or "")).strip()[:500] for name in _TEXTS})
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise BadInput.at("/file", "Choose a file of outputs first.")
        return await asyncio.to_thread(uploaded, await file.read(), file.filename)


def _score(name: str, suite: StoredSuite, source: Source, values: Mapping[str, str]) -> tuple[Plan, list[_Scored]]:
    """What the file holds, judged. BadInput and TooLarge say what is wrong with it."""
    model, join = values["model"], values["join"]
    joined = Join(output=join, case=join) if join else None
    section = OutputsSection(sources=(source,), join=joined, model_field=values["model_field"] or None)
    plan = plan_runs(EvaluationConfig(name, cases=tuple(suite.cases), outputs=(section,)))
    runs = chosen_runs(plan, [model] if model else [], None)
    if len(runs) > MOST_RUNS:
        raise TooLarge(f"The file holds {len(runs):,} models; here it may be {MOST_RUNS}. Use `autoforge evaluate`.")
    return plan, [_Scored(run.model, score_run(run, Scope(), lambda _result: None)) for run in runs]


def _drafts(found: list[_Scored], suite: str, maker: Maker) -> list[tuple[RunDraft, list[CaseResult]]]:
    """The runs of one file belong together; they are named as those of the command line."""
    batch = new_id()
    return [
        (RunDraft(one.model, f"{one.model} · {suite}", "", maker.prompt_id, maker.version_id, batch), one.results)
        for one in found
    ]


async def _store(
    database: Database, actor: Actor, suite: StoredSuite, runs: list[tuple[RunDraft, list[CaseResult]]]
) -> list[UUID]:
    """All runs, or none."""
    async with database.write(bulk=True) as session:
        return [await commands.store_run(session, actor, draft, results, suite) for draft, results in runs]


def _told(found: list[_Scored], plan: Plan) -> str:
    figures = [commands.totals(one.results) for one in found]
    passed, cases = sum(one.passed for one in figures), sum(one.cases for one in figures)
    runs = "" if len(found) == 1 else f" in {len(found):,} runs"
    return " ".join([f"{passed:,} of {cases:,} passed{runs}.", *map(str, plan.notices[:2])])
