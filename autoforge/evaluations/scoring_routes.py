"""Scoring recorded outputs over HTTP, with or without a new prompt.

Scoring is done before the transaction begins, in one of two threads of its own, so that neither the event loop nor
the database's writer waits for it. Outputs and suites are untrusted: no file is read and no Python runs.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.access.once import Once
from autoforge.db import Database, ReadSession
from autoforge.errors import BadInput, TooLarge
from autoforge.evaluations import commands, suite_queries
from autoforge.evaluations.cases import CaseResult, Output
from autoforge.evaluations.commands import RunDraft
from autoforge.evaluations.first_runs import create_prompt_with_evaluation
from autoforge.evaluations.prompt_references import referenced_version
from autoforge.evaluations.recorded import MOST_OUTPUTS, score_outputs
from autoforge.evaluations.schemas import OutputIn, PromptWithRun, PromptWithRunOut, RunCreated, RunIn, ScoreIn
from autoforge.evaluations.suite_commands import StoredSuite
from autoforge.prompts.commands import Draft
from autoforge.prompts.content import parse_content
from autoforge.web.conditional import etag
from autoforge.web.deps import Db
from autoforge.web.responses import json_response

router = APIRouter(prefix="/evaluations")


@cache
def scorers() -> ThreadPoolExecutor:
    """Two threads for all scoring of this process: the rest of it must go on meanwhile."""
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="scoring")


@router.post("", status_code=201, response_model=RunCreated, summary="Score recorded outputs")
async def score_recorded(body: RunIn, database: Db, actor: Who, once: Once) -> Response:
    """Scores one output per case of a stored suite and stores the run, in one transaction.

    Up to 2,000 outputs; more go through `autoforge evaluate`. A case beyond the last output counts as an error.
    """
    suite = await _suite(database, actor, body)
    async with database.read() as session:
        maker = await referenced_version(session, actor, body.prompt, at="/prompt")
    results = await _scored(suite, body.outputs)
    draft = RunDraft(body.model, body.name, body.provider, maker.prompt_id, maker.version_id)
    figures = commands.totals(results)
    shown = {name: getattr(figures, name) for name in ("cases", "passed", "failed", "errors", "score")}
    async with once.write(bulk=True) as session:
        evaluation_id = await commands.store_run(session, actor, draft, results, suite)
        headers = {"Location": f"/api/v1/evaluations/{evaluation_id}", "ETag": etag(1)}
        return once.answer(json_response({"id": evaluation_id, "model": body.model, **shown}, 201, headers))


@router.post(
    "/with-prompt",
    status_code=201,
    response_model=PromptWithRunOut,
    summary="Create a prompt with its first evaluation",
)
async def create_with_prompt(body: PromptWithRun, database: Db, actor: Who, once: Once) -> Response:
    """Both are made in one transaction, or neither is. It needs `prompts:write` as well."""
    actor.needs("prompts:write")
    prompt, asked = body.prompt, body.evaluation
    draft = Draft(**{**prompt.model_dump(), "content": parse_content(prompt.content, at="/prompt/content")})
    suite = await _suite(database, actor, asked)
    results = await _scored(suite, asked.outputs)
    run = RunDraft(asked.model, asked.name, asked.provider)
    async with once.write(bulk=True) as session:
        made, evaluation_id = await create_prompt_with_evaluation(session, actor, draft, run, results, suite)
        body_out = {"prompt_id": made.prompt_id, "version_id": made.version_id, "evaluation_id": evaluation_id}
        headers = {"Location": f"/api/v1/evaluations/{evaluation_id}", "ETag": etag(1)}
        return once.answer(json_response(body_out, 201, headers))


async def _suite(database: Database, actor: Actor, asked: ScoreIn) -> StoredSuite:
    """The suite with its cases. NotFound, TooLarge, and BadInput for more outputs than cases."""
    async with database.read() as session:
        await suite_queries.check(session, actor.workspace_id, asked.suite_id)
        suite = await scorable(session, asked.suite_id)
    if len(asked.outputs) > len(suite.cases):
        raise BadInput.at("/outputs", f"There are {len(asked.outputs):,} outputs for {len(suite.cases):,} cases.")
    return suite


async def scorable(session: ReadSession, suite_id: UUID) -> StoredSuite:
    """The suite with its cases. TooLarge when they are more than one request may score."""
    suite = await suite_queries.whole(session, suite_id, most=MOST_OUTPUTS)
    if len(suite.cases) > MOST_OUTPUTS:
        raise TooLarge(f"The suite has more than {MOST_OUTPUTS:,} cases; score it with `autoforge evaluate`.")
    return suite


async def _scored(suite: StoredSuite, given: list[OutputIn]) -> list[CaseResult]:
    outputs = [_output(one) for one in given]
    outputs += [Output(error="no output was recorded for this case")] * (len(suite.cases) - len(outputs))
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(scorers(), score_outputs, suite.cases, outputs)


def _output(given: OutputIn) -> Output:
    return Output(
        value=given.output,
        latency_ms=given.latency_ms,
        cost_nano=given.cost_nano,
        tokens_in=given.tokens_in,
        tokens_out=given.tokens_out,
        finish_reason=given.finish_reason,
        error=given.error,
    )
