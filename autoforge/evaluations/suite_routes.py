"""Suites over HTTP: list, make, import, read, change, delete and bring back; and their cases."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import JsonValue
from starlette.datastructures import UploadFile
from starlette.responses import Response

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.access.once import Once
from autoforge.errors import BadInput
from autoforge.evaluations import suite_commands, suite_queries
from autoforge.evaluations.config import EvaluationConfig
from autoforge.evaluations.results import case_fields
from autoforge.evaluations.schemas import (
    CaseCreated,
    CasePage,
    SuiteCreated,
    SuiteEdit,
    SuiteIn,
    SuiteItem,
    SuitePage,
)
from autoforge.evaluations.suite_imports import case_of_test, config_of_tests, config_of_upload
from autoforge.web.conditional import Expected, etag, not_modified
from autoforge.web.deps import App, Db
from autoforge.web.fields import chosen
from autoforge.web.idempotency import Idempotent
from autoforge.web.paging import Paged, listing, remembered_listing
from autoforge.web.problems import PROBLEMS
from autoforge.web.responses import budget, json_response
from autoforge.web.text import Line

router = APIRouter(prefix="/suites", tags=["suites"], responses=PROBLEMS)

_NOTICES = 100
_KINDS = {
    "application/json": ".json",
    "application/yaml": ".yaml",
    "application/x-yaml": ".yaml",
    "text/yaml": ".yaml",
    "text/csv": ".csv",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "A promptfoo configuration (YAML, JSON) or a file of tests (a list, JSON Lines, CSV).",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                }
            },
            **{kind: {"schema": {"type": "string"}} for kind in _KINDS},
        },
    }
}


@router.get("", response_model=SuitePage, summary="List suites", openapi_extra=budget(1))
async def list_suites(
    request: Request,
    services: App,
    actor: Who,
    page: Paged,
    sort: Literal["-created_at", "created_at", "name", "-name"] = "-created_at",
    q: Annotated[Line | None, Query(description="Looked for in names.")] = None,
    fields: Annotated[str | None, Query(max_length=500, description="Only these fields, separated by commas.")] = None,
) -> Response:
    """Suites with the number of their cases and runs, and the score of the latest run."""
    asked = chosen(fields, suite_queries.FIELDS)
    place = (actor.workspace_id, page.limit, page.after)

    async def read() -> tuple[list[dict[str, Any]], str | None]:
        async with services.database.read() as session:
            return await suite_queries.page(session, *place, sort=sort, words=q, fields=asked)

    tags = (f"suites:{actor.workspace_id.hex}",)
    return await remembered_listing(request, services.cache, (actor.workspace_id,), tags, read)


@router.post("", status_code=201, response_model=SuiteCreated, summary="Store a suite")
async def store_suite(body: SuiteIn, actor: Who, once: Once) -> Response:
    """Makes the suite of this name hold exactly these cases; a case that was there before keeps its id."""
    config = await asyncio.to_thread(config_of_tests, body.tests, body.default_test)
    return await _stored(once, actor, body.name, body.description, config)


@router.post(
    "/import", status_code=201, response_model=SuiteCreated, summary="Import a suite from a file", openapi_extra=_BODY
)
async def import_suite(
    request: Request,
    actor: Who,
    once: Once,
    name: Annotated[
        Line | None, Query(description="The suite's name (default: the configuration's description).")
    ] = None,
) -> Response:
    """promptfoo configurations and files of tests. Files that they name are not read; `notices` say so."""
    data, filename = await _uploaded(request)
    config = await asyncio.to_thread(config_of_upload, data, filename)
    if not config.cases:
        reasons = "".join(f" {notice}." for notice in config.notices[:3])
        raise BadInput(f"{filename} holds no test cases.{reasons}")
    title = name or " ".join(config.name.split())[: suite_commands.LONGEST_NAME]
    return await _stored(once, actor, title, "" if config.description == title else config.description or "", config)


async def _uploaded(request: Request) -> tuple[bytes, str]:
    """The bytes and their name: of the form's first file, or of the body itself with the name its type tells."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        if kind not in _KINDS:
            raise BadInput(f"The content type is {kind or 'missing'}; send a form with a file, or {', '.join(_KINDS)}.")
        return await request.body(), f"upload{_KINDS[kind]}"
    async with request.form(max_files=1, max_fields=10) as form:
        for value in form.values():
            if isinstance(value, UploadFile):
                return await value.read(), value.filename or "upload.yaml"
    raise BadInput.at("/file", "The form holds no file.")


