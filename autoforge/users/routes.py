"""People over HTTP. They belong to the server, so its admins alone ask here; workspaces have their members' routes."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from autoforge.access import Actor
from autoforge.access.deps import TheGate, Who
from autoforge.access.members import USERS
from autoforge.access.once import Once
from autoforge.access.sessions import SIGNED_IN
from autoforge.cache import Kind, cache_key
from autoforge.users import commands, leaving, queries
from autoforge.users.schemas import (
    LinkOut,
    MadeOut,
    Role,
    StatisticsOut,
    TransferIn,
    TransferredOut,
    UserEdit,
    UserIn,
    UserOut,
    UserPage,
)
from autoforge.web.conditional import Expected, etag, not_modified
from autoforge.web.deps import App, Db
from autoforge.web.fields import chosen
from autoforge.web.paging import Paged, remembered_listing
from autoforge.web.problems import PROBLEMS
from autoforge.web.responses import budget, json_response

router = APIRouter(prefix="/users", tags=["users"], responses=PROBLEMS)


async def _admin(actor: Who) -> Actor:
    commands.needs_admin(actor)
    return actor


Admin = Annotated[Actor, Depends(_admin)]


def link_to(request: Request, page: str, token: str) -> str:
    """The address of a page of ours with the token in its fragment, which no server and no log ever sees."""
    return f"{request.url.scheme}://{request.url.netloc}/{page}#token={token}"


@router.get("", response_model=UserPage, summary="List people", openapi_extra=budget(1))
async def list_users(
    request: Request,
    services: App,
    _actor: Admin,
    page: Paged,
    q: Annotated[str, Query(max_length=200, description="How a name or an address begins.")] = "",
    role: Role | None = None,
    active: Annotated[bool | None, Query(description="Only those who may sign in, or who may not.")] = None,
    deleted: Annotated[bool, Query(description="Those who were deleted instead.")] = False,
    sort: Annotated[str, Query(description="created_at or name; a minus sorts downwards.")] = "-created_at",
    fields: Annotated[str | None, Query(max_length=500, description="Only these fields, separated by commas.")] = None,
) -> Response:
    """All people of the server, newest first unless asked otherwise. A search (`q`) sorts by what it found."""
    asked = queries.Listing(sort, role, active, deleted, q, chosen(fields, queries.ITEM_FIELDS))

    async def read() -> tuple[list[dict[str, Any]], str | None]:
        async with services.database.read() as session:
            return await queries.page(session, asked, page.limit, page.after)

    return await remembered_listing(request, services.cache, (), (USERS, SIGNED_IN), read)


@router.get("/statistics", response_model=StatisticsOut, summary="Count people", openapi_extra=budget(1))
async def statistics(services: App, _actor: Admin) -> Response:
    """How many there are, may sign in, and came today. One query, kept until somebody changes or 30 minutes pass."""

    async def load() -> dict[str, int]:
        async with services.database.read() as session:
            return await queries.statistics(session)

    return json_response(
        await services.cache.get_or_load(cache_key("user statistics"), Kind.STATISTICS, (USERS,), load)
    )


@router.post("", status_code=201, response_model=MadeOut, summary="Create a person")
async def create_user(body: UserIn, once: Once, actor: Admin) -> Response:
    """A person without a password, with a workspace of their own. Hand them a link (`POST /users/{id}/link`)."""
    async with once.write() as session:
        user_id = await commands.create(session, actor, commands.Draft(**body.model_dump()))
        return once.answer(json_response({"id": user_id}, 201, {"Location": f"/api/v1/users/{user_id}"}))


@router.get("/{user_id}", response_model=UserOut, summary="Read a person", openapi_extra=budget(2))
async def read_user(user_id: UUID, request: Request, database: Db, _actor: Admin) -> Response:
    """In full: with profile and workspaces."""
    async with database.read() as session:
        person = await queries.one(session, user_id)
        tag = etag(person["row_version"], _seen(person))
        if (answer := not_modified(request, tag)) is not None:
            return answer
        places = await queries.places(session, user_id)
    return json_response({**person, "workspaces": places}, headers={"ETag": tag})


def _seen(person: dict[str, Any]) -> str:
    """Signing in is no new version of a person, but another representation of one."""
    at = person["last_login_at"]
    return "0" if at is None else f"{at.timestamp():.0f}"


@router.patch("/{user_id}", status_code=204, summary="Change a person")
async def edit_user(user_id: UUID, body: UserEdit, database: Db, actor: Admin, expected: Expected) -> Response:
    """Sets the fields that are sent. 409 for taking the role of the last active admin."""
    changes = {key: value for key, value in body.model_dump(exclude_unset=True).items() if value is not None}
    await database.transact(_edit, actor, user_id, changes, expected)
    return Response(status_code=204)


async def _edit(session: Any, actor: Actor, user_id: UUID, changes: dict[str, Any], expected: int | None) -> None:
    await commands.edit(session, actor, user_id, changes, expected=expected)


@router.post("/{user_id}/deactivate", status_code=204, summary="Shut a person out")
async def deactivate(user_id: UUID, database: Db, actor: Admin) -> Response:
    """Out within two seconds everywhere: sessions, keys and open streams. 409 for the last active admin."""
    await database.transact(commands.set_active, actor, user_id, False)
    return Response(status_code=204)


@router.post("/{user_id}/activate", status_code=204, summary="Let a person in again")
async def activate(user_id: UUID, database: Db, actor: Admin) -> Response:
    await database.transact(commands.set_active, actor, user_id, True)
    return Response(status_code=204)


@router.delete("/{user_id}", status_code=204, summary="Delete a person")
async def delete_user(user_id: UUID, database: Db, actor: Admin, expected: Expected) -> Response:
    """Soft: what they made stays. 409 for the last active admin."""
    await database.transact(_delete, actor, user_id, expected)
    return Response(status_code=204)


async def _delete(session: Any, actor: Actor, user_id: UUID, expected: int | None) -> None:
    await commands.delete(session, actor, user_id, expected=expected)


@router.post("/{user_id}/restore", status_code=204, summary="Bring a deleted person back")
async def restore_user(user_id: UUID, database: Db, actor: Admin) -> Response:
    async with database.write() as session:
        await commands.restore(session, actor, user_id)
    return Response(status_code=204)


@router.post("/{user_id}/sign-out", status_code=204, summary="Sign a person out everywhere")
async def sign_out(user_id: UUID, database: Db, actor: Admin) -> Response:
    async with database.write() as session:
        await commands.sign_out(session, actor, user_id)
    return Response(status_code=204)


@router.post("/{user_id}/link", status_code=201, response_model=LinkOut, summary="A link to set a password")
async def hand_link(user_id: UUID, request: Request, database: Db, actor: Admin, gate: TheGate) -> Response:
    """For a new person, or for one who forgot theirs. It works once, for 24 hours; earlier ones stop working."""
    async with database.write() as session:
        token = await commands.hand_link(session, gate.secret, actor, user_id)
    return json_response({"link": link_to(request, "welcome", token)}, 201, {"Cache-Control": "no-store"})


@router.post("/{user_id}/transfer", response_model=TransferredOut, summary="Hand over what a person owns")
async def transfer(user_id: UUID, body: TransferIn, database: Db, actor: Admin) -> Response:
    """Prompts, templates, suites and evaluations change hands; the person's API keys are revoked."""
    moved = await database.transact(leaving.transfer, actor, user_id, body.to)
    return json_response(moved)
