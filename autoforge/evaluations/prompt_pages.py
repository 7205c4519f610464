"""The evaluations of one prompt: the tab on its page, with how the score went from version to version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.evaluations import queries
from autoforge.evaluations.queries import Filters
from autoforge.prompts import queries as prompt_queries
from autoforge.prompts import views
from autoforge.web.deps import Db
from autoforge.web.forms import PageId
from autoforge.web.html import page
from autoforge.web.paging import After, pager
from autoforge.web.responses import budget

router = APIRouter()

ROWS = 50
_MOST_LINES = 6


@router.get("/w/{workspace}/prompts/{prompt_id}/evaluations", openapi_extra=budget(2))
async def evaluations_of_prompt(
    prompt_id: PageId,
    request: Request,
    database: Db,
    actor: Who,
    after: After = None,
) -> Response:
    async with database.read() as session:
        prompt = await prompt_queries.one(session, actor.workspace_id, prompt_id)
        runs, following = await queries.page(session, actor.workspace_id, Filters(prompt_id=prompt_id), ROWS, after)
    context = {
        "prompt": views.framed(prompt),
        "evaluations": runs,
        "history": score_by_version(runs),
        "pager": pager(following, len(runs)),
    }
    return page(request, "prompts/evaluations.html", context)


def score_by_version(runs: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """A chart of the mean score (over models and repetitions) per version, a line per suite; None with one version."""
    scores: dict[str, dict[int, list[float]]] = {}
    for run in runs:
        if run["score"] is not None and run["version_number"] is not None:
            of_suite = scores.setdefault(run["suite_name"] or "Without a suite", {})
            of_suite.setdefault(run["version_number"], []).append(run["score"])
    versions = sorted({number for of_suite in scores.values() for number in of_suite})
    if len(versions) < 2:
        return None
    lines = [
        {"name": suite, "data": [fmean(found[number]) if number in found else None for number in versions]}
        for suite, found in list(scores.items())[:_MOST_LINES]
    ]
    return {"kind": "line", "format": "percent", "x": [f"v{number}" for number in versions], "series": lines}