async def _stored(once: Idempotent, actor: Actor, name: str, description: str, config: EvaluationConfig) -> Response:
    notices = [str(notice) for notice in config.notices[:_NOTICES]]
    async with once.write(bulk=True) as session:
        stored = await suite_commands.store_suite(session, actor, name, description, config.cases)
        body = {"id": stored.suite_id, "cases": len(stored.case_ids), "notices": notices}
        return once.answer(json_response(body, 201, {"Location": f"/api/v1/suites/{stored.suite_id}"}))


@router.get("/{suite_id}", response_model=SuiteItem, summary="Read a suite", openapi_extra=budget(1))
async def read_suite(suite_id: UUID, request: Request, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        row = await suite_queries.one(session, actor.workspace_id, suite_id)
    tag = etag(row.row_version, row.evaluations, row.latest_score)
    return not_modified(request, tag) or json_response(dict(row._mapping), headers={"ETag": tag})


@router.patch("/{suite_id}", status_code=204, summary="Change a suite")
async def edit_suite(suite_id: UUID, body: SuiteEdit, database: Db, actor: Who, expected: Expected) -> Response:
    """Only what is in the body changes. `If-Match` guards against overwriting somebody else's change (412)."""
    changes = body.model_dump(include={"name", "description"}, exclude_unset=True, exclude_none=True)
    config = None if body.tests is None else await asyncio.to_thread(config_of_tests, body.tests, None)
    async with database.write(bulk=config is not None) as session:
        await suite_commands.edit_suite(session, actor, suite_id, changes, expected=expected)
        if config is not None:
            await suite_commands.replace_cases(session, actor, suite_id, config.cases)
    return Response(status_code=204)


@router.delete("/{suite_id}", status_code=204, summary="Delete a suite")
async def delete_suite(suite_id: UUID, database: Db, actor: Who, expected: Expected) -> Response:
    """Soft: runs and their results stay, and `restore` undoes it."""
    async with database.write() as session:
        await suite_commands.delete_suite(session, actor, suite_id, expected=expected)
    return Response(status_code=204)


@router.post("/{suite_id}/restore", status_code=204, summary="Bring a deleted suite back")
async def restore_suite(suite_id: UUID, database: Db, actor: Who) -> Response:
    """409 when another suite has taken its name since."""
    async with database.write() as session:
        await suite_commands.restore_suite(session, actor, suite_id)
    return Response(status_code=204)


@router.get("/{suite_id}/cases", response_model=CasePage, summary="List cases", openapi_extra=budget(2))
async def list_cases(
    suite_id: UUID,
    request: Request,
    database: Db,
    actor: Who,
    page: Paged,
    q: Annotated[Line | None, Query(description="Looked for in names and contents.")] = None,
) -> Response:
    """In their order."""
    async with database.read() as session:
        await suite_queries.check(session, actor.workspace_id, suite_id)
        found = await suite_queries.cases(session, suite_id, page.limit, page.after, words=q)
    return listing(request, [case_item(row) for row in found.rows], found.next)


def case_item(row: Any) -> dict[str, Any]:
    """A case for JSON."""
    return {"id": row.id, "position": row.position, "name": row.name, **case_fields(row.content)}


@router.put("/{suite_id}/cases/{case_id}", response_model=CaseCreated, summary="Replace a case")
async def edit_case(suite_id: UUID, case_id: UUID, body: dict[str, JsonValue], database: Db, actor: Who) -> Response:
    """Puts another test (in promptfoo's shape) in its place, with an id of its own: earlier results keep their case."""
    case = await asyncio.to_thread(case_of_test, body)
    async with database.write() as session:
        made = await suite_commands.edit_case(session, actor, suite_id, case_id, case)
    return json_response({"id": made})
