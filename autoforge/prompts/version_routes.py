"""A prompt's history over HTTP: versions, their differences, branches and labels, roll back, merge, rendering."""

from __future__ import annotations

import asyncio
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.access.once import Once
from autoforge.db import ReadSession
from autoforge.errors import Conflict, NotFound
from autoforge.llm.rendering import render_messages
from autoforge.prompts import queries, version_commands, version_queries
from autoforge.prompts.checking import Checker
from autoforge.prompts.content import PromptContent, parse_content
from autoforge.prompts.diff import MISSING, diff_contents
from autoforge.prompts.names import parse_head_name
from autoforge.prompts.schemas import (
    DiffOut,
    HeadIn,
    HeadOut,
    MergeIn,
    MergeOut,
    RenderIn,
    RenderOut,
    RollBackIn,
    SavedOut,
    VersionIn,
    VersionOut,
    VersionPage,
)
from autoforge.web.conditional import Expected, content_tag, not_modified
from autoforge.web.deps import Db
from autoforge.web.paging import listing
from autoforge.web.problems import PROBLEMS, problem
from autoforge.web.responses import budget, json_response, raw_json

router = APIRouter(prefix="/prompts/{prompt_id}", tags=["versions"], responses=PROBLEMS)

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
AskedNumber = Annotated[int, Query(ge=1, le=2**31 - 1)]
Kind = Literal["branch", "label"]


@router.get("/versions", response_model=VersionPage, summary="List versions", openapi_extra=budget(2))
async def list_versions(
    prompt_id: UUID,
    request: Request,
    database: Db,
    actor: Who,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="The `next` of the page before.")] = None,
) -> Response:
    """Newest first, without their contents."""
    async with database.read() as session:
        await queries.must_exist(session, actor.workspace_id, prompt_id)
        found = await version_queries.newest(session, prompt_id, limit + 1, after)
    following = str(found[limit - 1]["number"]) if len(found) > limit else None
    return listing(request, found[:limit], following)


@router.post("/versions", status_code=201, response_model=SavedOut, summary="Save a version")
async def save_version(prompt_id: UUID, body: VersionIn, actor: Who, once: Once) -> Response:
    """Puts a content at the head of a branch. The same content never makes a new version: `is_new` is false then."""
    content = parse_content(body.content, at="/content")
    async with once.write() as session:
        saved = await version_commands.save(
            session, actor, prompt_id, content, branch=body.branch, message=body.message, expected=body.expected
        )
        headers = {"Location": f"/api/v1/prompts/{prompt_id}/versions/{saved.number}"}
        return once.answer(json_response(saved, 201 if saved.is_new else 200, headers))


