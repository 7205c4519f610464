"""Bulk import of people for programs: small files answered at once, larger ones as a job with a report."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from autoforge.access.deps import Who
from autoforge.access.once import Once
from autoforge.db import Database
from autoforge.errors import BadInput
from autoforge.users import import_queries, import_reports
from autoforge.users.import_mapping import read_mapping
from autoforge.users.import_uploads import AT_ONCE, KINDS, look_through, receive, store_at_once
from autoforge.users.importing import Options, Result, Tally
from autoforge.users.tasks import start_import
from autoforge.web.conditional import etag, not_modified
from autoforge.web.deps import App, Db
from autoforge.web.downloads import Download
from autoforge.web.paging import Paged, listing
from autoforge.web.problems import PROBLEMS
from autoforge.web.responses import budget, json_response
from autoforge.web.text import Line

router = APIRouter(prefix="/users/import", tags=["users"], responses=PROBLEMS)

_FORM = {
    "schema": {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    }
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "CSV with a header, in any usual encoding and with any usual delimiter; gzip is expanded.",
        "content": {"multipart/form-data": _FORM, **{kind: {"schema": {"type": "string"}} for kind in KINDS}},
    }
}
_MAP = Query(
    alias="map",
    max_length=100,
    description="FIELD=COLUMN, repeatable; also COLUMN+COLUMN, {COLUMN}.{COLUMN}@example.org and 'constant'. Fields: "
    "email, name, role, is_active, profile.KEY. What is not said is guessed from the names of the columns.",
)


class FaultOut(BaseModel):
    column: str = Field(description="The column of the file; empty: the whole row.")
    message: str


class RowOut(BaseModel):
    line: int
    email: str | None
    outcome: Literal["inserted", "updated", "skipped", "failed"]
    user_id: UUID | None
    errors: list[FaultOut]


class ImportedOut(BaseModel):
    """What became of a small file; always rows = inserted + updated + skipped + failed."""

    dry_run: bool
    rows: int
    inserted: int
    updated: int
    skipped: int
    failed: int
    results: list[RowOut]


class StartedOut(BaseModel):
    job_id: UUID
    rows: int


class ImportOut(BaseModel):
    id: UUID
    file: str
    mapping: list[str]
    on_existing: str
    dry_run: bool
    status: str
    total: int
    rows: int = Field(description="Rows that are done: inserted + updated + skipped + failed.")
    inserted: int
    updated: int
    skipped: int
    failed: int
    error: str | None
    created_at: datetime
    ended_at: datetime | None


class StoredFault(BaseModel):
    id: UUID
    line: int
    column: str
    message: str


class FaultPage(BaseModel):
    items: list[StoredFault]
    next: str | None


@router.post(
    "",
    summary="Import people from CSV",
    response_model=ImportedOut,
    responses={202: {"model": StartedOut, "description": "It runs as a job; Location says where to follow it"}},
    openapi_extra=_BODY,
)
async def import_people(
    request: Request,
    services: App,
    actor: Who,
    once: Once,
    assignments: Annotated[list[Line] | None, _MAP] = None,
    on_existing: Annotated[
        Literal["skip", "update", "error"], Query(description="What happens to who is there already.")
    ] = "skip",
    dry_run: Annotated[bool, Query(description="Say what would happen and store nothing.")] = False,
    as_job: Annotated[bool, Query(description="Make a job of a small file as well.")] = False,
    filename: Annotated[Line, Query(description="What to call a file that is sent as the body.")] = "upload.csv",
) -> Response:
    """Up to 100 rows are answered at once, one result per row; more become a job (202). People are told apart by their
    address, so that a file may be imported again. Rows that are wrong are reported and do not keep others out."""
    actor.needs("users:admin")
    upload = await receive(request, services.settings, actor, filename)
    found = await look_through(services.settings, actor, upload)
    mapping = read_mapping(assignments or [], found.table.columns)
    options = Options(on_existing, dry_run)
    async with once.write() as session:
        if found.rows <= AT_ONCE and not as_job:
            results = await store_at_once(session, actor, upload, found, mapping, options)
            return once.answer(_answer(results, dry_run))
        job_id = await start_import(session, actor, upload.key, found, mapping, options)
        body = {"job_id": job_id, "rows": found.rows}
        return once.answer(json_response(body, 202, {"Location": f"/api/v1/jobs/{job_id}"}))


def _answer(results: Sequence[Result], dry_run: bool) -> Response:
    rows = [
        {
            "line": one.checked.line,
            "email": one.checked.draft.email if one.checked.draft else None,
            "outcome": one.outcome,
            "user_id": one.user_id,
            "errors": [asdict(fault) for fault in one.faults],
        }
        for one in results
    ]
    return json_response({"dry_run": dry_run, **asdict(Tally().plus(results)), "results": rows})


@router.get("/{job_id}", summary="How an import is going", response_model=ImportOut, openapi_extra=budget(1))
async def read_import(job_id: UUID, request: Request, database: Db, actor: Who) -> Response:
    """Its job has the progress as events (`/jobs/{id}/events`), and can be cancelled and tried again."""
    actor.needs("users:admin")
    async with database.read() as session:
        found = await import_queries.one(session, actor, job_id)
    tag = etag(found.row.row_version)
    return not_modified(request, tag) or json_response(found.shown(), headers={"ETag": tag})


@router.get("/{job_id}/errors", summary="What was refused", response_model=FaultPage, openapi_extra=budget(2))
async def read_faults(job_id: UUID, request: Request, database: Db, actor: Who, page: Paged) -> Response:
    """In the order of the file; a row may have several."""
    actor.needs("users:admin")
    async with database.read() as session:
        await import_queries.one(session, actor, job_id)
        found = await import_queries.faults(session, job_id, page.limit, page.after)
    return listing(request, [dict(row._mapping) for row in found.rows], found.next)


@router.get(
    "/{job_id}/errors.csv",
    summary="The refused rows as CSV",
    openapi_extra=budget(2),
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The report"}},
)
async def download_faults(job_id: UUID, database: Db, actor: Who) -> Response:
    """The rows as they were, with line, column and reason in front: fix them and import the file again."""
    actor.needs("users:admin")
    async with database.read() as session:
        found = await import_queries.one(session, actor, job_id)
    return report_response(database, found)


def report_response(database: Database, found: import_queries.Import) -> Response:
    """The report as a download; 503 while two downloads run."""

    async def chunks() -> AsyncGenerator[bytes, None]:
        async with database.read() as session:
            rows = import_queries.report_rows(session, found.row.id)
            async for chunk in import_reports.report(found.asked.columns, rows):
                yield chunk

    if not found.ended:
        raise BadInput("The report is complete once the import has ended; /errors lists what there is so far.")
    headers = {"Content-Disposition": f'attachment; filename="import-{found.row.id.hex[:8]}-errors.csv"'}
    return Download(chunks(), media_type="text/csv; charset=utf-8", headers=headers)
