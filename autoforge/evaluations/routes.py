"""Evaluations over HTTP: list, read, compare, export, delete and bring back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from autoforge.access.deps import Who
from autoforge.cache import Kind, cache_key
from autoforge.db import Database
from autoforge.evaluations import commands, queries, scoring_routes
from autoforge.evaluations.cases import Outcome
from autoforge.evaluations.metrics import breakdown
from autoforge.evaluations.queries import Filters, ResultsAsked
from autoforge.evaluations.results import case_fields, exported, result_document
from autoforge.evaluations.schemas import (
    ComparisonOut,
    MetricsOut,
    OutcomeName,
    ResultOut,
    ResultPage,
    RunOut,
    RunPage,
    Status,
)
from autoforge.evaluations.side_by_side import SideBySide, side_by_side
from autoforge.web.conditional import Expected, etag, not_modified
from autoforge.web.deps import App, Db
from autoforge.web.downloads import Download
from autoforge.web.fields import chosen
from autoforge.web.paging import Paged, listing, remembered_listing
from autoforge.web.problems import PROBLEMS
from autoforge.web.responses import PRIVATE, budget, json_response
from autoforge.web.text import Line

router = APIRouter(tags=["evaluations"], responses=PROBLEMS)
evaluations = APIRouter(prefix="/evaluations")

ResultSort = Literal["position", "-position", "outcome", "-outcome", "score", "-score"]
Position = Annotated[int, Path(ge=1, le=2**31 - 1)]
Fields = Annotated[str | None, Query(max_length=500, description="Only these fields, separated by commas.")]


@evaluations.get("", response_model=RunPage, summary="List evaluations", openapi_extra=budget(1))
async def list_evaluations(
    request: Request,
    services: App,
    actor: Who,
    page: Paged,
    prompt: UUID | None = None,
    suite: UUID | None = None,
    batch: Annotated[UUID | None, Query(description="Runs that were started together.")] = None,
    status: Status | None = None,
    model: Line | None = None,
    q: Annotated[Line | None, Query(description="Looked for in names and models.")] = None,
    fields: Fields = None,
) -> Response:
    """Newest first."""
    filters = Filters(prompt, suite, batch, status, model, q)
    asked = chosen(fields, queries.FIELDS)

    async def read() -> tuple[list[dict[str, Any]], str | None]:
        async with services.database.read() as session:
            return await queries.page(session, actor.workspace_id, filters, page.limit, page.after, fields=asked)

    tags = (f"evaluations:{actor.workspace_id.hex}",)
    return await remembered_listing(request, services.cache, (actor.workspace_id,), tags, read)


@evaluations.get("/compare", response_model=ComparisonOut, summary="Compare two evaluations", openapi_extra=budget(4))
async def compare_evaluations(
    request: Request,
    database: Db,
    actor: Who,
    page: Paged,
    a: Annotated[UUID, Query(description="The run before.")],
    b: Annotated[UUID, Query(description="The run after.")],
    show: Annotated[Literal["worse", "better", "same", "error"] | None, Query(description="Only these cases.")] = None,
) -> Response:
    """Is b better than a, on the cases that both have? The worst regressions come first."""
    async with database.read() as session:
        found = await side_by_side(session, actor.workspace_id, (a, b), page.limit, page.after, show)
    return json_response(_comparison(found))


def _comparison(found: SideBySide) -> dict[str, Any]:
    shown = found.comparison
    low, high = shown.interval or (None, None)
    runs = {"a": _run_item(found.a._mapping), "b": _run_item(found.b._mapping)}
    figures: tuple[str, ...] = (
        "difference",
        "p_value",
        "smallest_detectable",
        "mean_a",
        "mean_b",
        "method",
        "compared",
    )
    figures += ("regressions", "improvements")
    counts = {name: len(getattr(shown, name)) for name in ("errors", "only_in_a", "only_in_b")}
    items = [{name: value for name, value in row.items() if name != "case_content"} for row in found.rows]
    about = {name: getattr(shown, name) for name in figures} | {
        "verdict": shown.verdict.value,
        "low": low,
        "high": high,
    }
    return {**runs, **about, **counts, "items": items, "next": found.following}


def _run_item(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in queries.FIELDS}


@evaluations.get("/{evaluation_id}", response_model=RunOut, summary="Read an evaluation", openapi_extra=budget(1))
async def read_evaluation(evaluation_id: UUID, request: Request, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        row = await queries.one(session, actor.workspace_id, evaluation_id)
    tag = etag(row.row_version)
    return not_modified(request, tag) or json_response(dict(row._mapping), headers={"ETag": tag})


@evaluations.get("/{evaluation_id}/results", response_model=ResultPage, summary="List results", openapi_extra=budget(2))
async def list_results(
    evaluation_id: UUID,
    request: Request,
    database: Db,
    actor: Who,
    page: Paged,
    outcome: OutcomeName | None = None,
    metric: Annotated[Line | None, Query(description="Only results that measured it.")] = None,
    sort: Annotated[ResultSort, Query(description="outcome puts problems first.")] = "position",
    fields: Fields = None,
) -> Response:
    """One result per case. The text of an output is the one that was scored, after transforms."""
    wanted = chosen(fields, queries.RESULT_FIELDS)
    asked = ResultsAsked(sort, None if outcome is None else Outcome(outcome), metric, wanted)
    async with database.read() as session:
        await queries.one(session, actor.workspace_id, evaluation_id)
        found = await queries.results(session, evaluation_id, asked, page.limit, page.after)
    return listing(request, [result_document(row._mapping, wanted) for row in found.rows], found.next)


@evaluations.get(
    "/{evaluation_id}/results/{position}", response_model=ResultOut, summary="Read a result", openapi_extra=budget(2)
)
async def read_result(evaluation_id: UUID, position: Position, request: Request, database: Db, actor: Who) -> Response:
    """One result with its case's variables and what was expected."""
    async with database.read() as session:
        run = await queries.one(session, actor.workspace_id, evaluation_id)
        tag = etag(run.row_version)
        if (answer := not_modified(request, tag)) is not None:
            return answer
        row = await queries.result(session, evaluation_id, position)
    case = case_fields(row.case_content)
    body = result_document(row._mapping, queries.RESULT_FIELDS)
    about = {"variables": case["variables"], "expected": case["expected"]}
    return json_response(body | about, headers={"ETag": tag})


