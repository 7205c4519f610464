"""API keys for people: who has which, making one, rotating and revoking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from autoforge.access import Actor, queries, sessions
from autoforge.access.deps import TheGate, Who
from autoforge.access.permissions import AREAS
from autoforge.db import Database, clock
from autoforge.errors import BadInput, Conflict, Forbidden
from autoforge.web.deps import Db
from autoforge.web.forms import PageId, Typed
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}/keys")

_AREAS = tuple(
    (area, {"audit": "Audit log", "users": "People", "keys": "API keys"}.get(area, area.capitalize())) for area in AREAS
)


@router.get("", openapi_extra=budget(1))
async def list_keys(request: Request, database: Db, actor: Who) -> Response:
    return await _shown(request, database, actor)


async def _shown(
    request: Request,
    database: Database,
    actor: Actor,
    *,
    new_key: str = "",
    values: Mapping[str, str] | None = None,
    error: BadInput | None = None,
) -> Response:
    async with database.read() as session:
        keys = [_shown_key(key, actor) for key in await queries.keys(session, actor)]
    context = {"keys": keys, "new_key": new_key, "areas": _AREAS, "values": values or {}, "errors": _errors(error)}
    return page(request, "access/keys.html", context, status=200 if error is None else 422)


def _shown_key(key: dict[str, Any], actor: Actor) -> dict[str, Any]:
    is_over = key["expires_at"] is not None and key["expires_at"] <= clock.now()
    state = "revoked" if key["revoked_at"] is not None else "expired" if is_over else "active"
    return {**key, "mine": key["user_id"] == actor.user_id, "state": state}


def _errors(error: BadInput | None) -> dict[str, str]:
    if error is None:
        return {}
    return {one.pointer.strip("/").partition("/")[0]: one.message for one in error.errors} or {"": error.detail}


@router.post("")
async def make_key(request: Request, database: Db, actor: Who, gate: TheGate, fields: Typed) -> Response:
    """The only page that ever shows the key; it is not kept for going back."""
    try:
        scopes = [f"{area}:{fields[f'scope-{area}']}" for area in AREAS if fields.get(f"scope-{area}")]
        if not scopes:
            raise BadInput.at("/scopes", "Choose at least one thing that it may do.")
        days = _days(fields.get("days", ""))
        async with database.write() as session:
            made = await sessions.make_key(session, gate.secret, actor, fields.get("name", ""), scopes, days)
    except BadInput as error:
        return await _shown(request, database, actor, values=fields, error=error)
    return await _shown(request, database, actor, new_key=made.text)


def _days(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= sessions.MOST_DAYS):
        raise BadInput.at("/days", f"A key ends after 1 to {sessions.MOST_DAYS:,} days, or never.")
    return int(text)


@router.post("/{key_id}/rotate")
async def rotate_key(request: Request, key_id: PageId, database: Db, actor: Who, gate: TheGate) -> Response:
    try:
        async with database.write() as session:
            made = await sessions.rotate_key(session, gate.secret, actor, key_id)
    except Conflict as error:
        return seen(Links(actor.workspace_slug).keys(), error.detail, "failed")
    return await _shown(request, database, actor, new_key=made.text)


@router.post("/{key_id}/revoke")
async def revoke_key(key_id: PageId, database: Db, actor: Who) -> Response:
    address = Links(actor.workspace_slug).keys()
    try:
        async with database.write() as session:
            await sessions.revoke_key(session, actor, key_id)
    except Forbidden as error:
        return seen(address, error.detail, "failed")
    return seen(address, "The key is revoked: it stopped working just now.")
