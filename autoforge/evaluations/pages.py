"""The pages about evaluations: the list, one run with its results, one result, and two runs compared."""

from __future__ import annotations

from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.cache import Kind, cache_key
from autoforge.evaluations import queries
from autoforge.evaluations.cases import Outcome
from autoforge.evaluations.commands import COMPLETED
from autoforge.evaluations.queries import OUTPUT_SHOWN, Filters, ResultsAsked
from autoforge.evaluations.results import case_fields
from autoforge.evaluations.routes import metrics_of
from autoforge.evaluations.side_by_side import SHOWN, SideBySide, side_by_side
from autoforge.evaluations.stored_cases import OUTCOMES
from autoforge.web.deps import App, Db
from autoforge.web.forms import PageId, PageNumber
from autoforge.web.html import kept_part, page
from autoforge.web.paging import After, Words, pager
from autoforge.web.responses import budget

router = APIRouter()

ROWS = 50
OTHERS = 20
PICKED = 100
_RESULT_COLUMNS = tuple(name for name in queries.RESULT_FIELDS if name != "case_id")
_OFFERED = ("id", "name", "model")
_LISTED = (
    *_OFFERED, "status", "score", "passed", "failed", "errors", "cost_nano", "prompt_name", "version_number",
    "suite_name", "created_at",
)  # fmt: skip
_MEASURED = ("latency_ms", "cost_nano", "tokens_in", "tokens_out", "finish_reason")

MaybeId = Annotated[str, Query(max_length=40)]


def asked_id(text: str) -> UUID | None:
    """An id in the address of a page; one that is none finds nothing, as an old link should."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return UUID(int=0)


@router.get("/w/{workspace}/evaluations", openapi_extra=budget(1))
async def evaluations(
    request: Request,
    services: App,
    actor: Who,
    q: Words = "",
    status: Words = "",
    suite: MaybeId = "",
    prompt: MaybeId = "",
    after: After = None,
) -> Response:
    filters = Filters(asked_id(prompt), asked_id(suite), None, status or None, None, q or None)

    async def read() -> tuple[list[dict[str, Any]], str | None]:
        async with services.database.read() as session:
            return await queries.page(session, actor.workspace_id, filters, ROWS, after, fields=_LISTED)

    filtered = bool(filters.given())
    if after is None and not filtered:
        tag = f"evaluations:{actor.workspace_id.hex}"
        runs, following = await services.cache.get_or_load(cache_key("page", tag), Kind.LISTS, (tag,), read)
    else:
        runs, following = await read()
    context = {"evaluations": runs, "pager": pager(following, len(runs)), "filtered": filtered}
    return page(request, "evaluations/list.html", context)


@router.get("/w/{workspace}/evaluations/{evaluation_id}", openapi_extra=budget(4))
async def evaluation(
    evaluation_id: PageId,
    request: Request,
    services: App,
    actor: Who,
    outcome: Words = "",
    metric: Words = "",
    sort: Words = "",
    after: After = None,
) -> Response:
    """One run. What the address asks for and does not exist is left out, so that old links work."""
    wanted = Outcome(outcome) if outcome in Outcome.__members__.values() else None
    order = sort if sort.removeprefix("-") in queries.RESULT_SORTS else "position"
    asked = ResultsAsked(order, wanted, metric or None, _RESULT_COLUMNS, with_case=True)
    async with services.database.read() as session:
        run = dict((await queries.one(session, actor.workspace_id, evaluation_id))._mapping)

    async def read() -> dict[str, Any]:
        async with services.database.read() as session:
            found = await queries.results(session, evaluation_id, asked, ROWS, after)
        total = _total(run, wanted) if not metric else None
        shown = pager(found.next, len(found.rows), total)
        return {"run": run, "results": [_result(row) for row in found.rows], "pager": shown}

    part, tags = "evaluations/cases.html", (f"evaluation:{evaluation_id.hex}",)
    keep = run["status"] == COMPLETED and after is None and not metric
    cases = await kept_part(request, services.cache, part, tags, read, keep=keep)
    others = await _of_suite(services, actor, run["suite_id"]) if run["suite_id"] is not None else []
    figures = await metrics_of(services, evaluation_id, run["cases"])
    context = {
        "run": {**run, "done": run["cases"], "latency_p95_ms": figures["latency_p95_ms"]},
        "metrics": figures["metrics"],
        "cases": cases,
        "others": _comparable(run, others),
    }
    return page(request, "evaluations/show.html", context)


async def _of_suite(services: App, actor: Actor, suite_id: UUID) -> list[dict[str, Any]]:
    """The newest runs of a suite, from the cache while no run of it comes or goes."""

    async def read() -> list[dict[str, Any]]:
        async with services.database.read() as session:
            same = Filters(suite_id=suite_id)
            return (await queries.page(session, actor.workspace_id, same, OTHERS + 1, fields=_OFFERED))[0]

    tags = (f"runs:{suite_id.hex}", f"samples:{actor.workspace_id.hex}")
    return await services.cache.get_or_load(cache_key("runs", *tags), Kind.LISTS, tags, read)


def _comparable(run: dict[str, Any], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The other runs; those that differ in one thing only, as another version with the same model, come first."""
    rest = [other for other in others if other["id"] != run["id"]]
    return sorted(rest, key=lambda other: bool(other["model"] != run["model"]))[:OTHERS]


