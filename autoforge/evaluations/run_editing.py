"""Deleting a run on its page, and undoing that. Nothing else about a run can be changed."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.evaluations import commands
from autoforge.web.deps import Db
from autoforge.web.forms import PageId
from autoforge.web.html import seen
from autoforge.web.links import Links

router = APIRouter(prefix="/w/{workspace}/evaluations")


@router.post("/{evaluation_id}/delete")
async def delete_run(evaluation_id: PageId, database: Db, actor: Who) -> Response:
    links = Links(actor.workspace_slug)
    async with database.write() as session:
        await commands.delete_run(session, actor, evaluation_id)
    undo = f"{links.evaluation(evaluation_id)}/restore"
    return seen(links.evaluations(), "Deleted the run. Averages no longer count it.", undo=undo)


@router.post("/{evaluation_id}/restore")
async def restore_run(evaluation_id: PageId, database: Db, actor: Who) -> Response:
    async with database.write() as session:
        await commands.restore_run(session, actor, evaluation_id)
    return seen(Links(actor.workspace_slug).evaluation(evaluation_id), "The run is back.")
