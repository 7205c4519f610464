"""Prompts in and out as files, for people: choosing a file, what came of it, and downloading a folder or everything.

An import keeps everything or nothing unless the good rows are asked for; so there is no dry run here. What is wrong
with a file is listed on the form, and the file is chosen again once it is corrected.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.db import Database
from autoforge.errors import BadInput, Conflict, TooLarge
from autoforge.prompts.bulk_commands import Imported
from autoforge.prompts.formats import ImportOptions, read_records
from autoforge.prompts.importing import below, import_all
from autoforge.prompts.transfer_routes import Format, expanded, export_response, shown
from autoforge.reading import Source
from autoforge.web.deps import Db
from autoforge.web.forms import errors_by_field
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.paging import Words
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}/prompts")

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class _Sent:
    """The form of an import."""

    source: Source
    folder: str
    skip_bad: bool


@router.get("/import", openapi_extra=budget(0))
async def choose_file(request: Request, actor: Who, folder: Words = "") -> Response:
    actor.needs("prompts:write")
    return _form(request, {"folder": folder.strip("/"), "skip_bad": False}, {}, None, 200)


def _form(
    request: Request, values: dict[str, Any], errors: dict[str, str], report: dict[str, Any] | None, status: int
) -> Response:
    context = {"values": values, "errors": errors, "report": report}
    return page(request, "prompts/import.html", context, status=status)


@router.post("/import")
async def import_file(request: Request, database: Db, actor: Who) -> Response:
    values: dict[str, Any] = {"folder": "", "skip_bad": False}
    try:
        sent = await _sent(request, values)
        report = await _import(database, actor, sent)
    except (BadInput, TooLarge, Conflict) as error:
        errors = errors_by_field(error, lambda pointer: "folder" if pointer == "/folder" else "file", "file")
        return _form(request, values, errors, None, error.status)
    if report.failed:
        told = shown(report)
        return _form(request, values, {}, {**told, "failed": told["failed"][:_SHOWN]}, 200 if report.stored else 422)
    counts = f"{report.created:,} new, {report.extended:,} with more versions, {report.unchanged:,} as they were"
    return seen(Links(actor.workspace_slug).prompts(folder=sent.folder), f"Imported: {counts}.")


async def _sent(request: Request, values: dict[str, Any]) -> _Sent:
    async with request.form(max_files=1, max_fields=10) as form:
        values["folder"] = str(form.get("folder") or "").strip().strip("/")[:500]
        values["skip_bad"] = bool(form.get("skip_bad"))
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise BadInput.at("/file", "Choose a file first.")
        source = await expanded(await file.read(), file.filename)
    return _Sent(source, values["folder"], values["skip_bad"])


async def _import(database: Database, actor: Actor, sent: _Sent) -> Imported:
    found = below(sent.folder, await asyncio.to_thread(read_records, sent.source, None, ImportOptions()))
    return await import_all(database, actor, found, skip_bad=sent.skip_bad)


@router.get("/export", openapi_extra=budget(4))
async def export_file(database: Db, actor: Who, format: Format = "jsonl", folder: Words = "") -> Response:
    """The same file that programs get."""
    return await export_response(database, actor, format, folder.strip("/"), ())
