"""Is the service alive, and is it ready for work? For load balancers, containers and people in a hurry."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from autoforge import __version__
from autoforge.db.revision import newest
from autoforge.errors import DatabaseUnavailable, Overloaded
from autoforge.operations import queries
from autoforge.web.closing import is_closing
from autoforge.web.deps import App
from autoforge.web.responses import budget, json_response

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    status: str
    version: str
    warnings: list[str] = []


@router.get("/health", response_model=Health, summary="The process answers", openapi_extra=budget(0))
async def health(services: App) -> Response:
    """Liveness: no database is asked. ``warnings`` want somebody's attention (an outdated SQLite, for example)."""
    body: dict[str, Any] = {"status": "alive", "version": __version__, "warnings": list(services.database.warnings)}
    return json_response(body)


@router.get("/ready", response_model=Health, summary="The process can do its work", openapi_extra=budget(1))
async def ready(request: Request, services: App) -> Response:
    """Readiness: 503 while the database does not answer or lacks a migration, and once this process is to end."""
    if is_closing(request):
        raise Overloaded("this process is about to end")
    async with services.database.read() as session:
        found = await queries.revision(session)
    if found < newest():  # a later one is that of a newer version, which is about to take over
        raise DatabaseUnavailable(f"the database is at revision {found or 'none'}, and {newest()} is needed")
    return json_response({"status": "ready", "version": __version__, "warnings": []})
