"""The doctor for people: the latest report, and a button that starts a review. For admins only."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.errors import Conflict
from autoforge.operations import examining
from autoforge.web.deps import Db
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.responses import budget

router = APIRouter(prefix="/operations/doctor")


@router.get("", openapi_extra=budget(1))
async def doctor(request: Request, database: Db, actor: Who) -> Response:
    async with database.read() as session:
        return page(request, "operations/doctor.html", await examining.state(session))


@router.post("")
async def examine(database: Db, actor: Who) -> Response:
    here = Links(actor.workspace_slug).operations("doctor")
    try:
        async with database.write() as session:
            await examining.start(session, actor)
    except Conflict as error:
        return seen(here, error.detail, "failed")
    return seen(here, "The review has started.")
