"""The clean-up of people who stay away, for admins: who would go, starting it, and taking one back.

The page is the dry run: it lists whom a clean-up would remove before anybody starts one. Both the clean-up and its
undoing are jobs; while one of them goes on, the page follows it.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.db import ReadSession
from autoforge.errors import BadInput, Conflict, NotFound
from autoforge.users import cleanup, tasks
from autoforge.web.deps import App, Db
from autoforge.web.forms import PageId, Posted, whole
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.paging import After, pager
from autoforge.web.responses import budget

router = APIRouter(prefix="/people/cleanup")

PER_PAGE = 50
COUNTED = 1_000
_USUAL_DAYS = 365
_MOST_DAYS = 36_500


@router.get("", openapi_extra=budget(6))
async def show_cleanup(
    request: Request,
    services: App,
    actor: Who,
    days: Annotated[str, Query(max_length=20)] = "",
    after: After = None,
) -> Response:
    actor.needs("server:admin")
    nightly = services.settings.inactive_days
    context: dict[str, Any] = {"nightly": nightly, "days": days or nightly or _USUAL_DAYS, "errors": {}}
    async with services.database.read() as session:
        context["runs"] = await _runs(session)
        try:
            context |= await _dry_run(session, actor, _chosen({"days": str(context["days"])}), after)
        except BadInput as error:
            context |= {"people": [], "since": None, "count": 0, "pager": None, "errors": {"days": error.detail}}
    context["live"] = any(run["live"] for run in context["runs"])
    return page(request, "people/cleanup.html", context, status=422 if context["errors"] else 200)


def _chosen(fields: dict[str, str]) -> int:
    """After how many days; BadInput at the field."""
    days = whole(fields, "days")
    if not cleanup.FEWEST_DAYS <= days <= _MOST_DAYS:
        raise BadInput.at("/days", f"Write a number of days from {cleanup.FEWEST_DAYS} to {_MOST_DAYS:,}.")
    return days


async def _dry_run(session: ReadSession, actor: Actor, days: int, after: str | None) -> dict[str, Any]:
    since = cleanup.whole_day(cleanup.since_of(days, days))
    position = await cleanup.begin(session, actor.user_id, since)
    found = await cleanup.inactive(session, position, PER_PAGE, after)
    count = await cleanup.count(session, position, COUNTED)
    told = f"{COUNTED:,}+" if count > COUNTED else f"{count:,}"
    about = {"people": cleanup.people(found.rows), "since": since, "count": count, "told": told}
    return about | {"pager": pager(found.next, len(found.rows), told)}


async def _runs(session: ReadSession) -> list[dict[str, Any]]:
    """The latest clean-ups with what became of undoing them."""
    undone = await cleanup.undos(session)
    shown = []
    for run in await cleanup.runs(session):
        undo = undone.get(str(run["id"]))
        live = run["ended_at"] is None or (undo is not None and undo["live"])
        shown.append({**run, "undo": undo, "live": live})
    return shown


@router.post("")
async def start_cleanup(database: Db, actor: Who, fields: Posted) -> Response:
    actor.needs("server:admin")
    try:
        days = _chosen(fields)
    except BadInput as error:
        return seen(Links.everybody("cleanup"), error.detail, "failed")
    async with database.write() as session:
        await tasks.start_cleanup(session, actor, days)
    return seen(Links.everybody("cleanup", days=days), "The clean-up has started. It can be undone below.")


@router.post("/{job_id}/undo")
async def undo_cleanup(job_id: PageId, database: Db, actor: Who) -> Response:
    actor.needs("server:admin")
    try:
        async with database.write() as session:
            await tasks.start_undo(session, actor, job_id)
    except (Conflict, NotFound) as error:
        return seen(Links.everybody("cleanup"), error.detail, "failed")
    return seen(Links.everybody("cleanup"), "The people whom this clean-up removed come back.")
