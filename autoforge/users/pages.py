"""All people of the server, for its admins: the list, one person, and what can be done about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from autoforge.access.deps import TheGate
from autoforge.access.members import USERS
from autoforge.cache import Kind, cache_key
from autoforge.db import Database
from autoforge.errors import AutoforgeError, BadInput, Conflict, Forbidden, Stale
from autoforge.users import commands, leaving, queries
from autoforge.users.routes import Admin, link_to
from autoforge.web.deps import App, Db, Services
from autoforge.web.forms import PageId, Posted, Typed, errors_by_field, whole
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.paging import After, Words, pager
from autoforge.web.responses import budget

router = APIRouter(prefix="/people")

PER_PAGE = 50
_FIELDS = ("name", "email", "role")
State = Literal["", "active", "inactive", "deleted"]


@router.get("", openapi_extra=budget(2))
async def list_people(
    request: Request,
    services: App,
    _actor: Admin,
    q: Words = "",
    role: Literal["", "admin", "manager", "user"] = "",
    state: State = "",
    sort: str = "-created_at",
    after: After = None,
) -> Response:
    active = {"active": True, "inactive": False}.get(state)
    asked = queries.Listing(sort, role or None, active, state == "deleted", q)
    async with services.database.read() as session:
        people, following = await queries.page(session, asked, PER_PAGE, after)
    context: dict[str, Any] = {"people": people, "figures": await _figures(services)}
    context |= {"pager": pager(following, len(people))}
    context |= {"filtered": bool(q.strip() or role or state)}
    return page(request, "people/list.html", context)


async def _figures(services: Services) -> dict[str, int]:
    async def load() -> dict[str, int]:
        async with services.database.read() as session:
            return await queries.statistics(session)

    return await services.cache.get_or_load(cache_key("user statistics"), Kind.STATISTICS, (USERS,), load)


@router.get("/new", openapi_extra=budget(0))
async def new_person(request: Request, _actor: Admin) -> Response:
    return _new(request, {"role": "user"}, {})


def _new(request: Request, values: Mapping[str, str], errors: Mapping[str, str], status: int = 200) -> Response:
    return page(request, "people/new.html", {"values": values, "errors": errors}, status=status)


@router.post("")
async def create_person(request: Request, database: Db, actor: Admin, gate: TheGate, fields: Typed) -> Response:
    """Makes the person and, in the same transaction, the link to hand over; the next page shows it this once."""
    try:
        draft = commands.Draft(fields.get("email", ""), fields.get("name", ""), fields.get("role", "user"))
        async with database.write() as session:
            user_id = await commands.create(session, actor, draft)
            token = await commands.hand_link(session, gate.secret, actor, user_id)
    except (BadInput, Conflict) as error:
        return _new(request, fields, _errors(error), error.status)
    return await _person(request, database, user_id, link=link_to(request, "welcome", token))


def _errors(error: AutoforgeError) -> dict[str, str]:
    return errors_by_field(error, lambda pointer: pointer.strip("/"), "email" if isinstance(error, Conflict) else "")


@router.get("/{user_id}", openapi_extra=budget(2))
async def show_person(user_id: PageId, request: Request, database: Db, _actor: Admin) -> Response:
    return await _person(request, database, user_id)


async def _person(
    request: Request,
    database: Database,
    user_id: UUID,
    *,
    link: str = "",
    values: Mapping[str, str] | None = None,
    error: AutoforgeError | None = None,
) -> Response:
    async with database.read() as session:
        person = await queries.one(session, user_id)
        places = await queries.places(session, user_id)
    shown = {name: person[name] for name in _FIELDS} | dict(values or {})
    context = {"person": person, "workspaces": places, "link": link, "values": shown}
    context["errors"] = {} if error is None else _errors(error)
    return page(request, "people/show.html", context, status=200 if error is None else error.status)


@router.post("/{user_id}/edit")
async def edit_person(user_id: PageId, request: Request, database: Db, actor: Admin, fields: Typed) -> Response:
    try:
        async with database.write() as session:
            changes = await _changes(session, user_id, fields)
            await commands.edit(session, actor, user_id, changes, expected=whole(fields, "row_version"))
    except (BadInput, Conflict, Stale) as error:
        return await _person(request, database, user_id, values=fields, error=error)
    return seen(Links.person(user_id), "Saved.")


async def _changes(session: Any, user_id: UUID, fields: Mapping[str, str]) -> dict[str, str]:
    """What differs from what is stored: an unchanged role needs no admin to spare."""
    stored = await queries.one(session, user_id)
    return {name: fields[name] for name in _FIELDS if name in fields and fields[name] != stored[name]}


@router.post("/{user_id}/activate")
async def activate(user_id: PageId, database: Db, actor: Admin) -> Response:
    await database.transact(commands.set_active, actor, user_id, True)
    return seen(Links.person(user_id), "They may sign in again.")


@router.post("/{user_id}/deactivate")
async def deactivate(user_id: PageId, database: Db, actor: Admin) -> Response:
    try:
        await database.transact(commands.set_active, actor, user_id, False)
    except Conflict as error:
        return seen(Links.person(user_id), error.detail, "failed")
    undo = Links.person(user_id, "activate")
    return seen(Links.person(user_id), "They are out: sessions, keys and open pages.", undo=undo)


@router.post("/{user_id}/delete")
async def delete_person(user_id: PageId, database: Db, actor: Admin) -> Response:
    try:
        async with database.write() as session:
            await commands.delete(session, actor, user_id)
    except Conflict as error:
        return seen(Links.person(user_id), error.detail, "failed")
    return seen(Links.everybody(), "The person is deleted.", undo=Links.person(user_id, "restore"))


@router.post("/{user_id}/restore")
async def restore_person(user_id: PageId, database: Db, actor: Admin) -> Response:
    try:
        async with database.write() as session:
            await commands.restore(session, actor, user_id)
    except Conflict as error:
        return seen(Links.person(user_id), error.detail, "failed")
    return seen(Links.person(user_id), "The person is back.")


@router.post("/{user_id}/sign-out")
async def sign_out(user_id: PageId, database: Db, actor: Admin) -> Response:
    async with database.write() as session:
        await commands.sign_out(session, actor, user_id)
    return seen(Links.person(user_id), "They are signed out everywhere.")


@router.post("/{user_id}/link")
async def hand_link(user_id: PageId, request: Request, database: Db, actor: Admin, gate: TheGate) -> Response:
    """The only page that shows the link."""
    try:
        async with database.write() as session:
            token = await commands.hand_link(session, gate.secret, actor, user_id)
    except (Conflict, Forbidden) as error:
        return seen(Links.person(user_id), error.detail, "failed")
    return await _person(request, database, user_id, link=link_to(request, "welcome", token))


@router.post("/{user_id}/transfer")
async def transfer(user_id: PageId, request: Request, database: Db, actor: Admin, fields: Posted) -> Response:
    try:
        heir = await _by_address(database, fields.get("to", ""))
        moved = await database.transact(leaving.transfer, actor, user_id, heir)
    except BadInput as error:
        return await _person(request, database, user_id, values=fields, error=error)
    told = ", ".join(f"{count:,} {kind}" for kind, count in moved.items() if count) or "nothing: they owned none"
    return seen(Links.person(user_id), f"Handed over: {told}.")


async def _by_address(database: Database, text: str) -> UUID:
    email = commands.valid_email(text, "/to")
    async with database.read() as session:
        found, _ = await queries.page(session, queries.Listing(words=email, fields=("id", "email")), 5, None)
    match = [row["id"] for row in found if row["email"] == email]
    if not match:
        raise BadInput.at("/to", "Nobody has this address.")
    return UUID(bytes=match[0].bytes)
