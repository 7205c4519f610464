"""Bulk import for people, in three steps: a file, its columns with a preview, and how it is going.

Everything that was chosen is in the address, so that going back, and sending the page to a colleague, both work; and
nothing needs a script.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from autoforge.access.deps import TheGate, Who
from autoforge.errors import BadInput, NotFound
from autoforge.reading import Source
from autoforge.reading.tables import Table, read_table
from autoforge.users import import_files, import_links, import_queries
from autoforge.users.import_mapping import PROFILE, ColumnMap, guesses, profile_key, read_mapping
from autoforge.users.import_queries import Import
from autoforge.users.import_routes import report_response
from autoforge.users.import_rows import LARGEST, Checked, RowReader, Survey
from autoforge.users.import_uploads import Upload, look_through, receive, shown_name
from autoforge.users.importing import options_of, roles_for
from autoforge.users.routes import link_to
from autoforge.users.tasks import start_import
from autoforge.web.deps import App, Db
from autoforge.web.forms import PageId
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}/people/import")

SHOWN = 20
"""Rows of the preview, and faults of the summary."""
FIELDS = ("email", "name", "role", "is_active")
_Text = Annotated[str, Query(max_length=2_000)]


@router.get("", openapi_extra=budget(0))
async def choose_file(request: Request, actor: Who) -> Response:
    actor.needs("users:admin")
    return page(request, "people/import.html", {"errors": {}})


@router.post("")
async def upload_file(request: Request, services: App, actor: Who) -> Response:
    """Keeps the file and looks it through; what cannot be imported is said on the form."""
    actor.needs("users:admin")
    try:
        upload = await receive(request, services.settings, actor, "upload.csv")
        found = await look_through(services.settings, actor, upload)
    except BadInput as error:
        return page(request, "people/import.html", {"errors": {"file": error.detail}}, status=error.status)
    links = Links(actor.workspace_slug)
    address = links.members(f"import/{upload.key}", file=upload.name, rows=found.rows)
    return RedirectResponse(address, status_code=303)


@router.get("/jobs/{job_id}", openapi_extra=budget(2))
async def show_import(job_id: PageId, request: Request, database: Db, actor: Who) -> Response:
    actor.needs("users:admin")
    async with database.read() as session:
        found = await import_queries.one(session, actor, job_id)
        faults = await import_queries.faults(session, job_id, SHOWN, None)
    context = {
        "job": found.shown(),
        "faults": faults.rows,
        "more": faults.next is not None,
        "ended": found.ended,
        "columns_url": _columns_url(Links(actor.workspace_slug), found),
        "may_invite": actor.role == "admin" and actor.may("users:admin") and _has_people(found),
    }
    return page(request, "people/import_progress.html", context)


def _has_people(found: Import) -> bool:
    """Whether it is over and stored, or found, anybody."""
    stored = found.row.status == "completed" and not found.asked.dry_run
    return stored and found.counts.rows > found.counts.failed


def _columns_url(links: Links, found: Import) -> str:
    """The step before, as this import had it."""
    given = dict(one.partition("=")[::2] for one in found.asked.mapping)
    query: dict[str, Any] = {"file": found.asked.name, "rows": found.asked.rows, "chosen": 1}
    query |= {"on_existing": found.asked.on_existing, **{name: given.get(name) for name in FIELDS}}
    kept = [column for target, column in given.items() if target.startswith(PROFILE)]
    return _with_all(links.members(f"import/{found.asked.file}", **query), "keep", kept)


def _with_all(address: str, name: str, values: Sequence[str]) -> str:
    return address + "".join(f"&{urlencode({name: value})}" for value in values)


@router.get("/jobs/{job_id}/errors.csv", openapi_extra=budget(2))
async def download_report(job_id: PageId, database: Db, actor: Who) -> Response:
    actor.needs("users:admin")
    async with database.read() as session:
        found = await import_queries.one(session, actor, job_id)
    return report_response(database, found)


@router.post("/jobs/{job_id}/links")
async def make_links(
    job_id: PageId, request: Request, services: App, database: Db, actor: Who, gate: TheGate
) -> Response:
    """A link for each of its people who has never signed in, as a file that is given out this once."""
    import_links.needs_inviter(actor)
    async with database.read() as session:
        found = await import_queries.one(session, actor, job_id)
    address = Links(actor.workspace_slug).members(f"import/jobs/{job_id}")
    if not _has_people(found):
        return seen(address, "This import stored nobody, so there is nobody to invite.", "failed")
    try:
        path = import_files.path_of(services.settings, actor.workspace_id, found.asked.file)
    except NotFound as error:
        return seen(address, error.detail, "failed")
    batches = import_links.make_links(database, gate.secret, actor, found, path)
    first = await anext(batches, None)
    if first is None:
        return seen(address, "Everybody in this file has signed in already, or is deactivated.", "info")
    body = import_links.as_csv(first, batches, lambda token: link_to(request, "welcome", token))
    name = f"invitations-{found.row.id.hex[:8]}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(body, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/{key}", openapi_extra=budget(0))
async def choose_columns(
    key: str,
    request: Request,
    services: App,
    actor: Who,
    keep: Annotated[list[str] | None, Query(max_length=100)] = None,
    file: _Text = "",
    rows: Annotated[int | None, Query(ge=0)] = None,
    chosen: bool = False,
) -> Response:
    """What the file is, where each field comes from, and what the first rows would become."""
    actor.needs("users:admin")
    upload = Upload(key, shown_name(file))
    path = import_files.path_of(services.settings, actor.workspace_id, key)
    table = await asyncio.to_thread(read_table, Source.at(path, upload.name), limit=LARGEST)
    query = request.query_params
    given = {name: query.get(name, "").strip()[:500] for name in FIELDS} if chosen else guesses(table.columns)
    context = await _columns_context(table, given, keep or [], roles_for(actor))
    context |= {"key": key, "file": upload.name, "rows": rows, "on_existing": query.get("on_existing", "skip")}
    return page(request, "people/import_columns.html", context)


async def _columns_context(
    table: Table, given: dict[str, str], keep: Sequence[str], roles: Sequence[str]
) -> dict[str, Any]:
    """The mapping as the form shows it; what is wrong with it, or the first rows as it reads them."""
    preview: Sequence[Checked] = ()
    problem = ""
    mapping: ColumnMap | None = None
    try:
        mapping = read_mapping(_assignments(given, keep), table.columns)
        preview = await asyncio.to_thread(_preview, table, mapping, roles)
    except BadInput as error:
        problem = error.detail.partition(" Columns: ")[0]  # the page lists them
    return {
        "table": table,
        "values": {name: given.get(name, "") for name in FIELDS},
        "keep": keep,
        "preview": preview,
        "faulty": sum(1 for row in preview if row.draft is None),
        "problem": problem,
        "errors": {"email": problem} if problem and not given.get("email") else {},
        "used": {column for one in mapping.fields.values() for column in one.columns} if mapping else set(),
        "samples": await asyncio.to_thread(_samples, table),
    }


def _assignments(given: dict[str, str], keep: Sequence[str]) -> list[str]:
    """Every field, so that what was emptied is not guessed again."""
    told = [f"{name}={given.get(name, '')}" for name in FIELDS if name != "email" or given.get(name)]
    return told + [f"{PROFILE}{key}={column}" for column in keep if (key := profile_key(column))]


def _preview(table: Table, mapping: ColumnMap, roles: Sequence[str]) -> list[Checked]:
    with RowReader(table, mapping, roles) as reader:
        return reader.batch(SHOWN)


def _samples(table: Table) -> dict[str, list[str]]:
    """The first values of each column."""
    found: dict[str, list[str]] = {column: [] for column in table.columns}
    for number, row in enumerate(table):
        if number == SHOWN:
            break
        for column, text in row.cells.items():
            if text.strip() and len(found[column]) < 3 and text not in found[column]:
                found[column].append(text[:60])
    return found


@router.post("/{key}")
async def start(key: str, request: Request, services: App, database: Db, actor: Who) -> Response:
    """Starts the job, or goes back to the columns when something is wrong with them."""
    actor.needs("users:admin")
    form = await request.form(max_fields=1_000)
    posted = {name: value for name, value in form.items() if isinstance(value, str)}
    upload = Upload(key, shown_name(posted.get("file", "")))
    found = await look_through(services.settings, actor, upload)
    keep = [value for value in form.getlist("keep") if isinstance(value, str)]
    given = {name: posted.get(name, "").strip()[:500] for name in FIELDS}
    try:
        mapping = read_mapping(_assignments(given, keep), found.table.columns)
    except BadInput:
        return await _again(request, found, given, keep, key, roles_for(actor))
    options = options_of(posted.get("on_existing", "skip"), posted.get("action") == "try")
    async with database.write() as session:
        job_id = await start_import(session, actor, key, found, mapping, options)
    return RedirectResponse(Links(actor.workspace_slug).members(f"import/jobs/{job_id}"), status_code=303)


async def _again(
    request: Request, found: Survey, given: dict[str, str], keep: Sequence[str], key: str, roles: Sequence[str]
) -> Response:
    context = await _columns_context(found.table, given, keep, roles)
    context |= {"key": key, "file": found.table.source.name, "rows": found.rows, "on_existing": "skip"}
    return page(request, "people/import_columns.html", context, status=422)
