"""Templates over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.access.once import Once
from autoforge.cache import Kind, cache_key
from autoforge.prompts import template_commands, template_queries
from autoforge.prompts.content import parse_content
from autoforge.prompts.schemas import Content, CreatedOut, Strict
from autoforge.prompts.template_commands import TemplateDraft
from autoforge.web.conditional import Expected, etag, not_modified
from autoforge.web.deps import App, Db
from autoforge.web.paging import Paged, listing
from autoforge.web.problems import PROBLEMS
from autoforge.web.responses import budget, json_response, raw_json
from autoforge.web.text import Line, Prose

router = APIRouter(prefix="/templates", tags=["templates"], responses=PROBLEMS)

Visibility = Literal["private", "public"]
Sort = Literal["-created_at", "-usage_count"]


class TemplateIn(Strict):
    name: Line
    content: Content
    description: Prose = ""
    category: Line = ""
    visibility: Visibility = "private"


class TemplateEdit(Strict):
    """What is not there stays as it is; the values here only stand for it. null is no value of any of them."""

    name: Line = Field(default_factory=str)
    content: Content = Field(default_factory=str)
    description: Prose = Field(default_factory=str)
    category: Line = Field(default_factory=str)
    visibility: Visibility = Field(default_factory=lambda: "private")


class UseIn(Strict):
    name: Line


class TemplateItem(BaseModel):
    id: UUID
    name: str
    description: str
    category: str
    visibility: Visibility
    usage_count: int
    is_own: bool
    created_at: datetime
    updated_at: datetime
    row_version: int


class TemplatePage(BaseModel):
    items: list[TemplateItem]
    next: str | None


class TemplateOut(TemplateItem):
    content: dict[str, Any]


class TemplateCreated(BaseModel):
    id: UUID


@router.get("", response_model=TemplatePage, summary="List templates", openapi_extra=budget(1))
async def list_templates(
    request: Request,
    services: App,
    actor: Who,
    page: Paged,
    sort: Annotated[Sort, Query(description="Newest or most used first.")] = "-created_at",
    category: Annotated[Line | None, Query()] = None,
) -> Response:
    """The workspace's own templates and everybody's public ones."""
    key = cache_key("templates", actor.workspace_id, sort, category, page.limit, page.after)
    tags = (f"templates:{actor.workspace_id.hex}", "templates:public")

    async def load() -> tuple[list[dict[str, Any]], str | None]:
        async with services.database.read() as session:
            return await template_queries.page(session, actor.workspace_id, sort, category, page.limit, page.after)

    items, following = await services.cache.get_or_load(key, Kind.TEMPLATES, tags, load)
    return listing(request, items, following)


@router.post("", status_code=201, response_model=TemplateCreated, summary="Create a template")
async def create_template(body: TemplateIn, actor: Who, once: Once) -> Response:
    draft = TemplateDraft(**{**body.model_dump(), "content": parse_content(body.content, at="/content")})
    async with once.write() as session:
        template_id = await template_commands.create(session, actor, draft)
        headers = {"Location": f"/api/v1/templates/{template_id}", "ETag": etag(1)}
        return once.answer(json_response({"id": template_id}, 201, headers))


@router.get("/{template_id}", response_model=TemplateOut, summary="Read a template", openapi_extra=budget(1))
async def read_template(template_id: UUID, request: Request, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        row = await template_queries.one(session, actor.workspace_id, template_id)
    tag = etag(row["row_version"], row["usage_count"])
    body = {**row, "content": raw_json(row["content"])}
    return not_modified(request, tag) or json_response(body, headers={"ETag": tag})


@router.patch("/{template_id}", status_code=204, summary="Change a template")
async def edit_template(
    template_id: UUID, body: TemplateEdit, database: Db, actor: Who, expected: Expected
) -> Response:
    changes = body.model_dump(exclude_unset=True)
    if "content" in changes:
        changes["content"] = parse_content(changes["content"], at="/content")
    async with database.write() as session:
        await template_commands.edit(session, actor, template_id, changes, expected)
    return Response(status_code=204)


@router.delete("/{template_id}", status_code=204, summary="Delete a template")
async def delete_template(template_id: UUID, database: Db, actor: Who, expected: Expected) -> Response:
    """Soft; `restore` undoes it. Prompts that were made from it stay."""
    async with database.write() as session:
        await template_commands.delete(session, actor, template_id, expected)
    return Response(status_code=204)


@router.post("/{template_id}/restore", status_code=204, summary="Bring a deleted template back")
async def restore_template(template_id: UUID, database: Db, actor: Who) -> Response:
    async with database.write() as session:
        await template_commands.restore(session, actor, template_id)
    return Response(status_code=204)


@router.post("/{template_id}/use", status_code=201, response_model=CreatedOut, summary="Make a prompt from a template")
async def use_template(template_id: UUID, body: UseIn, actor: Who, once: Once) -> Response:
    """Makes the prompt and counts the use, in one transaction."""
    async with once.write() as session:
        made = await template_commands.use(session, actor, template_id, body.name)
        headers = {"Location": f"/api/v1/prompts/{made.prompt_id}"}
        return once.answer(json_response({"id": made.prompt_id, "version_id": made.version_id}, 201, headers))
