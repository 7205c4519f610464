"""The analysis as a page. Its figures may be up to 30 minutes old unless something changed; the page says how old."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.analytics import queries
from autoforge.cache import Kind, cache_key
from autoforge.db import clock
from autoforge.web.deps import App
from autoforge.web.html import page
from autoforge.web.paging import After, pager
from autoforge.web.responses import budget

router = APIRouter()

SHOWN = 50


@router.get("/w/{workspace}/analysis", openapi_extra=budget(1))
async def analysis(request: Request, services: App, actor: Who, after: After = None) -> Response:
    async def load() -> dict[str, Any]:
        async with services.database.read() as session:
            found = await queries.prompt_scores_shown(session, actor.workspace_id, SHOWN, after)
        rows = [_row(row) for row in found.rows]
        return {"rows": rows, "pager": pager(found.next, len(rows)), "computed_at": clock.now()}

    tags = [f"{subject}:{actor.workspace_id.hex}" for subject in ("evaluations", "prompts")]
    key = cache_key("analysis", actor.workspace_id, after)
    return page(request, "analysis.html", await services.cache.get_or_load(key, Kind.STATISTICS, tags, load))


def _row(row: Any) -> dict[str, Any]:
    newest_first = [float(score) for score in (row.recent or "").split()]
    shown = {name: getattr(row, name) for name in ("name", "average", "evaluations", "best", "latest")}
    return {"id": row.prompt_id, **shown, "trend": newest_first[::-1]}
