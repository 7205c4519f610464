"""Jobs for people: the list, which follows what happens, and one job with its progress."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.jobs import commands, queries
from autoforge.jobs.events import ENDED
from autoforge.jobs.queries import STATUSES, SYSTEM, Listing
from autoforge.web.deps import Db
from autoforge.web.forms import PageId
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.paging import After, pager
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}/jobs")

PER_PAGE = 50


@router.get("", openapi_extra=budget(1))
async def list_jobs(
    request: Request, database: Db, actor: Who, status: str = "", scope: str = "", after: After = None
) -> Response:
    asked = Listing(status if status in STATUSES else None, system=scope == "system" and actor.may(SYSTEM))
    async with database.read() as session:
        rows, following = await queries.page(session, actor, asked, PER_PAGE, after)
    context = {
        "jobs": rows,
        "pager": pager(following, len(rows)),
        "filtered": bool(asked.status or asked.system or after),
        "live": after is None,
        "may_see_system": actor.may(SYSTEM),
    }
    return page(request, "jobs/list.html", context)


@router.get("/{job_id}", openapi_extra=budget(1))
async def show_job(job_id: PageId, request: Request, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        job = await queries.one(session, actor, job_id)
    context = {
        "job": job,
        "result": _result(job["result"]),
        "ended": job["status"] in ENDED,
        "may_write": actor.may("jobs:write") and queries.may_change(actor, job),
    }
    return page(request, "jobs/show.html", context)


def _result(text: str | None) -> Any:
    value = None if text is None else msgspec.json.decode(text)
    return None if value in ({}, [], "") else value


@router.post("/{job_id}/cancel")
async def cancel_job(job_id: PageId, database: Db, actor: Who) -> Response:
    async with database.write() as session:
        status = await commands.cancel(session, actor, job_id)
    done = "The job is cancelled." if status == "cancelled" else "The job was asked to stop."
    return seen(Links(actor.workspace_slug).job(job_id), done)


@router.post("/{job_id}/retry")
async def retry_job(job_id: PageId, database: Db, actor: Who) -> Response:
    async with database.write() as session:
        await commands.retry(session, actor, job_id)
    return seen(Links(actor.workspace_slug).job(job_id), "The job waits to be tried again.")
