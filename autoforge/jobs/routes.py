"""Jobs over HTTP: list, read, watch, cancel, try again."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from autoforge.access.deps import Who, still_allowed
from autoforge.jobs import commands, events, queries
from autoforge.jobs.queries import Listing
from autoforge.jobs.schemas import JobOut, JobPage, JobStatus
from autoforge.web.closing import is_closing
from autoforge.web.conditional import etag, not_modified
from autoforge.web.deps import Db
from autoforge.web.fields import chosen
from autoforge.web.paging import Paged, listing
from autoforge.web.problems import PROBLEMS
from autoforge.web.responses import budget, json_response, raw_json

router = APIRouter(prefix="/jobs", tags=["jobs"], responses=PROBLEMS)

_NO_STORE = {"Cache-Control": "private, no-store", "X-Accel-Buffering": "no"}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events until the job ends"},
    204: {"description": "The job has ended, and Last-Event-ID is its last event: do not come back"},
}


@router.get("", response_model=JobPage, summary="List jobs", openapi_extra=budget(1))
async def list_jobs(
    request: Request,
    database: Db,
    actor: Who,
    page: Paged,
    status: Annotated[str | None, Query(pattern="^(pending|running|completed|cancelled|dead)$")] = None,
    task: Annotated[str | None, Query(pattern="^[a-z][a-z0-9_.-]{0,99}$", description="The name of a task.")] = None,
    scope: Annotated[str | None, Query(pattern="^system$", description="`system`: jobs of no workspace.")] = None,
    fields: Annotated[str | None, Query(max_length=500, description="Only these fields, separated by commas.")] = None,
) -> Response:
    """The jobs of the workspace, newest first. Dead ones are those whose attempts all failed."""
    asked = Listing(status, task, scope == "system", chosen(fields, queries.ITEM_FIELDS))
    async with database.read() as session:
        items, following = await queries.page(session, actor, asked, page.limit, page.after)
    return listing(request, items, following)


@router.get("/{job_id}", response_model=JobOut, summary="Read a job", openapi_extra=budget(1))
async def read_job(job_id: UUID, request: Request, database: Db, actor: Who) -> Response:
    """Status, progress, result and error. The ETag changes with every progress.

    Result and error are null for who may not do what the job does (imports and clean-ups of people)."""
    async with database.read() as session:
        job = await queries.one(session, actor, job_id)
    tag = etag(job["row_version"], int(queries.may_read(actor, job)))
    del job["workspace_id"]
    return not_modified(request, tag) or json_response(
        {**job, "result": raw_json(job["result"])}, headers={"ETag": tag}
    )


@router.get("/{job_id}/events", response_class=StreamingResponse, responses=_EVENTS, summary="Watch a job")
async def watch_job(job_id: UUID, request: Request, database: Db, actor: Who) -> Response:
    """Server-sent events: `progress` with status, done, total and note, and `end` when the job has ended."""

    async def look() -> dict[str, Any]:
        async with database.read() as session:
            return await queries.news(session, actor, job_id)

    async def allowed() -> bool:
        return not is_closing(request) and await still_allowed(request)

    job, seen = await look(), events.last_seen(request.headers.get("last-event-id"))
    if job["status"] in events.ENDED and seen == job["row_version"]:
        return Response(status_code=204, headers=_NO_STORE)
    return StreamingResponse(events.stream(look, allowed, seen), media_type="text/event-stream", headers=_NO_STORE)


@router.post("/{job_id}/cancel", status_code=202, response_model=JobStatus, summary="Cancel a job")
async def cancel_job(job_id: UUID, database: Db, actor: Who) -> Response:
    """At once when it has not begun; a running job is asked to stop. 409 when it has ended.

    By who started it and by managers; an import takes users:admin, a clean-up of people server:admin."""
    async with database.write() as session:
        status = await commands.cancel(session, actor, job_id)
    return json_response({"status": status}, 202)


@router.post("/{job_id}/retry", status_code=202, response_model=JobStatus, summary="Try a job again")
async def retry_job(job_id: UUID, database: Db, actor: Who) -> Response:
    """For jobs that are dead or were cancelled: they wait again, with all their attempts.

    By whom: as for cancelling."""
    async with database.write() as session:
        await commands.retry(session, actor, job_id)
    return json_response({"status": "pending"}, 202)
