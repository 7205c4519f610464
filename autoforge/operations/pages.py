"""The overview, the palette's entries, and taking the sample data away."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from autoforge.access.deps import Who
from autoforge.cache import Kind, cache_key
from autoforge.db import ReadSession
from autoforge.evaluations import queries as evaluation_queries
from autoforge.operations import queries
from autoforge.operations.samples import remove_samples
from autoforge.prompts import queries as prompt_queries
from autoforge.prompts.queries import Listing
from autoforge.web.deps import App, Db
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.responses import budget, json_response

router = APIRouter()

_RECENT = 8


@router.get("/", openapi_extra=budget(0))
async def start(actor: Who) -> Response:
    return RedirectResponse(Links(actor.workspace_slug).overview, status_code=302)


@router.get("/w/{workspace}", openapi_extra=budget(5))
async def overview(request: Request, services: App, actor: Who) -> Response:
    """Figures may be up to 30 minutes old unless something of the workspace changed; the two lists never are."""
    key = cache_key("overview", actor.workspace_id)
    tags = [f"{subject}:{actor.workspace_id.hex}" for subject in ("prompts", "suites", "evaluations")]

    async def figures() -> dict[str, Any]:
        async with services.database.read() as session:
            return await _figures(session, actor.workspace_id)

    shown = await services.cache.get_or_load(key, Kind.STATISTICS, tags, figures)
    async with services.database.read() as session:
        prompts, _ = await prompt_queries.page(session, actor.workspace_id, Listing(sort="-updated_at"), _RECENT, None)
        runs, _ = await evaluation_queries.page(session, actor.workspace_id, limit=_RECENT)
    recent = {"prompts": prompts, "evaluations": runs}
    links = Links(actor.workspace_slug)
    return page(request, "overview.html", {**shown, **recent, "steps": _steps(shown, links)})


async def _figures(session: ReadSession, workspace_id: Any) -> dict[str, Any]:
    return {
        "totals": await queries.totals(session, workspace_id),
        "activity": await queries.activity(session, workspace_id, int(time.time() // 86_400)),
        "samples": await queries.samples(session, workspace_id),
    }


def _steps(shown: dict[str, Any], links: Links) -> list[dict[str, Any]]:
    """What a newcomer does first; what the samples brought does not count as done."""
    totals, samples = shown["totals"], shown["samples"]
    own = {name: totals[name] > samples[name] for name in ("prompts", "suites", "evaluations")}
    return [
        {
            "title": "Write or import your first prompt",
            "body": "Every save is a version; labels such as production say which one is served.",
            "done": own["prompts"],
            "command": "autoforge prompts import prompts.csv",
            "url": links.new_prompt,
        },
        {
            "title": "Score outputs that you recorded",
            "body": "A promptfoo-shaped file of test cases is enough; no model is called.",
            "done": own["evaluations"],
            "command": "autoforge evaluate config.yaml --outputs outputs.jsonl",
            "url": links.suites(),
        },
        {
            "title": "Compare two runs",
            "body": "Better, worse or cannot tell: with an interval, and the cases that got worse first.",
            "done": own["evaluations"] and totals["evaluations"] - samples["evaluations"] > 1,
            "command": "",
            "url": links.compare(),
        },
    ]


@router.get("/w/{workspace}/palette", openapi_extra=budget(1))
async def palette(database: Db, actor: Who, q: str = "") -> Response:
    """Prompts that match what is typed into the palette, as entries that lead to their pages."""
    if not q.strip():
        return json_response({"entries": []})
    links = Links(actor.workspace_slug)
    async with database.read() as session:
        found, _ = await prompt_queries.page(session, actor.workspace_id, Listing(words=q[:200]), _RECENT, None)
    entries = [
        {"title": row["name"], "kind": "Prompt", "url": links.prompt(row["id"]), "hint": row["title"]} for row in found
    ]
    return json_response({"entries": entries})


@router.post("/w/{workspace}/samples/remove")
async def forget_samples(database: Db, actor: Who) -> Response:
    removed = await remove_samples(database, actor)
    return seen(Links(actor.workspace_slug).overview, f"The sample data is gone: {removed} things were removed.")
