"""Prompts for people: the list, writing one, reading it, what can be set about it, deleting and bringing back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.db import ReadSession
from autoforge.errors import AutoforgeError, BadInput, Conflict, Stale
from autoforge.prompts import commands, folder_queries, page_forms, queries, version_queries, views
from autoforge.prompts.commands import Draft
from autoforge.prompts.queries import Listing
from autoforge.prompts.schemas import PromptEdit
from autoforge.web.deps import Db
from autoforge.web.forms import PageId, Typed, checked
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.paging import After, Words, pager
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}/prompts")

PER_PAGE = 50
PER_SEARCH = 30
_EDITABLE = ("name", "title", "description", "status")

Status = Literal["", "draft", "active", "archived", "deleted"]


@router.get("", openapi_extra=budget(3))
async def list_prompts(
    request: Request,
    database: Db,
    actor: Who,
    q: Annotated[str, Query(max_length=1_000)] = "",
    folder: Words = "",
    status: Status = "",
    sort: str = "-updated_at",
    after: After = None,
) -> Response:
    """All prompts, those of a folder, or what a search finds; folders are shown where one browses."""
    folder, words = folder.strip("/"), q.strip()
    asked = Listing(sort=sort, status=status or None, folder=folder or None, words=words or None)
    async with database.read() as session:
        limit = PER_SEARCH if words else PER_PAGE
        rows, following = await queries.page(session, actor.workspace_id, asked, limit, after)
        is_browsing = not (words or status or after)
        folders = await folder_queries.below(session, actor.workspace_id, folder) if is_browsing else []
        shown = await _with_snippets(session, rows, words)
    if status == "deleted":
        shown = [{**row, "status": "deleted"} for row in shown]
    about = {"prompts": shown, "folders": folders, "folder": folder, "filtered": not is_browsing or bool(folder)}
    return page(request, "prompts/list.html", {**about, "pager": pager(following, len(rows))})


async def _with_snippets(session: ReadSession, rows: list[dict[str, Any]], words: str) -> list[dict[str, Any]]:
    if not words or not rows:
        return [{**row, "snippet": None} for row in rows]
    contents = await version_queries.beginnings(session, [row["id"] for row in rows])
    return [views.found(row, contents.get(row["id"]), words) for row in rows]


@router.get("/new", openapi_extra=budget(0))
async def new_prompt(request: Request, _actor: Who, folder: Words = "") -> Response:
    folder = folder.strip("/")
    return _new(request, page_forms.blank_values(name=f"{folder}/" if folder else ""), {})


def _new(request: Request, values: Mapping[str, Any], errors: Mapping[str, str], status: int = 200) -> Response:
    folder = values["name"].rpartition("/")[0]
    context = {"folder": folder, "values": values, "errors": errors}
    return page(request, "prompts/new.html", context, status=status)


@router.post("")
async def create_prompt(request: Request, database: Db, actor: Who, fields: Typed) -> Response:
    values = page_forms.typed_values(fields)
    if not page_forms.is_saving(fields):
        return _new(request, values, {})
    try:
        draft = _draft(values)
        async with database.write() as session:
            made = await commands.create(session, actor, draft)
    except (BadInput, Conflict) as error:
        return _new(request, values, page_forms.errors_of(error, "name"), error.status)
    return _saved(actor, made.prompt_id, f"Created {draft.name}.", page_forms.warning_of(draft.content))


def _draft(values: Mapping[str, Any]) -> Draft:
    about = checked(PromptEdit, {"name": values["name"].strip(), "title": values["title"].strip()})
    return Draft(about.name, page_forms.content_of(values), title=about.title)


def _saved(actor: Actor, prompt_id: UUID, text: str, warning: str) -> Response:
    address = Links(actor.workspace_slug).prompt(prompt_id)
    return seen(address, f"{text} It cannot be rendered yet: {warning}", "info") if warning else seen(address, text)


@router.get("/{prompt_id}", openapi_extra=budget(3))
async def show_prompt(prompt_id: PageId, request: Request, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        prompt = await queries.one(session, actor.workspace_id, prompt_id)
        heads = await version_queries.heads(session, prompt_id)
        version = await version_queries.one(session, prompt_id, prompt["head_number"]) or {}
    shown = {"prompt": views.framed(prompt, heads), "version": views.shown_version(version, heads)}
    return page(request, "prompts/show.html", {**shown, "rendered": None, "values": {}, "render_errors": {}})


@router.get("/{prompt_id}/settings", openapi_extra=budget(1))
async def prompt_settings(prompt_id: PageId, request: Request, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        prompt = await queries.one(session, actor.workspace_id, prompt_id)
    return _settings(request, prompt, _stored(prompt), {})


def _settings(
    request: Request,
    prompt: Mapping[str, Any],
    values: Mapping[str, Any],
    errors: Mapping[str, str],
    status: int = 200,
) -> Response:
    context = {"prompt": views.framed(prompt), "values": values, "errors": errors}
    return page(request, "prompts/settings.html", context, status=status)


@router.post("/{prompt_id}/settings")
@router.post("/{prompt_id}/rename")
@router.post("/{prompt_id}/status")
async def edit_prompt(prompt_id: PageId, request: Request, database: Db, actor: Who, fields: Typed) -> Response:
    """Sets what the form has a field for: all of it, or only the name, or only the status."""
    async with database.read() as session:
        prompt = await queries.one(session, actor.workspace_id, prompt_id)
    try:
        valid = checked(PromptEdit, _changes(fields, _stored(prompt))).model_dump(exclude_unset=True)
        expected = page_forms.row_seen(fields)
        async with database.write() as session:
            await commands.edit(session, actor, prompt_id, valid, expected=expected)
    except (BadInput, Conflict, Stale) as error:
        async with database.read() as session:
            prompt = await queries.one(session, actor.workspace_id, prompt_id)
        return _settings(request, prompt, {**_stored(prompt), **fields}, _settings_errors(error), error.status)
    return seen(Links(actor.workspace_slug).prompt(prompt_id, "settings"), "Saved.")


def _changes(fields: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, Any]:
    """What is other than the form showed it; the rest stays as it is, line ends and tags with commas included."""
    typed = {name: page_forms.unless_shown(fields[name], stored[name]) for name in stored if name in fields}
    changes: dict[str, Any] = {name: text for name, text in typed.items() if text != stored[name]}
    return {**changes, "tags": page_forms.tags_of(changes["tags"])} if "tags" in changes else changes


def _stored(prompt: Mapping[str, Any]) -> dict[str, str]:
    return {**{name: prompt[name] for name in _EDITABLE}, "tags": ", ".join(prompt["tags"])}


def _settings_errors(error: AutoforgeError) -> dict[str, str]:
    """The form comes back with the row version as it is now, so that saving again is a decision to overwrite."""
    if isinstance(error, Stale):
        return {"": "Somebody changed this prompt since you opened the form. Saving again replaces what they set."}
    return page_forms.errors_of(error, "name" if isinstance(error, Conflict) else "")


@router.post("/{prompt_id}/delete")
async def delete_prompt(prompt_id: PageId, database: Db, actor: Who) -> Response:
    links = Links(actor.workspace_slug)
    async with database.write() as session:
        name = (await commands.owned(session, actor, prompt_id)).name
        await commands.delete(session, actor, prompt_id)
    return seen(links.prompts(), f"Deleted {name}.", undo=links.prompt(prompt_id, "restore"))


@router.post("/{prompt_id}/restore")
async def restore_prompt(prompt_id: PageId, database: Db, actor: Who) -> Response:
    address = Links(actor.workspace_slug).prompt(prompt_id)
    try:
        async with database.write() as session:
            await commands.restore(session, actor, prompt_id)
    except Conflict:
        text = "Another prompt has taken its name since. Rename that one, then restore this one."
        return seen(address, text, "failed")
    return seen(address, "Restored with all its versions.")