@evaluations.get(
    "/{evaluation_id}/metrics", response_model=MetricsOut, summary="Scores by metric", openapi_extra=budget(2)
)
async def read_metrics(evaluation_id: UUID, request: Request, services: App, actor: Who) -> Response:
    """The mean score of every named metric, and the latency that 95 % of the answers stayed under."""
    async with services.database.read() as session:
        run = await queries.one(session, actor.workspace_id, evaluation_id)
    tag = etag(run.row_version)
    if (answer := not_modified(request, tag)) is not None:
        return answer
    return json_response(await metrics_of(services, evaluation_id, run.cases), headers={"ETag": tag})


async def metrics_of(services: App, evaluation_id: UUID, cases: int) -> dict[str, Any]:
    """The breakdown of a run, from the cache when it is there. The caller has found the run in its workspace."""

    async def load() -> dict[str, Any]:
        async with services.database.read() as session:
            return await breakdown(session, evaluation_id, cases)

    key, tags = cache_key("metrics", evaluation_id), (f"evaluation:{evaluation_id.hex}",)
    return await services.cache.get_or_load(key, Kind.EVALUATION, tags, load)


@evaluations.get(
    "/{evaluation_id}/export",
    summary="Export an evaluation",
    openapi_extra=budget(2),
    response_class=StreamingResponse,
    responses={200: {"description": "All results", "content": {"text/csv": {}, "application/jsonl": {}}}},
)
async def export_evaluation(
    evaluation_id: UUID,
    database: Db,
    actor: Who,
    file_format: Annotated[Literal["csv", "jsonl"], Query(alias="format")] = "jsonl",
) -> Response:
    """All results in order, streamed: any number of them in constant memory. 503 while two downloads run."""
    async with database.read() as session:
        run = await queries.one(session, actor.workspace_id, evaluation_id)
    kind = "text/csv; charset=utf-8" if file_format == "csv" else "application/jsonl"
    name = f"evaluation-{evaluation_id}.{file_format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": PRIVATE}
    return Download(_exported(database, run._mapping, file_format), media_type=kind, headers=headers)


async def _exported(database: Database, run: Any, file_format: str) -> AsyncGenerator[bytes, None]:
    async with database.read() as session:
        async for piece in exported(queries.every_result(session, run["id"]), run, file_format):
            yield piece


@evaluations.delete("/{evaluation_id}", status_code=204, summary="Delete an evaluation")
async def delete_evaluation(evaluation_id: UUID, database: Db, actor: Who, expected: Expected) -> Response:
    """Soft: the results are kept, the prompt's average no longer counts it, and `restore` undoes it."""
    async with database.write() as session:
        await commands.delete_run(session, actor, evaluation_id, expected=expected)
    return Response(status_code=204)


@evaluations.post("/{evaluation_id}/restore", status_code=204, summary="Bring a deleted evaluation back")
async def restore_evaluation(evaluation_id: UUID, database: Db, actor: Who) -> Response:
    async with database.write() as session:
        await commands.restore_run(session, actor, evaluation_id)
    return Response(status_code=204)


for one in (evaluations, scoring_routes.router):
    router.include_router(one)
