"""Versions for people: one of them, filled in, two of them compared, and writing a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.db import Database, ReadSession, WriteSession
from autoforge.errors import AutoforgeError, BadInput, Conflict, FieldError, NotFound
from autoforge.llm.rendering import render_messages
from autoforge.prompts import (
    commands,
    head_pages,
    merge_pages,
    page_forms,
    queries,
    version_commands,
    version_queries,
    views,
)
from autoforge.prompts.commands import MAIN
from autoforge.prompts.content import PromptContent
from autoforge.prompts.names import parse_head_name
from autoforge.prompts.schemas import VersionMessage
from autoforge.prompts.version_commands import Saved
from autoforge.web.deps import Db
from autoforge.web.forms import PageId, PageNumber, Posted, Typed, checked, whole
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.responses import budget

router = APIRouter()
_routes = APIRouter(prefix="/w/{workspace}/prompts/{prompt_id}")

PICKED = 200

Number = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
BranchName = Annotated[str, Query(max_length=200)]


@_routes.get("/versions/{number}", openapi_extra=budget(4))
async def show_version(prompt_id: PageId, number: PageNumber, request: Request, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        context = await _version(session, actor, prompt_id, number)
    return _one(request, context)


async def _version(session: ReadSession, actor: Actor, prompt_id: UUID, number: int) -> dict[str, Any]:
    prompt = await queries.one(session, actor.workspace_id, prompt_id)
    version = await version_queries.one(session, prompt_id, number)
    if version is None:
        raise NotFound(f"This prompt has no version {number}.")
    heads = await version_queries.heads(session, prompt_id)
    older, newer = await version_queries.neighbours(session, prompt_id, number)
    return {
        "prompt": views.framed(prompt, heads),
        "version": views.shown_version(version, heads),
        "content": PromptContent.from_json(version["content"]),
        "newer": newer,
        "older": older,
    }


def _one(request: Request, context: Mapping[str, Any], status: int = 200, **rendering: Any) -> Response:
    """A version on a page of its own, or on the prompt's page when it is the current one and was filled in there."""
    is_current = rendering and context["version"]["number"] == context["prompt"]["head_number"]
    template = "prompts/show.html" if is_current else "prompts/version.html"
    shown = {"rendered": None, "values": {}, "render_errors": {}, **rendering}
    return page(request, template, {**context, **shown}, status=status)


@_routes.post("/render", openapi_extra=budget(4))
async def render(prompt_id: PageId, request: Request, database: Db, actor: Who, fields: Posted) -> Response:
    """The version with its variables filled in; what is missing is named at its field."""
    async with database.read() as session:
        context = await _version(session, actor, prompt_id, whole(fields, "number"))
    typed, given = page_forms.given_variables(fields)
    try:
        messages = await asyncio.to_thread(render_messages, context["content"], given)
    except BadInput as error:
        errors = page_forms.render_errors(error, [one["name"] for one in context["version"]["variables"]])
        return _one(request, context, 422, values=typed, render_errors=errors)
    return _one(request, context, values=typed, rendered=views.shown_messages(messages))


@_routes.get("/diff", openapi_extra=budget(4))
async def compare(
    prompt_id: PageId, request: Request, database: Db, actor: Who, a: Number = None, b: Number = None
) -> Response:
    """Two versions, word by word; without numbers the current one and the one that it came from."""
    async with database.read() as session:
        prompt = await queries.one(session, actor.workspace_id, prompt_id)
        versions = await version_queries.newest(session, prompt_id, PICKED)
        b = b or prompt["head_number"]
        a = a or _parent(versions, b) or (await version_queries.neighbours(session, prompt_id, b))[0] or b
        found = await version_queries.several(session, prompt_id, (a, b))
    for number in (a, b):
        if number not in found:
            raise NotFound(f"This prompt has no version {number}.")
    old, new = (PromptContent.from_json(found[number]["content"]) for number in (a, b))
    shown = await asyncio.to_thread(views.difference, old, new)  # comparing long texts takes a while
    known = {version["number"]: version for version in [*versions, *found.values()]}
    picks = [known[number] for number in sorted(known, reverse=True)]
    context = {"prompt": views.framed(prompt), "versions": picks, "a": found[a], "b": found[b], **shown}
    return page(request, "prompts/diff.html", context)


def _parent(versions: Sequence[Mapping[str, Any]], number: int) -> int | None:
    """The version that ``number`` came from: its first parent, as far as that is known here."""
    parents: Sequence[int] = next((one["parents"] for one in versions if one["number"] == number), ())
    return parents[0] if parents else None


@_routes.get("/edit", openapi_extra=budget(3))
async def edit(
    prompt_id: PageId,
    request: Request,
    database: Db,
    actor: Who,
    base: Annotated[int | None, Query(alias="from", ge=1, le=2**31 - 1)] = None,
    branch: BranchName = MAIN,
) -> Response:
    async with database.read() as session:
        prompt = await queries.one(session, actor.workspace_id, prompt_id)
        heads = await version_queries.heads(session, prompt_id)
        number = base or _branches(heads).get(branch, prompt["head_number"])
        version = await version_queries.one(session, prompt_id, number)
    if version is None:
        raise NotFound(f"This prompt has no version {number}.")
    if prompt["deleted_at"] is not None:
        return seen(Links(actor.workspace_slug).prompt(prompt_id), "Restore this prompt to change it.", "failed")
    values = page_forms.values_of(PromptContent.from_json(version["content"]), branch=branch)
    started = {"base": number, "started_on": branch, "head": _branches(heads).get(branch, 0)}
    return _editor(request, prompt, heads, {**values, **started}, {})


