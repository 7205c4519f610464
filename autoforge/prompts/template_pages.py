"""Templates for people: one's own and public ones, one of them, and making a prompt from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.db import Database
from autoforge.errors import BadInput, Conflict
from autoforge.prompts import page_forms, queries, template_commands, template_queries, version_queries, views
from autoforge.prompts.commands import Created
from autoforge.prompts.content import PromptContent
from autoforge.prompts.names import folder_of, slug_of
from autoforge.prompts.schemas import TemplateAbout
from autoforge.prompts.template_commands import TemplateDraft
from autoforge.web.deps import Db
from autoforge.web.forms import PageId, Posted, checked
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.paging import After, Words, pager
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}")

PER_PAGE = 50
_NAMES_TRIED = 50


@router.get("/templates", openapi_extra=budget(2))
async def list_templates(
    request: Request,
    database: Db,
    actor: Who,
    category: Words = "",
    visibility: Literal["", "private", "public"] = "",
    sort: str = "",
    after: After = None,
) -> Response:
    order = sort if sort in ("-created_at", "-usage_count") else "-created_at"
    async with database.read() as session:
        rows, following = await template_queries.page(
            session, actor.workspace_id, order, category or None, PER_PAGE, after, visibility
        )
        categories = await template_queries.categories(session, actor.workspace_id)
    context = {
        "templates": rows,
        "categories": categories,
        "pager": pager(following, len(rows)),
        "filtered": bool(category or visibility or after),
    }
    return page(request, "templates/list.html", context)


@router.get("/templates/{template_id}", openapi_extra=budget(1))
async def show_template(template_id: PageId, request: Request, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        template = await template_queries.one(session, actor.workspace_id, template_id)
    return _show(request, template, _name_of(template["name"]), {})


def _show(
    request: Request, template: Mapping[str, Any], name: str, errors: Mapping[str, str], status: int = 200
) -> Response:
    version = views.laid_out(PromptContent.from_json(template["content"]))
    context = {"template": template, "version": version, "name": name, "errors": errors}
    return page(request, "templates/show.html", context, status=status)


@router.post("/templates/{template_id}/use")
async def use_template(template_id: PageId, request: Request, database: Db, actor: Who, fields: Posted) -> Response:
    """Makes a prompt: under the name that was typed, or under the template's own, numbered when it is taken."""
    links = Links(actor.workspace_slug)
    try:
        if "name" in fields:
            made = await _use(database, actor, template_id, fields["name"].strip())
        else:
            made = await _use_under_free_name(database, actor, template_id)
    except (BadInput, Conflict) as error:
        async with database.read() as session:
            template = await template_queries.one(session, actor.workspace_id, template_id)
        return _show(request, template, fields.get("name", ""), page_forms.errors_of(error, "name"), error.status)
    address = links.prompt(made.prompt_id)
    return seen(address, "Made from the template. It is yours to change.", undo=links.prompt(made.prompt_id, "delete"))


def _name_of(template: str) -> str:
    """What a prompt made from it is called unless one says otherwise: its folders stay, the rest is made plain."""
    folder = folder_of(template)
    return f"{folder}{slug_of(template[len(folder) :])}"


async def _use(database: Database, actor: Actor, template_id: UUID, name: str) -> Created:
    async with database.write() as session:
        return await template_commands.use(session, actor, template_id, name)


async def _use_under_free_name(database: Database, actor: Actor, template_id: UUID) -> Created:
    async with database.read() as session:
        name = _name_of((await template_queries.one(session, actor.workspace_id, template_id))["name"])
    for number in range(1, _NAMES_TRIED):
        try:
            return await _use(database, actor, template_id, name if number == 1 else f"{name}-{number}")
        except Conflict:
            continue
    return await _use(database, actor, template_id, f"{name}-{_NAMES_TRIED}")


@router.post("/prompts/{prompt_id}/template")
async def make_template(prompt_id: PageId, database: Db, actor: Who, fields: Posted) -> Response:
    """A template with the content that the prompt has now."""
    actor.needs("templates:write")
    links = Links(actor.workspace_slug)
    async with database.read() as session:
        prompt = await queries.one(session, actor.workspace_id, prompt_id)
        version = await version_queries.one(session, prompt_id, prompt["head_number"]) or {}
    try:
        draft = _draft(prompt, PromptContent.from_json(version["content"]), fields)
        async with database.write() as session:
            template_id = await template_commands.create(session, actor, draft)
    except (BadInput, Conflict) as error:
        return seen(links.prompt(prompt_id, "settings"), error.detail, "failed")
    undo = links.template(template_id, "delete")
    return seen(links.template(template_id), "Made a template from the current version.", undo=undo)


def _draft(prompt: Mapping[str, Any], content: PromptContent, fields: Mapping[str, str]) -> TemplateDraft:
    visibility = "public" if fields.get("public") else "private"
    about = checked(TemplateAbout, {"category": fields.get("category", "").strip()})
    description = prompt["description"] or prompt["title"]
    return TemplateDraft(prompt["name"], content, description, about.category, visibility)


@router.post("/templates/{template_id}/delete")
async def delete_template(template_id: PageId, database: Db, actor: Who) -> Response:
    links = Links(actor.workspace_slug)
    async with database.write() as session:
        await template_commands.delete(session, actor, template_id)
    return seen(links.templates(), "Deleted the template.", undo=links.template(template_id, "restore"))


@router.post("/templates/{template_id}/restore")
async def restore_template(template_id: PageId, database: Db, actor: Who) -> Response:
    links = Links(actor.workspace_slug)
    try:
        async with database.write() as session:
            await template_commands.restore(session, actor, template_id)
    except Conflict as error:
        return seen(links.templates(), error.detail, "failed")
    return seen(links.template(template_id), "The template is back.")
