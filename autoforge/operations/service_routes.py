"""How the service is, for programs: its levels, its slow statements, what it noticed. For admins only."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.db import ReadSession, explaining
from autoforge.errors import NotFound
from autoforge.operations import levels, objectives, snapshots
from autoforge.operations.watching import Watcher
from autoforge.telemetry.levels import LEVELS, MINUTE, added
from autoforge.telemetry.slow import SLOW
from autoforge.web.deps import App, Db
from autoforge.web.responses import budget, json_response

router = APIRouter(prefix="/operations", tags=["operations"])

Shape = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


async def history(session: ReadSession) -> objectives.History:
    """What is stored, and what this process has counted since; two statements."""
    minutes, hours = await levels.history(session)
    waiting = LEVELS.waiting()
    for stored, span in ((minutes, MINUTE), (hours, levels.HOUR)):
        for place, counts in levels.in_spans(waiting, span).items():
            stored[place] = added([counts, *([stored[place]] if place in stored else [])])
    return objectives.History(minutes, hours, time.time())


def told(seen: objectives.History, over: str) -> dict[str, Any]:
    """The levels as JSON, with the points of one range."""
    now = {name: _figures(seen, name) for name in ("5m", "1h")}
    return {"objectives": objectives.judged(seen), "now": now, "over_time": objectives.over_time(seen, over)}


def _figures(seen: objectives.History, window: str) -> dict[str, Any]:
    every = seen.window(window)
    seconds = 60 * objectives.MINUTES[window] + seen.now % 60
    return {
        "requests_per_second": every[0] / seconds,
        "error_rate": every[1] / every[0] if every[0] else None,
        **objectives.quantiles(seen.window(window, ("api",))),
    }


@router.get("/levels", summary="Does the service keep its levels?", openapi_extra=budget(2))
async def service_levels(
    database: Db, actor: Who, over: Annotated[str, Query(pattern="^(6h|3d|30d)$", description="The range.")] = "6h"
) -> Response:
    """Objectives with their error budgets over 30 days and burn rates, and figures over time.

    Of all processes and hosts; what the others counted may be missing for up to a minute.
    """
    async with database.read() as session:
        return json_response(told(await history(session), over))


@router.get("/snapshot", summary="What the processes of this host noticed", openapi_extra=budget(0))
async def snapshot(request: Request, actor: Who) -> Response:
    """Slow statements by shape, repeated statements with their source line, pools and cache, since the processes
    began. Parameters of statements are never shown."""
    watcher: Watcher = request.app.state.watcher
    return json_response(snapshots.merged(await watcher.all()))


@router.get("/statements/{shape}/plan", summary="The plan of a slow statement", openapi_extra=budget(1))
async def plan(request: Request, services: App, actor: Who, shape: Shape) -> Response:
    """As the database would run it now, and what is wrong with that."""
    found = await explain(request, services.database, shape)
    return json_response(
        {"lines": found.lines, "note": found.note, "findings": [_finding(one) for one in found.findings]}
    )


def _finding(one: Any) -> dict[str, str]:
    return {"what": one.what, "table": one.table, "detail": one.detail}


async def explain(request: Request, database: Any, key: str) -> explaining.Plan:
    """With the parameters of a recent call where this process had one. NotFound for a shape that nobody has seen."""
    watcher: Watcher = request.app.state.watcher
    shape, bound = SLOW.shapes.get(key), None
    if shape is not None:
        name, sql, bound = shape.name, shape.sql, shape.bound
    else:
        processes = await watcher.all()
        other = next((one for each in processes for one in each["statements"]["shapes"] if one["key"] == key), None)
        if other is None:
            raise NotFound("This statement has not been seen since the server started, or was forgotten.")
        name, sql = other["name"], other["example"] or other["sql"]
    async with database.read() as session:
        return await explaining.explained(session, name, sql, bound)
