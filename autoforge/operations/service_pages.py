"""The operator's pages: does the service keep its levels, and what is slow and why. For admins only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.errors import NotFound
from autoforge.operations import job_figures, snapshots
from autoforge.operations.objectives import STATES
from autoforge.operations.service_routes import Shape, explain, history, told
from autoforge.operations.snapshots import ORDERS
from autoforge.operations.watching import Watcher
from autoforge.web.deps import Db
from autoforge.web.html import page
from autoforge.web.responses import budget

router = APIRouter(prefix="/operations")

SHOWN = 100
_AS_LABEL = {"6h": "%H:%M", "3d": "%d %b %H:00", "30d": "%d %b"}
_WORST_FIRST = ("fast", "broken", "slow", "unknown", "kept")
assert set(_WORST_FIRST) == set(STATES)


@router.get("/service", openapi_extra=budget(4))
async def service(
    request: Request, database: Db, actor: Who, over: Annotated[Literal["6h", "3d", "30d"], Query()] = "6h"
) -> Response:
    """One look answers whether the service keeps its levels."""
    async with database.read() as session:
        levels = told(await history(session), over)
        jobs = await job_figures.work(session)
    seen = await _noticed(request)
    context = {
        "state": min((one["state"] for one in levels["objectives"]), key=_WORST_FIRST.index),
        **levels,
        "over": over,
        "charts": charts(levels["over_time"], over),
        "processes": [_process(about, pool) for about, pool in zip(seen["processes"], seen["pools"], strict=True)],
        "cache": seen["cache"],
        "jobs": jobs,
    }
    return page(request, "operations/service.html", context)


async def _noticed(request: Request) -> dict[str, Any]:
    watcher: Watcher = request.app.state.watcher
    return snapshots.merged(await watcher.all())


def _process(about: Mapping[str, Any], pool: Mapping[str, Any]) -> dict[str, Any]:
    return {**about, "started_at": moment(about["started_at"]), "pool": pool}


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def charts(points: Sequence[Mapping[str, Any]], over: str) -> list[dict[str, Any]]:
    """Chart specs with their titles; that of failures only when there are any."""
    names = [moment(point["at"]).strftime(_AS_LABEL[over]) for point in points]
    if not any(point["requests_per_second"] for point in points):
        return []
    times = [
        {"name": text, "data": [point[key] for point in points], "color": color}
        for key, text, color in (("p50", "P50", "pass"), ("p95", "P95", "accent"), ("p99", "P99", "error"))
    ]
    found = [
        {"title": "Times of the API", "kind": "line", "x": names, "series": times, "format": "duration"},
        _columns("Requests per second", names, [point["requests_per_second"] for point in points], "accent"),
    ]
    failed = [None if point["error_rate"] is None else 10_000 * point["error_rate"] for point in points]
    if any(failed):
        found.append(_columns("Failed, of 10,000 requests", names, failed, "fail"))
    return found


def _columns(title: str, names: list[str], data: list[float | None], color: str) -> dict[str, Any]:
    rounded = [None if one is None else round(one, 2) for one in data]
    series = [{"name": title, "data": rounded, "color": color}]
    return {"title": title, "kind": "columns", "x": names, "series": series, "format": "number"}


# --- statements -------------------------------------------------------------------------------------------------------


@router.get("/statements", openapi_extra=budget(0))
async def statements(request: Request, actor: Who, sort: Annotated[str, Query(max_length=20)] = "-total") -> Response:
    """Where the time in the database goes, and what is asked one row at a time."""
    order = sort.removeprefix("-")
    seen = await _noticed(request)
    found = seen["statements"]
    shapes = snapshots.ordered(found["shapes"], order if order in ORDERS else "total")
    if order in ORDERS and not sort.startswith("-"):
        shapes.reverse()
    context = {
        "shapes": [_seen(shape) for shape in shapes[:SHOWN]],
        "number": len(shapes),
        "total_ms": sum(shape["total_ms"] for shape in shapes),
        "since": moment(found["since"]),
        "forgotten": found["forgotten"],
        "repeated": [_seen(one) for one in seen["n_plus_one"]["findings"]],
        "every": seen["n_plus_one"]["every"],
        "looked_at": seen["n_plus_one"]["looked_at"],
        "processes": len(seen["processes"]),
    }
    return page(request, "operations/statements.html", context)


def _seen(one: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, "last_seen": moment(one["last_seen"])}


@router.get("/statements/{shape}", openapi_extra=budget(1))
async def statement(request: Request, database: Db, actor: Who, shape: Shape) -> Response:
    """One shape, with its plan as the database would run it now."""
    seen = await _noticed(request)
    found = next((one for one in seen["statements"]["shapes"] if one["key"] == shape), None)
    if found is None:
        raise NotFound("This statement has not been seen since the server started, or was forgotten.")
    plan = await explain(request, database, shape)
    repeated = [_seen(one) for one in seen["n_plus_one"]["findings"] if one["shape"] == shape]
    context = {"shape": _seen(found), "plan": plan, "repeated": repeated}
    return page(request, "operations/statement.html", context)