def _total(run: dict[str, Any], outcome: Outcome | None) -> str:
    key = {None: "cases", Outcome.PASS: "passed", Outcome.FAIL: "failed", Outcome.ERROR: "errors"}[outcome]
    return f"{run[key]:,}"


def _result(row: Any, *, whole: bool = False) -> dict[str, Any]:
    """A result as the templates show it."""
    import msgspec

    case = case_fields(row.case_content)
    return {
        "position": row.position,
        "name": row.case,
        "outcome": OUTCOMES[row.outcome].value,
        "score": row.score,
        "reason": row.reason,
        "output": row.output if whole else row.output[:OUTPUT_SHOWN],
        "is_cut": not whole and len(row.output) > OUTPUT_SHOWN,
        "expected": case["expected"],
        "variables": case["variables"],
        "assertions": msgspec.json.decode(row.assertions),
        **{name: getattr(row, name) for name in _MEASURED},
    }


@router.get("/w/{workspace}/evaluations/{evaluation_id}/results/{position}", openapi_extra=budget(3))
async def result(evaluation_id: PageId, position: PageNumber, request: Request, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        run = await queries.one(session, actor.workspace_id, evaluation_id)
        row = await queries.result(session, evaluation_id, position)
        others = await queries.elsewhere(session, evaluation_id, row.case_id)
    elsewhere = [{**other._mapping, "outcome": OUTCOMES[other.outcome].value} for other in others]
    shown = {**_result(row, whole=True), "messages": []}
    return page(request, "evaluations/result.html", {"run": run, "result": shown, "elsewhere": elsewhere})


@router.get("/w/{workspace}/compare", openapi_extra=budget(5))
async def compare(
    request: Request,
    database: Db,
    actor: Who,
    a: MaybeId = "",
    b: MaybeId = "",
    show: Words = "",
    after: After = None,
) -> Response:
    """Two runs side by side. With one run in the address, the pickers offer the runs of its suite."""
    before, later = asked_id(a), asked_id(b)
    shown = show if show in SHOWN else None
    async with database.read() as session:
        runs, _ = await queries.page(session, actor.workspace_id, limit=PICKED, fields=_OFFERED)
        context: dict[str, Any] = {"runs": runs, "a": None, "b": None, "comparison": None, "rows": []}
        context["pager"] = pager(None, 0)
        if before is not None and later is not None:
            found = await side_by_side(session, actor.workspace_id, (before, later), ROWS, after, shown)
            context |= _compared(found, runs)
        elif chosen := before or later:
            run = await queries.one(session, actor.workspace_id, chosen)
            context["a" if before else "b"] = run
            context["runs"] = _offered(runs, [run])
    return page(request, "evaluations/compare.html", context)


def _compared(found: SideBySide, runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "runs": _offered(runs, [found.a, found.b]),
        "a": found.a,
        "b": found.b,
        "comparison": found.comparison,
        "rows": [_compared_row(row) for row in found.rows],
        "pager": pager(found.following, len(found.rows), f"{found.cases:,}"),
    }


def _offered(runs: list[dict[str, Any]], chosen: list[Any]) -> list[dict[str, Any]]:
    """The newest runs and the chosen ones, which may be older."""
    known = {run["id"] for run in runs}
    return [{"id": run.id, "name": run.name, "model": run.model} for run in chosen if run.id not in known] + runs


def _compared_row(row: dict[str, Any]) -> dict[str, Any]:
    expected = case_fields(cast(str | None, row["case_content"]))["expected"]
    return {**row, "name": row["case"], "position": row["position_b"], "expected": expected}
