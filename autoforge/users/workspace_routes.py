"""Workspaces over HTTP: one's own, their members, and invitations. Managers change them; members look."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from autoforge.access import queries as access_queries
from autoforge.access.deps import Self, TheGate, Who
from autoforge.access.once import Once
from autoforge.users import workspace_commands, workspace_queries
from autoforge.users.routes import link_to
from autoforge.users.schemas import (
    InvitationOut,
    LinkOut,
    MadeOut,
    MemberEdit,
    MemberIn,
    MemberPage,
    PlaceOut,
    WorkspaceEdit,
    WorkspaceIn,
    WorkspaceMade,
    WorkspaceOut,
)
from autoforge.web.conditional import Expected, etag, not_modified
from autoforge.web.deps import Db
from autoforge.web.paging import Paged, listing
from autoforge.web.problems import PROBLEMS
from autoforge.web.responses import budget, json_response

router = APIRouter(prefix="/workspaces", tags=["workspaces"], responses=PROBLEMS)


@router.get("", response_model=list[PlaceOut], summary="One's own workspaces", openapi_extra=budget(1))
async def list_workspaces(database: Db, actor: Self) -> Response:
    async with database.read() as session:
        places = await access_queries.workspaces(session, actor.user_id)
    return json_response([{key: place[key] for key in ("slug", "name", "kind", "role")} for place in places])


@router.post("", status_code=201, response_model=WorkspaceMade, summary="Make a workspace for a team")
async def create_workspace(body: WorkspaceIn, once: Once, actor: Self) -> Response:
    """By managers and admins; they manage it."""
    async with once.write() as session:
        slug = await workspace_commands.create(session, actor, body.name, body.slug)
        return once.answer(json_response({"slug": slug}, 201, {"Location": f"/api/v1/workspaces/{slug}"}))


@router.get("/{workspace}", response_model=WorkspaceOut, summary="Read a workspace", openapi_extra=budget(1))
async def read_workspace(request: Request, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        found = await workspace_queries.one(session, actor.workspace_id)
    tag = etag(found["row_version"], found["members"])
    return not_modified(request, tag) or json_response(found, headers={"ETag": tag})


@router.patch("/{workspace}", status_code=204, summary="Rename a workspace")
async def rename_workspace(body: WorkspaceEdit, database: Db, actor: Who, expected: Expected) -> Response:
    """`If-Match` guards against overwriting somebody else's change (412)."""
    async with database.write() as session:
        await workspace_commands.rename(session, actor, body.name, expected=expected)
    return Response(status_code=204)


@router.get("/{workspace}/members", response_model=MemberPage, summary="List members", openapi_extra=budget(1))
async def list_members(
    request: Request,
    database: Db,
    actor: Who,
    page: Paged,
    q: Annotated[str, Query(max_length=200, description="How a name begins.")] = "",
) -> Response:
    """Who joined last comes first; a search sorts by name."""
    async with database.read() as session:
        items, following = await workspace_queries.members(session, actor.workspace_id, q, page.limit, page.after)
    return listing(request, items, following)


@router.post("/{workspace}/members", status_code=201, response_model=MadeOut, summary="Add a person")
async def add_member(body: MemberIn, database: Db, actor: Who) -> Response:
    """Somebody who has an account already; others are invited."""
    async with database.write() as session:
        user_id = await workspace_commands.add(session, actor, body.email, body.role)
    return json_response({"id": user_id}, 201)


@router.put("/{workspace}/members/{user_id}", status_code=204, summary="Set a member's role")
async def set_member_role(user_id: UUID, body: MemberEdit, database: Db, actor: Who) -> Response:
    async with database.write() as session:
        await workspace_commands.set_role(session, actor, user_id, body.role)
    return Response(status_code=204)


@router.delete("/{workspace}/members/{user_id}", status_code=204, summary="Remove a member, or leave")
async def remove_member(user_id: UUID, database: Db, actor: Self) -> Response:
    """Out within two seconds, keys to this workspace included; what they made stays."""
    async with database.write() as session:
        await workspace_commands.remove(session, actor, user_id)
    return Response(status_code=204)


@router.get(
    "/{workspace}/invitations", response_model=list[InvitationOut], summary="Open invitations", openapi_extra=budget(1)
)
async def list_invitations(database: Db, actor: Who) -> Response:
    actor.needs("users:write")
    async with database.read() as session:
        return json_response(await workspace_queries.invitations(session, actor.workspace_id))


@router.post("/{workspace}/invitations", status_code=201, response_model=LinkOut, summary="Invite by link")
async def invite(body: MemberIn, request: Request, database: Db, actor: Who, gate: TheGate) -> Response:
    """A link for somebody who has no account yet. It works once, for seven days."""
    async with database.write() as session:
        token = await workspace_commands.invite(session, gate.secret, actor, body.email, body.role)
    return json_response({"link": link_to(request, "welcome", token)}, 201, {"Cache-Control": "no-store"})


@router.delete("/{workspace}/invitations/{link_id}", status_code=204, summary="Withdraw an invitation")
async def withdraw(link_id: UUID, database: Db, actor: Who) -> Response:
    async with database.write() as session:
        await workspace_commands.withdraw(session, actor, link_id)
    return Response(status_code=204)
