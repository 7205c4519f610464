"""The pages about suites: the list, and one suite with its cases and latest runs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.errors import NotFound
from autoforge.evaluations import queries, suite_queries
from autoforge.evaluations.pages import ROWS
from autoforge.evaluations.queries import Filters
from autoforge.evaluations.results import case_fields
from autoforge.web.deps import Db
from autoforge.web.forms import PageId
from autoforge.web.html import page
from autoforge.web.paging import After, Words, pager
from autoforge.web.responses import budget

router = APIRouter()

LATEST = 5


@router.get("/w/{workspace}/suites", openapi_extra=budget(1))
async def suites(
    request: Request, database: Db, actor: Who, q: Words = "", sort: Words = "", after: After = None
) -> Response:
    order = sort if sort in suite_queries.SORTS else "-created_at"
    place = (actor.workspace_id, ROWS, after)
    async with database.read() as session:
        rows, following = await suite_queries.page(session, *place, sort=order, words=q)
    context = {"suites": rows, "pager": pager(following, len(rows)), "filtered": bool(q)}
    return page(request, "suites/list.html", context)


@router.get("/w/{workspace}/suites/{suite_id}", openapi_extra=budget(3))
async def suite(
    suite_id: PageId, request: Request, database: Db, actor: Who, q: Words = "", after: After = None
) -> Response:
    async with database.read() as session:
        try:
            row = await suite_queries.one(session, actor.workspace_id, suite_id)
        except NotFound:
            gone = await suite_queries.deleted(session, actor.workspace_id, suite_id)
            return page(request, "suites/deleted.html", {"suite": gone})
        found = await suite_queries.cases(session, suite_id, ROWS, after, words=q)
        runs, _ = await queries.page(session, actor.workspace_id, Filters(suite_id=suite_id), LATEST)
    total = None if q else f"{row.cases:,}"
    context = {
        "suite": row,
        "cases": [_case(case) for case in found.rows],
        "pager": pager(found.next, len(found.rows), total),
        "evaluations": runs,
    }
    return page(request, "suites/show.html", context)


def _case(row: Any) -> dict[str, Any]:
    case = case_fields(row.content)
    return {"id": row.id, "position": row.position, "name": row.name, **case, "assertions": _checks(case["assertions"])}


def _checks(assertions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    usual = {"value": None, "threshold": None, "weight": 1.0, "metric": None}
    return [{**usual, **one, "label": one["type"]} for one in assertions]