@router.get("/versions/{number}", response_model=VersionOut, summary="Read a version", openapi_extra=budget(2))
async def read_version(prompt_id: UUID, number: Number, request: Request, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        version = await version_queries.one_of_workspace(session, actor.workspace_id, prompt_id, number)
        if version is None:
            await queries.must_exist(session, actor.workspace_id, prompt_id)
            raise NotFound(f"This prompt has no version {number}.")
    # All else of a version stays as it was written.
    beside = ("content_hash", "latest_score", "latest_model", "author")
    tag = content_tag("\n".join(str(version[name]) for name in beside).encode())
    body = {**version, "content": raw_json(version["content"])}
    return not_modified(request, tag) or json_response(body, headers={"ETag": tag})


@router.post(
    "/versions/{number}/render", response_model=RenderOut, summary="Fill in the variables", openapi_extra=budget(2)
)
async def render(prompt_id: UUID, number: Number, body: RenderIn, database: Db, actor: Who) -> Response:
    """The messages as they would be sent. 422 names every variable that is missing, or is no value as JSON knows them.

    All messages together may take 3 s of computing and have 8,000,000 characters.
    """
    async with database.read() as session:
        await queries.must_exist(session, actor.workspace_id, prompt_id)
        version = await _version(session, prompt_id, number)
    return json_response({"messages": await asyncio.to_thread(_messages, version["content"], body.variables)})


def _messages(content: str, variables: Any) -> list[dict[str, Any]]:
    check = Checker()
    given = check.json(variables, "/variables", alike=False)
    check.finish()
    return render_messages(PromptContent.from_json(content), given)


async def _version(session: ReadSession, prompt_id: UUID, number: int) -> dict[str, Any]:
    version = await version_queries.one(session, prompt_id, number)
    if version is None:
        raise NotFound(f"This prompt has no version {number}.")
    return version


@router.get("/diff", response_model=DiffOut, summary="Compare two versions", openapi_extra=budget(2))
async def diff(prompt_id: UUID, a: AskedNumber, b: AskedNumber, database: Db, actor: Who) -> Response:
    """Word by word, message by message; settings key by key."""
    async with database.read() as session:
        await queries.must_exist(session, actor.workspace_id, prompt_id)
        found = await version_queries.several(session, prompt_id, (a, b))
    for number in (a, b):
        if number not in found:
            raise NotFound(f"This prompt has no version {number}.")
    difference = await asyncio.to_thread(_difference, found[a]["content"], found[b]["content"])
    return json_response({"a": a, "b": b, **difference})


def _difference(old: str, new: str) -> dict[str, Any]:
    found = diff_contents(PromptContent.from_json(old), PromptContent.from_json(new))
    return {"is_equal": found.is_equal, "messages": _shown(found.messages), "changes": _shown(found.changes)}


def _shown(value: Any) -> Any:
    """Dataclasses as JSON objects; what is missing on a side is not there, so that it differs from null."""
    if is_dataclass(value):
        shown = {one.name: getattr(value, one.name) for one in dataclass_fields(value)}
        return {name: _shown(one) for name, one in shown.items() if one is not MISSING}
    return [_shown(one) for one in value] if isinstance(value, tuple) else value


@router.get("/heads", response_model=list[HeadOut], summary="Branches and labels", openapi_extra=budget(2))
async def list_heads(prompt_id: UUID, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        await queries.must_exist(session, actor.workspace_id, prompt_id)
        return json_response(await version_queries.heads(session, prompt_id))


@router.put("/heads/{kind}/{name}", status_code=204, summary="Point a branch or label at a version")
async def move_head(
    prompt_id: UUID, kind: Kind, name: str, body: HeadIn, database: Db, actor: Who, row_version: Expected
) -> Response:
    """Atomic; made when it is not there. With `expected`, 409 when it points elsewhere by now.

    `If-Match` takes the head's own `row_version`, as `GET .../heads` tells it, in quotes: 412 when it has moved since.
    """
    async with database.write() as session:
        await version_commands.move_head(
            session, actor, prompt_id, kind, name, body.number, expected=body.expected, row_version=row_version
        )
    return Response(status_code=204)


@router.delete("/heads/{kind}/{name}", status_code=204, summary="Remove a branch or label")
async def remove_head(
    prompt_id: UUID,
    kind: Kind,
    name: str,
    database: Db,
    actor: Who,
    row_version: Expected,
    expected: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="The number that it must point at.")] = None,
) -> Response:
    """The versions stay. The branch `main` cannot be removed. `expected` and `If-Match` are as for moving it."""
    async with database.write() as session:
        await version_commands.remove_head(
            session, actor, prompt_id, kind, name, expected=expected, row_version=row_version
        )
    return Response(status_code=204)


@router.post("/rollback", status_code=204, summary="Roll a branch back")
async def roll_back(prompt_id: UUID, body: RollBackIn, database: Db, actor: Who) -> Response:
    """Moves the head of a branch to an earlier version. No version is made, and none is lost; no branch is, either."""
    parse_head_name(body.branch, at="/branch")
    async with database.write() as session:
        await version_commands.move_head(
            session, actor, prompt_id, "branch", body.branch, body.number, expected=body.expected, make=False
        )
    return Response(status_code=204)


@router.post("/merge", response_model=MergeOut, summary="Merge a branch into another")
async def merge(prompt_id: UUID, body: MergeIn, request: Request, actor: Who, once: Once) -> Response:
    """200 with the version after the merge; 409 with the `conflicts` in the problem, and then nothing has changed."""
    async with once.write() as session:
        merged = await version_commands.merge_branches(
            session, actor, prompt_id, source=body.source, into=body.into, choices=body.choices, message=body.message
        )
        if not merged.conflicts:
            return once.answer(json_response({"saved": merged.saved, "conflicts": []}))
    conflicts = _shown(tuple(merged.conflicts))
    detail = f"{len(conflicts)} places were changed on both branches; choose a side for each."
    return problem(request, Conflict.status, Conflict.kind, Conflict.title, detail, more={"conflicts": conflicts})
