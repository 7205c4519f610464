"""A prompt's history for people: its versions, and the branches and labels that move over them.

Every form here says which state of the prompt it was made for; when somebody was faster, the page comes back as it is
now, with what was typed. A label that moved and a branch that was rolled back can be put back with one click.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.db import Database, WriteSession
from autoforge.errors import AutoforgeError, BadInput, Conflict, NotFound, Stale
from autoforge.prompts import commands, page_forms, queries, version_commands, version_queries, views
from autoforge.prompts.commands import MAIN
from autoforge.web.deps import Db
from autoforge.web.forms import PageId, Posted, errors_by_field, whole
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.paging import pager
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}/prompts/{prompt_id}")

PER_PAGE = 50
_RECENT_MOVES = 8
_EXPECTED = (BadInput, Conflict, Stale, NotFound)
_FIELDS = {"label": ("label", "number"), "branch": ("name", "from")}
"""The fields of the form of each kind of head: its name, and the version that it shall point at."""

Before = Annotated[int | None, Query(ge=1, le=2**31 - 1)]


@router.get("/versions", openapi_extra=budget(4))
async def history(prompt_id: PageId, request: Request, database: Db, actor: Who, after: Before = None) -> Response:
    return await _history(request, database, actor, prompt_id, after=after)


async def _history(
    request: Request, database: Database, actor: Actor, prompt_id: UUID, *, after: int | None = None, **forms: Any
) -> Response:
    """The history; ``forms`` are the ``typed`` fields and ``errors`` of a form beside it that could not be obeyed."""
    async with database.read() as session:
        prompt = await queries.one(session, actor.workspace_id, prompt_id)
        heads = await version_queries.heads(session, prompt_id)
        versions = await version_queries.newest(session, prompt_id, PER_PAGE + 1, after)
        moves = await version_queries.moves(session, prompt_id, _RECENT_MOVES)
    shown = [views.with_heads(version, heads) for version in versions[:PER_PAGE]]
    following = str(shown[-1]["number"]) if len(versions) > PER_PAGE else None
    context = {
        "prompt": views.framed(prompt, heads),
        "versions": shown,
        "branches": [head for head in heads if head["kind"] == "branch"],
        "moves": moves,
        "pager": pager(following, len(shown), views.counted(prompt["versions"])),
        **{"typed": {}, "errors": {}, **forms},
    }
    return page(request, "prompts/versions.html", context, status=422 if context["errors"] else 200)


@router.post("/labels")
async def move_label(prompt_id: PageId, request: Request, database: Db, actor: Who, fields: Posted) -> Response:
    """Points a label at a version, or takes it away."""
    return await _moved(request, database, actor, prompt_id, "label", fields)


@router.post("/branches")
async def start_branch(prompt_id: PageId, request: Request, database: Db, actor: Who, fields: Posted) -> Response:
    """Starts a branch at a version, or takes it away."""
    return await _moved(request, database, actor, prompt_id, "branch", fields)


async def _moved(
    request: Request, database: Database, actor: Actor, prompt_id: UUID, kind: str, fields: Mapping[str, str]
) -> Response:
    name_field, _ = _FIELDS[kind]
    name = fields.get(name_field, "").strip()
    try:
        async with database.write() as session:
            await commands.lock_if_unchanged(session, actor, prompt_id, page_forms.row_seen(fields))
            before, number = await _move(session, actor, prompt_id, kind, name, fields)
    except _EXPECTED as error:
        await _must_exist(database, actor, prompt_id)
        return await _history(request, database, actor, prompt_id, typed=fields, errors=_errors(error, kind))
    address = Links(actor.workspace_slug).prompt(prompt_id, "versions")
    return seen(address, _told(kind, name, before, number), **_undo(actor, prompt_id, kind, name, before, number))


async def _move(
    session: WriteSession, actor: Actor, prompt_id: UUID, kind: str, name: str, fields: Mapping[str, str]
) -> tuple[int, int]:
    """Where the head pointed before and where it points now; 0 when it is not there."""
    expected = whole(fields, "expected") if "expected" in fields else None
    if fields.get("action") == "remove":
        return await version_commands.remove_head(session, actor, prompt_id, kind, name, expected=expected), 0
    number = whole(fields, _FIELDS[kind][1])
    if kind == "branch":  # is started here, never moved: that is saving to it, merging into it or rolling it back
        expected = 0
    before = await version_commands.move_head(session, actor, prompt_id, kind, name, number, expected=expected)
    return before, number


async def _must_exist(database: Database, actor: Actor, prompt_id: UUID) -> None:
    async with database.read() as session:
        await queries.must_exist(session, actor.workspace_id, prompt_id)


def _errors(error: AutoforgeError, kind: str) -> dict[str, str]:
    """What is wrong, at the fields of the form of that kind."""
    name_field, number_field = _FIELDS[kind]
    if isinstance(error, Stale):
        return {name_field: "Somebody changed this prompt meanwhile. The history is up to date now: look, then repeat."}
    fields = {"/label": name_field, "/name": name_field, f"/{number_field}": number_field}
    otherwise = number_field if isinstance(error, NotFound) else name_field
    return errors_by_field(error, lambda pointer: fields.get(pointer, name_field), otherwise)


def _told(kind: str, name: str, before: int, number: int) -> str:
    if not number:
        return f"Removed the {kind} {name}, which was at v{before}."
    if kind == "branch":
        return f"The branch {name} starts at v{number}."
    return f"{name} points at v{number} now{f', no longer at v{before}' if before not in (0, number) else ''}."


def _undo(actor: Actor, prompt_id: UUID, kind: str, name: str, before: int, number: int) -> dict[str, Any]:
    """How a move is taken back: the form with the version from before, or with removing it if there was none.

    It says where the head is now: what somebody else does to it meanwhile is not undone with it.
    """
    name_field, number_field = _FIELDS[kind]
    back: dict[str, Any] = {number_field: before} if before else {"action": "remove"}
    links = Links(actor.workspace_slug)
    target = links.prompt(prompt_id, "labels" if kind == "label" else "branches")
    return {"undo": target, "undo_fields": {name_field: name, "expected": number, **back}}


@router.post("/rollback")
async def roll_back(prompt_id: PageId, database: Db, actor: Who, fields: Posted) -> Response:
    """Moves the head of a branch to an earlier version. No version is made, and none is lost."""
    links, branch = Links(actor.workspace_slug), fields.get("branch", MAIN)
    number = whole(fields, "number")
    expected = whole(fields, "expected") if "expected" in fields else None
    try:
        async with database.write() as session:
            await commands.lock_if_unchanged(session, actor, prompt_id, page_forms.row_seen(fields))
            before = await version_commands.move_head(
                session, actor, prompt_id, "branch", branch, number, expected=expected, make=False
            )
    except (BadInput, Conflict, Stale) as error:
        return seen(links.version(prompt_id, number), error.detail, "failed")
    text = f"{branch} is at v{number} again." if before != number else f"{branch} was at v{number} already."
    back = links.prompt(prompt_id, "rollback") if before != number else ""
    undo_fields = {"number": before, "branch": branch, "expected": number}
    return seen(links.prompt(prompt_id), text, undo=back, undo_fields=undo_fields)


@router.get("/labels", openapi_extra=budget(0))
@router.get("/branches", openapi_extra=budget(0))
@router.get("/rollback", openapi_extra=budget(0))
@router.get("/render", openapi_extra=budget(0))
@router.get("/rename", openapi_extra=budget(0))
@router.get("/status", openapi_extra=budget(0))
@router.get("/template", openapi_extra=budget(0))
async def form_address(prompt_id: PageId, request: Request, actor: Who) -> Response:
    """The address of a form's answer, opened by hand or sent to a colleague, leads to the page with the form."""
    pages = {"labels": "versions", "branches": "versions"}
    pages |= dict.fromkeys(("rename", "status", "template"), "settings")
    part = pages.get(request.url.path.rpartition("/")[2], "")
    return RedirectResponse(Links(actor.workspace_slug).prompt(prompt_id, part), status_code=303)
