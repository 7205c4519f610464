"""Prompts over HTTP: list, make, read, change, delete, bring back; and the one that programs call most: serve."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.access.members import USERS
from autoforge.access.once import Once
from autoforge.cache import Kind
from autoforge.db import ReadSession
from autoforge.errors import NotFound
from autoforge.prompts import commands, queries, serving, version_queries
from autoforge.prompts.commands import Draft
from autoforge.prompts.content import parse_content
from autoforge.prompts.names import Reference, parse_reference
from autoforge.prompts.queries import Listing
from autoforge.prompts.schemas import CreatedOut, PromptEdit, PromptIn, PromptOut, PromptPage, Served
from autoforge.web.conditional import Expected, content_tag, etag, not_modified
from autoforge.web.deps import App, Db
from autoforge.web.fields import chosen
from autoforge.web.paging import Paged, remembered_listing
from autoforge.web.problems import PROBLEMS
from autoforge.web.responses import budget, json_response, raw_json
from autoforge.web.text import Line

router = APIRouter(prefix="/prompts", tags=["prompts"], responses=PROBLEMS)


@router.get("", response_model=PromptPage, summary="List prompts", openapi_extra=budget(1))
async def list_prompts(
    request: Request,
    services: App,
    actor: Who,
    page: Paged,
    status: Annotated[str | None, Query(pattern="^(draft|active|archived|deleted)$")] = None,
    folder: Annotated[Line | None, Query(description="Only names below this folder.")] = None,
    owner: Annotated[str | None, Query(pattern="^me$", description="`me`: only one's own.")] = None,
    q: Annotated[str | None, Query(max_length=1_000, description="Words in names, descriptions and contents.")] = None,
    sort: Annotated[str, Query(description="created_at, updated_at or name; a minus sorts downwards.")] = "-created_at",
    fields: Annotated[str | None, Query(max_length=500, description="Only these fields, separated by commas.")] = None,
) -> Response:
    """The prompts of the workspace with their labels and latest evaluation, newest first unless asked otherwise.

    A search (`q`) always answers newest first, and what is deleted is listed by when it was, latest first.
    """
    asked = Listing(
        sort=sort,
        status=status,
        folder=folder,
        owner_id=actor.user_id if owner else None,
        words=q,
        fields=chosen(fields, queries.ITEM_FIELDS),
    )

    async def read() -> tuple[list[dict[str, Any]], str | None]:
        async with services.database.read() as session:
            return await queries.page(session, actor.workspace_id, asked, page.limit, page.after)

    about, tags = (actor.workspace_id, asked.owner_id), (f"prompts:{actor.workspace_id.hex}", USERS)
    return await remembered_listing(request, services.cache, about, tags, read)


@router.post("", status_code=201, response_model=CreatedOut, summary="Create a prompt")
async def create_prompt(body: PromptIn, actor: Who, once: Once) -> Response:
    """Makes the prompt with version 1 on the branch `main`, in one transaction."""
    draft = Draft(**{**body.model_dump(), "content": parse_content(body.content, at="/content")})
    async with once.write() as session:
        made = await commands.create(session, actor, draft)
        headers = {"Location": f"/api/v1/prompts/{made.prompt_id}", "ETag": etag(1)}
        return once.answer(json_response({"id": made.prompt_id, "version_id": made.version_id}, 201, headers))


@router.get(
    "/served/{reference:path}",
    response_model=Served,
    summary="The version that a reference means",
    openapi_extra=budget(1),
)
async def serve(reference: str, request: Request, services: App, actor: Who) -> Response:
    """`NAME`, `NAME@label`, `NAME@branch` or `NAME@3`: the content to send to a model.

    `NAME` alone is its branch `main`. A label wins over a branch of the same name; no label is called `main`.

    Answered from memory when nothing has changed. The ETag is a hash of the answer: a label that moves changes it, and
    so does whatever else is told with the content.
    """
    wanted = parse_reference(reference, at="{reference}")
    key = serving.key_of(actor.workspace_id, wanted)
    tags = commands.served_tags(actor.workspace_id, wanted.name)

    async def load() -> tuple[str, bytes] | None:
        async with services.database.read() as session:
            return await _served(session, actor.workspace_id, wanted)

    found = await services.cache.get_or_load(key, Kind.PROMPT, tags, load)
    if found is None:
        raise NotFound(f"There is no prompt {reference!r} in this workspace.")
    tag, body = found
    return not_modified(request, tag) or serving.response_of(tag, body)


async def _served(session: ReadSession, workspace_id: UUID, wanted: Reference) -> tuple[str, bytes] | None:
    row = await version_queries.referenced(session, workspace_id, wanted)
    if row is None:
        return None
    body = bytes(json_response({**row, "content": raw_json(row["content"])}).body)
    return content_tag(body), body


@router.get("/{prompt_id}", response_model=PromptOut, summary="Read a prompt", openapi_extra=budget(3))
async def read_prompt(prompt_id: UUID, request: Request, database: Db, actor: Who) -> Response:
    """The prompt with its branches and labels, and the version at the head of `main`."""
    async with database.read() as session:
        prompt, beside = await queries.one_with_beside(session, actor.workspace_id, prompt_id)
        tag = etag(prompt["row_version"], content_tag(beside.encode())[1:-1])
        if (answer := not_modified(request, tag)) is not None:
            return answer
        heads = await version_queries.heads(session, prompt_id)
        head = await version_queries.one(session, prompt_id, prompt["head_number"])
    return json_response(_detail(prompt, heads, head or {}), headers={"ETag": tag})


def _detail(prompt: dict[str, Any], heads: list[dict[str, Any]], head: dict[str, Any]) -> dict[str, Any]:
    return {**prompt, "heads": heads, "head": {**head, "content": raw_json(head["content"])}}


@router.patch("/{prompt_id}", status_code=204, summary="Change a prompt's name and texts")
async def edit_prompt(prompt_id: UUID, body: PromptEdit, database: Db, actor: Who, expected: Expected) -> Response:
    """Only what is in the body changes. `If-Match` guards against overwriting somebody else's change (412)."""
    changes = body.model_dump(exclude_unset=True)
    async with database.write() as session:
        await commands.edit(session, actor, prompt_id, changes, expected=expected)
    return Response(status_code=204)


@router.delete("/{prompt_id}", status_code=204, summary="Delete a prompt")
async def delete_prompt(prompt_id: UUID, database: Db, actor: Who, expected: Expected) -> Response:
    """Soft: versions and evaluations are kept, the name becomes free, and `restore` undoes it."""
    async with database.write() as session:
        await commands.delete(session, actor, prompt_id, expected=expected)
    return Response(status_code=204)


@router.post("/{prompt_id}/restore", status_code=204, summary="Bring a deleted prompt back")
async def restore_prompt(prompt_id: UUID, database: Db, actor: Who) -> Response:
    """409 when another prompt has taken its name since."""
    async with database.write() as session:
        await commands.restore(session, actor, prompt_id)
    return Response(status_code=204)
