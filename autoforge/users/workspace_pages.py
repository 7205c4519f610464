"""The people of one workspace, for its members; adding and removing them, for its managers; and a new workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from autoforge.access import Actor
from autoforge.access.deps import Myself, Who
from autoforge.db import Database
from autoforge.errors import AutoforgeError, BadInput, Conflict, Forbidden, NotFound
from autoforge.users import workspace_commands, workspace_queries
from autoforge.users.routes import link_to
from autoforge.web.deps import Db
from autoforge.web.forms import PageId, Posted, Typed, errors_by_field
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.paging import After, Words, pager
from autoforge.web.responses import budget

router = APIRouter()

PER_PAGE = 50


@router.get("/w/{workspace}/people", openapi_extra=budget(3))
async def list_members(
    request: Request,
    database: Db,
    actor: Who,
    q: Words = "",
    after: After = None,
) -> Response:
    return await _members(request, database, actor, q=q, after=after)


async def _members(
    request: Request,
    database: Database,
    actor: Actor,
    *,
    q: str = "",
    after: str | None = None,
    link: str = "",
    values: Mapping[str, str] | None = None,
    error: AutoforgeError | None = None,
) -> Response:
    manages = actor.may("users:write")
    async with database.read() as session:
        place = await workspace_queries.one(session, actor.workspace_id)
        people, following = await workspace_queries.members(session, actor.workspace_id, q, PER_PAGE, after)
        invited = await workspace_queries.invitations(session, actor.workspace_id) if manages else []
    context: dict[str, Any] = {"place": place, "members": people, "invitations": invited, "manages": manages}
    context |= {"me": actor.user_id, "link": link, "values": values or {}, "errors": _errors(error)}
    context["pager"] = pager(following, len(people))
    return page(request, "people/members.html", context, status=200 if error is None else error.status)


def _errors(error: AutoforgeError | None) -> dict[str, str]:
    return {} if error is None else errors_by_field(error, lambda pointer: pointer.strip("/"), "email")


@router.post("/w/{workspace}/people/add")
async def add_member(request: Request, database: Db, actor: Who, fields: Typed) -> Response:
    """Somebody who has an account becomes a member; everybody else is invited by a link, which the next page shows."""
    email, role = fields.get("email", ""), fields.get("role", "member")
    try:
        async with database.write() as session:
            await workspace_commands.add(session, actor, email, role)
    except NotFound:
        return await _invite(request, database, actor, fields)
    except (BadInput, Conflict) as error:
        return await _members(request, database, actor, values=fields, error=error)
    return seen(Links(actor.workspace_slug).members(), f"{email.strip()} is a member now.")


async def _invite(request: Request, database: Database, actor: Actor, fields: Mapping[str, str]) -> Response:
    email, role = fields.get("email", ""), fields.get("role", "member")
    secret = request.app.state.gate.secret
    try:
        async with database.write() as session:
            token = await workspace_commands.invite(session, secret, actor, email, role)
    except (BadInput, Conflict, Forbidden) as error:
        return await _members(request, database, actor, values=fields, error=error)
    return await _members(request, database, actor, link=link_to(request, "welcome", token))


@router.post("/w/{workspace}/people/{user_id}/role")
async def set_role(user_id: PageId, database: Db, actor: Who, fields: Posted) -> Response:
    address = Links(actor.workspace_slug).members()
    try:
        async with database.write() as session:
            await workspace_commands.set_role(session, actor, user_id, fields.get("role", ""))
    except (BadInput, Conflict) as error:
        return seen(address, error.detail, "failed")
    return seen(address, "Saved.")


@router.post("/w/{workspace}/people/{user_id}/remove")
async def remove_member(user_id: PageId, database: Db, actor: Myself) -> Response:
    links = Links(actor.workspace_slug)
    try:
        async with database.write() as session:
            await workspace_commands.remove(session, actor, user_id)
    except Conflict as error:
        return seen(links.members(), error.detail, "failed")
    if user_id == actor.user_id:
        return seen("/account", "You have left the workspace.")
    return seen(links.members(), "The member is removed.")


@router.post("/w/{workspace}/people/invitations/{link_id}/withdraw")
async def withdraw(link_id: PageId, database: Db, actor: Who) -> Response:
    async with database.write() as session:
        await workspace_commands.withdraw(session, actor, link_id)
    return seen(Links(actor.workspace_slug).members(), "The invitation is withdrawn.")


@router.post("/w/{workspace}/settings")
async def rename(request: Request, database: Db, actor: Who, fields: Typed) -> Response:
    try:
        async with database.write() as session:
            await workspace_commands.rename(session, actor, fields.get("name", ""))
    except BadInput as error:
        return await _members(request, database, actor, values=fields, error=error)
    return seen(Links(actor.workspace_slug).members(), "The workspace is renamed.")


@router.get("/w/{workspace}/settings", openapi_extra=budget(0))
async def settings_address(actor: Who) -> Response:
    """What the form posts to, opened by hand, leads to the page with the form."""
    return RedirectResponse(Links(actor.workspace_slug).members(), status_code=303)


@router.get("/workspaces/new", openapi_extra=budget(0))
async def new_workspace(request: Request, _actor: Myself) -> Response:
    return _new(request, {}, {})


def _new(request: Request, values: Mapping[str, str], errors: Mapping[str, str], status: int = 200) -> Response:
    return page(request, "people/new_workspace.html", {"values": values, "errors": errors}, status=status)


@router.post("/workspaces/new")
async def create_workspace(request: Request, database: Db, actor: Myself, fields: Typed) -> Response:
    try:
        async with database.write() as session:
            made = await workspace_commands.create(session, actor, fields.get("name", ""), fields.get("slug", ""))
    except (BadInput, Conflict, Forbidden) as error:
        errors = errors_by_field(error, lambda pointer: pointer.strip("/"), "slug")
        return _new(request, fields, errors, error.status)
    return seen(Links(made).overview, "The workspace is ready. Add the people who work in it.")
