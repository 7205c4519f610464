"""Prompts in and out as files, for people: choosing a file, what came of it, and downloading a folder or everything.

An import keeps everything or nothing unless the good rows are asked for. What is wrong with a file is listed on the
form, which keeps what was said about columns; the file is chosen again, because a browser does not send it twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
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
from autoforge.prompts.formats.options import PLACEHOLDERS
from autoforge.prompts.importing import below, import_all
from autoforge.prompts.transfer_routes import Format, export_response, shown
from autoforge.reading import Source
from autoforge.reading.source import uploaded
from autoforge.web.deps import Db
from autoforge.web.forms import errors_by_field
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.paging import Words
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}/prompts")

_SHOWN = 100
MAPPED = ("prompt", "system", "name", "title", "description", "tags")
"""Fields whose column the form asks for; the rest is for the command line and programs."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """The form of an import."""

    source: Source
    options: ImportOptions
    folder: str
    skip_bad: bool
    dry_run: bool


@router.get("/import", openapi_extra=budget(0))
async def choose_file(request: Request, actor: Who, folder: Words = "") -> Response:
    actor.needs("prompts:write")
    return _form(request, _values({"folder": folder}), {}, None, 200)


def _values(form: Mapping[str, Any]) -> dict[str, Any]:
    """The texts of the form, cut to lengths that can be right."""
    values = {key: str(form.get(key) or "")[:500] for key in ("folder", "separator", *map(_column, MAPPED))}
    placeholders = form.get("placeholders")
    return values | {
        "folder": values["folder"].strip().strip("/"),
        "placeholders": placeholders if placeholders in PLACEHOLDERS else "",
        "skip_bad": bool(form.get("skip_bad")),
    }


def _column(field: str) -> str:
    return f"column_{field}"


def _form(
    request: Request, values: dict[str, Any], errors: dict[str, str], report: dict[str, Any] | None, status: int
) -> Response:
    context = {"values": values, "errors": errors, "report": report}
    return page(request, "prompts/import.html", context, status=status)


@router.post("/import")
async def import_file(request: Request, database: Db, actor: Who) -> Response:
    values = _values({})
    try:
        sent = await _sent(request, values)
        report = await _import(database, actor, sent)
    except (BadInput, TooLarge, Conflict) as error:
        errors = errors_by_field(error, lambda pointer: "folder" if pointer == "?folder" else "file", "file")
        return _form(request, values, errors, None, error.status)
    if report.failed or sent.dry_run:
        told = shown(report)
        kept = report.stored or sent.dry_run
        return _form(request, values, {}, {**told, "failed": told["failed"][:_SHOWN]}, 200 if kept else 422)
    counts = f"{report.created:,} new, {report.extended:,} with more versions, {report.unchanged:,} as they were"
    return seen(Links(actor.workspace_slug).prompts(folder=sent.folder), f"Imported: {counts}.")


async def _sent(request: Request, values: dict[str, Any]) -> _Sent:
    """The form; ``values`` holds what can be shown again, also when there is no file in it."""
    async with request.form(max_files=1, max_fields=20) as form:
        values.update(_values(form))
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise BadInput.at("/file", "Choose a file first.")
        source = await asyncio.to_thread(uploaded, await file.read(), file.filename)
        is_trial = form.get("action") == "try"
    mapping = {field: column for field in MAPPED if (column := values[_column(field)].strip())}
    options = ImportOptions(mapping, values["placeholders"] or None, values["separator"] or None)
    return _Sent(source, options, values["folder"], values["skip_bad"], is_trial)


async def _import(database: Database, actor: Actor, sent: _Sent) -> Imported:
    found = below(sent.folder, await asyncio.to_thread(read_records, sent.source, None, sent.options))
    return await import_all(database, actor, found, skip_bad=sent.skip_bad, dry_run=sent.dry_run)


@router.get("/export", openapi_extra=budget(4))
async def export_file(database: Db, actor: Who, format: Format = "jsonl", folder: Words = "") -> Response:
    """The same file that programs get."""
    return await export_response(database, actor, format, folder.strip("/"), ())
