"""One's own account, API keys and the audit log, for programs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from autoforge.access import audit, audit_queries, queries, sessions
from autoforge.access.deps import Self, TheGate, Who
from autoforge.access.once import Once
from autoforge.db import Database
from autoforge.web.conditional import with_content_tag
from autoforge.web.deps import Db
from autoforge.web.downloads import Download
from autoforge.web.paging import Paged, listing
from autoforge.web.problems import PROBLEMS
from autoforge.web.responses import budget, json_response
from autoforge.web.text import Line

router = APIRouter(responses=PROBLEMS)


class MeOut(BaseModel):
    user_id: UUID
    name: str
    role: str
    workspace: str
    manages: bool
    scopes: list[str]
    workspaces: list[dict[str, Any]]


class KeyIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Line = Field(min_length=1)
    scopes: list[Line] = Field(min_length=1, max_length=50, examples=[["prompts:read", "evaluations:write"]])
    days: int | None = Field(None, ge=1, le=sessions.MOST_DAYS, description="Days until the key expires; null: never.")


class KeyOut(BaseModel):
    id: UUID
    name: str
    prefix: str
    scopes: list[str]
    owner: str
    user_id: UUID
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    replaced_by: UUID | None = Field(description="The key that this one was rotated to; this one ends soon.")


class MadeKeyOut(BaseModel):
    id: UUID
    key: str = Field(description="The key itself. It is shown this once.")


class AuditPage(BaseModel):
    items: list[dict[str, Any]]
    next: str | None


@router.get("/me", tags=["account"], response_model=MeOut, summary="Who am I", openapi_extra=budget(1))
async def me(request: Request, database: Db, actor: Self) -> Response:
    async with database.read() as session:
        places = await queries.workspaces(session, actor.user_id)
    body = {"user_id": actor.user_id, "name": actor.user_name, "role": actor.role, "workspace": actor.workspace_slug}
    more = {"manages": actor.manages, "scopes": actor.scopes, "workspaces": places}
    return with_content_tag(request, json_response(body | more))


@router.get("/keys", tags=["keys"], response_model=list[KeyOut], summary="List API keys", openapi_extra=budget(1))
async def list_keys(database: Db, actor: Who) -> Response:
    """Those of the workspace for managers, one's own for everybody else. Prefixes only: keys are never shown again."""
    async with database.read() as session:
        return json_response(await queries.keys(session, actor))


@router.post("/keys", tags=["keys"], status_code=201, response_model=MadeKeyOut, summary="Create an API key")
async def create_key(body: KeyIn, actor: Who, gate: TheGate, once: Once) -> Response:
    """A key for this workspace that may do at most what you may. The answer shows it this once."""
    async with once.write() as session:
        made = await sessions.make_key(session, gate.secret, actor, body.name, body.scopes, body.days)
        headers = {"Location": f"/api/v1/keys/{made.key_id}", "Cache-Control": "no-store"}
        return once.answer(json_response({"id": made.key_id, "key": made.text}, 201, headers))


@router.post("/keys/{key_id}/rotate", tags=["keys"], status_code=201, response_model=MadeKeyOut, summary="Rotate a key")
async def rotate_key(key_id: UUID, actor: Who, gate: TheGate, once: Once) -> Response:
    """A new key with the same scopes; the old one works for another 24 hours. 409 when it was rotated already."""
    async with once.write() as session:
        made = await sessions.rotate_key(session, gate.secret, actor, key_id)
        body = {"id": made.key_id, "key": made.text}
        return once.answer(json_response(body, 201, {"Cache-Control": "no-store"}))


@router.delete("/keys/{key_id}", tags=["keys"], status_code=204, summary="Revoke a key")
async def revoke_key(key_id: UUID, database: Db, actor: Who) -> Response:
    """At once on this host, within two seconds on others."""
    async with database.write() as session:
        await sessions.revoke_key(session, actor, key_id)
    return Response(status_code=204)


@router.get("/audit", tags=["audit"], response_model=AuditPage, summary="Who did what", openapi_extra=budget(1))
async def list_audit(
    request: Request,
    database: Db,
    actor: Who,
    page: Paged,
    subject_id: Annotated[str | None, Query(max_length=100, description="Only what was done to this.")] = None,
    everywhere: Annotated[bool, Query(description="The whole server's; admins only.")] = False,
) -> Response:
    """The audit log of the workspace, newest first; managers only."""
    asked = audit_queries.Asked(subject_id, everywhere)
    async with database.read() as session:
        found = await audit_queries.page(session, actor, asked, page.limit, page.after)
    return listing(request, [audit_queries.shown(row) for row in found.rows], found.next)


@router.get(
    "/audit/export",
    tags=["audit"],
    summary="Export the audit log",
    response_class=StreamingResponse,
    openapi_extra=budget(1),
)
async def export_audit(database: Db, actor: Who) -> Response:
    """The whole chain as JSON Lines, oldest first, with hashes; admins only, since it spans workspaces.

    503 while two downloads run.
    """
    actor.needs("server:admin")
    return Download(_lines(database), media_type="application/jsonl")


async def _lines(database: Database) -> AsyncGenerator[bytes, None]:
    async with database.read() as session:
        async for entry in audit.entries(session):
            yield msgspec.json.encode(entry) + b"\n"
