"""Prompts in and out over HTTP, as files. Both stream: the size of a workspace is no reason for more memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.db import Database
from autoforge.errors import BadInput, FieldError
from autoforge.prompts.bulk_commands import Imported
from autoforge.prompts.exporting import Wanted, export_records, must_have
from autoforge.prompts.formats import ImportOptions, encoder_for, read_records
from autoforge.prompts.importing import below, import_all, parse_mapping
from autoforge.reading import Source
from autoforge.reading.source import uploaded
from autoforge.web.deps import Db
from autoforge.web.downloads import Download
from autoforge.web.problems import PROBLEMS
from autoforge.web.responses import budget, json_response
from autoforge.web.text import Line

router = APIRouter(prefix="/prompts", tags=["transfer"], responses=PROBLEMS)

_CHUNK = 64 * 1024
_SHOWN = 100
_MEDIA_TYPES = {
    "text/csv": "csv",
    "application/json": "json",
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/yaml": "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
}
Format = Literal["csv", "json", "jsonl", "yaml"]


class FailedRow(BaseModel):
    line: int | None
    place: str
    message: str


class ImportReport(BaseModel):
    """``stored`` is false for a dry run. ``failed`` names the first thousand of ``failed_count`` rows."""

    stored: bool
    created: int
    extended: int
    unchanged: int
    failed_count: int
    failed: list[FailedRow]


@router.post(
    "/import",
    response_model=ImportReport,
    summary="Import prompts from a file",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {"file": {"type": "string", "format": "binary"}},
                        "required": ["file"],
                    }
                },
                **{kind: {"schema": {"type": "string"}} for kind in _MEDIA_TYPES},
            },
        }
    },
)
async def import_prompts(
    request: Request,
    database: Db,
    actor: Who,
    format: Annotated[Format | None, Query(description="Default: by the content type or the file's name.")] = None,
    map: Annotated[list[str] | None, Query(max_length=20, description="column=field, for files of any shape.")] = None,
    placeholders: Annotated[Literal["none", "dollar", "braces"] | None, Query()] = None,
    separator: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
    folder: Annotated[Line, Query(description="Put in front of all names.")] = "",
    skip_bad: Annotated[bool, Query(description="Store the good rows although there are bad ones.")] = False,
    dry_run: Annotated[bool, Query(description="Report what would happen; store nothing.")] = False,
) -> Response:
    """The file is the body, or the part `file` of a form. Everything is stored, or nothing: 422 names the bad rows.

    Prompts that exist get the versions that they lack; the same file twice changes nothing.
    """
    options = ImportOptions(mapping=parse_mapping(map or ()), placeholders=placeholders, separator=separator)
    source, known = await _upload(request)
    found = below(folder, await asyncio.to_thread(read_records, source, format or known, options))
    report = await import_all(database, actor, found, skip_bad=skip_bad, dry_run=dry_run)
    if report.failed and not skip_bad and not dry_run:
        raise _refused(report)
    return json_response(shown(report))


async def _upload(request: Request) -> tuple[Source, str | None]:
    """The file that was sent, and its format as far as the content type tells."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        return await asyncio.to_thread(uploaded, await request.body(), "the upload"), _MEDIA_TYPES.get(kind)
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadInput.at("/file", "The form has no part `file` that is a file.")
        source = await asyncio.to_thread(uploaded, await file.read(), file.filename or "the upload")
        return source, _MEDIA_TYPES.get((file.content_type or "").partition(";")[0].strip().lower())


def _refused(report: Imported) -> BadInput:
    rows = "1 row is" if report.failed == 1 else f"{report.failed:,} rows are"
    errors = [FieldError(error.place, error.message) for error in report.errors[:_SHOWN]]
    return BadInput(f"{rows} no prompt, so nothing was imported.", errors=errors)


def shown(report: Imported) -> dict[str, Any]:
    counts = {"created": report.created, "extended": report.extended, "unchanged": report.unchanged}
    failed = [{"line": error.line, "place": error.place, "message": error.message} for error in report.errors]
    return {"stored": report.stored, **counts, "failed_count": report.failed, "failed": failed}


@router.get(
    "/export",
    summary="Export prompts as a file",
    response_class=StreamingResponse,
    responses={200: {"description": "The file", "content": {kind: {} for kind in _MEDIA_TYPES}}},
    openapi_extra=budget(4),
)
async def export_prompts(
    database: Db,
    actor: Who,
    format: Annotated[Format, Query(description="The shape of the file.")] = "jsonl",
    folder: Annotated[Line, Query(description="Only names below this folder.")] = "",
    name: Annotated[list[Line] | None, Query(max_length=1000, description="Only these prompts.")] = None,
) -> Response:
    """All versions with their lineage, branches and labels; importing the file again loses nothing."""
    return await export_response(database, actor, format, folder, name or ())


async def export_response(
    database: Database, actor: Actor, format: Format, folder: str, names: Sequence[str]
) -> Response:
    """The file as a download. NotFound for names that there are not; 503 while two downloads run."""
    wanted = Wanted(folder, frozenset(names))
    async with database.read() as session:
        await must_have(session, actor.workspace_id, wanted.names)
    headers = {"Content-Disposition": f'attachment; filename="prompts.{format}"', "Cache-Control": "no-store"}
    body = _file(database, actor.workspace_id, wanted, format)
    return Download(body, headers=headers, media_type=encoder_for(format).media_type)


async def _file(database: Database, workspace_id: UUID, wanted: Wanted, format: str) -> AsyncGenerator[bytes, None]:
    encoder = encoder_for(format)
    waiting = bytearray(encoder.head())
    async with database.read() as session:
        async for record in export_records(session, workspace_id, wanted):
            waiting += encoder.record(record)
            if len(waiting) >= _CHUNK:
                yield bytes(waiting)
                waiting.clear()
    yield bytes(waiting + encoder.tail())