def _branches(heads: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {head["name"]: head["number"] for head in heads if head["kind"] == "branch"}


def _editor(
    request: Request,
    prompt: Mapping[str, Any],
    heads: Sequence[Mapping[str, Any]],
    values: Mapping[str, Any],
    errors: Mapping[str, str],
) -> Response:
    context = {"prompt": views.framed(prompt), "branches": list(_branches(heads)), "base": values["base"]}
    status = 422 if errors else 200
    return page(request, "prompts/edit.html", {**context, "values": values, "errors": errors}, status=status)


@_routes.post("/versions")
async def save_version(prompt_id: PageId, request: Request, database: Db, actor: Who, fields: Typed) -> Response:
    values = page_forms.typed_values(fields)
    values |= {name: fields.get(name, "") for name in ("base", "started_on", "head")}
    error: AutoforgeError | None = None
    if page_forms.is_saving(fields):
        try:
            content = await _as_stored(database, actor, prompt_id, _content(values), values)
            async with database.write() as session:
                saved = await _save(session, actor, prompt_id, content, values)
            return _told(actor, prompt_id, saved, values, page_forms.warning_of(content))
        except (BadInput, Conflict) as problem:
            error = problem
    async with database.read() as session:
        prompt = await queries.one(session, actor.workspace_id, prompt_id)
        heads = await version_queries.heads(session, prompt_id)
    errors = _edit_errors(error, values, _branches(heads))
    return _editor(request, prompt, heads, values, errors)


def _content(values: Mapping[str, Any]) -> PromptContent:
    """The content that was typed. BadInput with what is wrong with it, and with the fields beside it."""
    faults: list[FieldError] = []
    try:
        parse_head_name(values["branch"].strip(), at="/branch")
    except BadInput as error:
        faults += error.errors
    try:
        content = page_forms.content_of(values)
    except BadInput as error:
        faults += error.errors
    if faults:
        raise BadInput(faults[0].message, errors=faults)
    return content


async def _as_stored(
    database: Database, actor: Actor, prompt_id: UUID, typed: PromptContent, values: Mapping[str, Any]
) -> PromptContent:
    """What was typed, with line ends as in the version that the form was made from."""
    if not values["base"]:
        return typed
    async with database.read() as session:
        base = await version_queries.one_of_workspace(session, actor.workspace_id, prompt_id, whole(values, "base"))
    return typed if base is None else page_forms.as_stored(typed, PromptContent.from_json(base["content"]))


async def _save(
    session: WriteSession, actor: Actor, prompt_id: UUID, content: PromptContent, values: Mapping[str, Any]
) -> Saved:
    """Puts the content on the branch, which is started at the base when there is none of that name."""
    branch = parse_head_name(values["branch"].strip(), at="/branch")
    message = checked(VersionMessage, {"message": values["message"].strip()}).message
    await commands.owned(session, actor, prompt_id)
    if branch not in _branches(await version_queries.heads(session, prompt_id)):
        base = whole(values, "base")
        await version_commands.move_head(session, actor, prompt_id, "branch", branch, base, expected=0)
    expected = whole(values, "head") if branch == values["started_on"] and values["head"] not in ("", "0") else None
    return await version_commands.save(
        session, actor, prompt_id, content, branch=branch, message=message, expected=expected
    )


def _told(actor: Actor, prompt_id: UUID, saved: Saved, values: Mapping[str, Any], warning: str) -> Response:
    links, branch = Links(actor.workspace_slug), values["branch"].strip()
    address = links.prompt(prompt_id) if branch == MAIN else links.version(prompt_id, saved.number)
    on_branch = "" if branch == MAIN else f" on {branch}"
    if not saved.is_new:
        return seen(
            address, f"No new version: v{saved.number} already has this content. It is current{on_branch}.", "info"
        )
    if warning:
        return seen(address, f"Saved v{saved.number}{on_branch}. It cannot be rendered yet: {warning}", "info")
    return seen(address, f"Saved v{saved.number}{on_branch}.")


def _edit_errors(error: AutoforgeError | None, values: dict[str, Any], branches: Mapping[str, int]) -> dict[str, str]:
    """When the branch has moved, the form goes on from where it is now: saving again is then a decision."""
    if not isinstance(error, Conflict):
        return {} if error is None else page_forms.errors_of(error)
    branch = values["branch"].strip()
    now, values["head"] = branches.get(branch, 0), str(branches.get(branch, 0))
    return {
        "": f"While you were writing, {branch} moved on to v{now}. What you wrote is below and not saved yet. Save it "
        f"again to put it on top of v{now}, or name another branch to keep both and merge them."
    }


for _room in (head_pages.router, merge_pages.router, _routes):
    router.include_router(_room)
