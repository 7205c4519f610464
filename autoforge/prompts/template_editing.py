"""Writing a template on a page, and changing one of the workspace: the same form for both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.errors import BadInput, Conflict, NotFound, Stale
from autoforge.prompts import page_forms, template_commands, template_queries
from autoforge.prompts.content import PromptContent
from autoforge.prompts.template_commands import TemplateDraft
from autoforge.web.deps import Db
from autoforge.web.forms import PageId, Typed, errors_by_field, whole
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}/templates")

_LONGEST = {"description": 2_000, "category": 200}


@router.get("/new", openapi_extra=budget(0))
async def new_template(request: Request, actor: Who) -> Response:
    actor.needs("templates:write")
    values = page_forms.blank_values(category="", row_version="", public="")
    return _form(request, None, values, {})


def _form(
    request: Request,
    template: Mapping[str, Any] | None,
    values: Mapping[str, Any],
    errors: Mapping[str, str],
    status: int = 200,
) -> Response:
    context = {"template": template, "values": values, "errors": errors}
    return page(request, "templates/edit.html", context, status=status)


@router.post("")
async def create_template(request: Request, database: Db, actor: Who, fields: Typed) -> Response:
    values = _typed(fields)
    if not page_forms.is_saving(fields):
        return _form(request, None, values, {})
    try:
        async with database.write() as session:
            template_id = await template_commands.create(session, actor, TemplateDraft(**_changes(values)))
    except (BadInput, Conflict) as error:
        return _form(request, None, values, _errors(error), error.status)
    return seen(Links(actor.workspace_slug).template(template_id), "Made the template.")


def _typed(fields: Mapping[str, str]) -> dict[str, Any]:
    more = {name: fields.get(name, "") for name in ("category", "public", "row_version")}
    return page_forms.typed_values(fields) | more


def _changes(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the form says of a template. BadInput with all that is wrong with its content, or with a text."""
    texts = {name: values[name].strip() for name in ("name", "description", "category")}
    for name, most in _LONGEST.items():
        if len(texts[name]) > most:
            raise BadInput.at(f"/{name}", f"This has more than {most:,} characters.")
    visibility = "public" if values["public"] else "private"
    return {**texts, "visibility": visibility, "content": page_forms.content_of(values)}


def _unless_shown(changes: dict[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    """The changes, with what the form showed of the template and nobody touched as it is stored."""
    texts = {name: page_forms.unless_shown(changes[name], template[name]) for name in ("name", *_LONGEST)}
    content = page_forms.as_stored(changes["content"], PromptContent.from_json(template["content"]))
    return {**changes, **texts, "content": content}


def _errors(error: BadInput | Conflict | Stale) -> dict[str, str]:
    if isinstance(error, Stale):
        return {"": error.detail}
    return errors_by_field(error, lambda at: "category" if at == "/category" else page_forms.field_of(at), "name")


@router.get("/{template_id}/edit", openapi_extra=budget(1))
async def edit_template(template_id: PageId, request: Request, database: Db, actor: Who) -> Response:
    actor.needs("templates:write")
    async with database.read() as session:
        template = await template_queries.one(session, actor.workspace_id, template_id)
    if not template["is_own"]:
        raise NotFound(f"This workspace has no template with the id {template_id}; use a copy of it.")
    about = {name: template[name] for name in ("name", "description", "category")}
    about |= {"public": template["visibility"] == "public", "row_version": str(template["row_version"])}
    values = page_forms.values_of(PromptContent.from_json(template["content"]), **about)
    return _form(request, template, values, {})


@router.post("/{template_id}/edit")
async def save_template(template_id: PageId, request: Request, database: Db, actor: Who, fields: Typed) -> Response:
    values = _typed(fields)
    async with database.read() as session:
        template = await template_queries.one(session, actor.workspace_id, template_id)
    if not page_forms.is_saving(fields):
        return _form(request, template, values, {})
    try:
        changes, expected = _unless_shown(_changes(values), template), whole(fields, "row_version")
        async with database.write() as session:
            await template_commands.edit(session, actor, template_id, changes, expected)
    except (BadInput, Conflict, Stale) as error:
        return _form(request, template, values, _errors(error), error.status)
    return seen(Links(actor.workspace_slug).template(template_id), "Saved. Prompts made from it stay as they are.")
