"""What reads of evaluations cost, whatever is asked of them and however much there is."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from autoforge.analytics import pages as analytics_pages
from autoforge.analytics import routes as analytics_routes
from autoforge.db import count_statements
from autoforge.evaluations import pages, routes, suite_pages, suite_routes
from tests.evaluations.conftest import World, more_runs
from tests.web.client import API

READS = [
    "/api/v1/evaluations",
    "/api/v1/evaluations?suite={suite}&status=completed",
    "/api/v1/evaluations/{run}",
    "/api/v1/evaluations/{run}/results",
    "/api/v1/evaluations/{run}/results/1",
    "/api/v1/evaluations/{run}/metrics",
    "/api/v1/evaluations/{run}/export",
    "/api/v1/evaluations/compare?a={other}&b={run}",
    "/api/v1/suites",
    "/api/v1/suites/{suite}",
    "/api/v1/suites/{suite}/cases",
    "/api/v1/analysis/prompt-scores",
    "/w/main/evaluations",
    "/w/main/evaluations?q=x&status=completed&suite={suite}",
    "/w/main/evaluations/{run}",
    "/w/main/evaluations/{run}?outcome=fail&sort=outcome",
    "/w/main/evaluations/{run}?metric=exact&sort=-score",
    "/w/main/evaluations/{run}/results/1",
    "/w/main/compare",
    "/w/main/compare?a={other}",
    "/w/main/compare?a={other}&b={run}",
    "/w/main/compare?a={other}&b={run}&show=better",
    "/w/main/suites",
    "/w/main/suites?q=math&sort=name",
    "/w/main/suites/{suite}",
    "/w/main/suites/{suite}?q=case",
    "/w/main/analysis",
]


@pytest.mark.parametrize("path", READS)
async def test_reads_stay_within_their_budget_whatever_the_rows(
    client: httpx2.AsyncClient, world: World, path: str
) -> None:
    counts = []
    for round_ in range(2):
        client.app.state.services.cache.forget(*(f"evaluation:{run.hex}" for run in world.runs))  # type: ignore[attr-defined]
        address = path.format(run=world.runs[1], other=world.runs[0], suite=world.suite.suite_id)
        with count_statements() as seen:
            answer = await client.get(address)
        assert answer.status_code == 200, answer.text
        counts.append(seen.count)
        assert seen.count <= _budget(client, path), seen.names
        if round_ == 0:
            await more_runs(world)
    assert counts[0] == counts[1]


def _budget(client: httpx2.AsyncClient, path: str) -> int:
    """What the route that answers this path declares."""
    template = path.partition("?")[0]
    for own, name in (("{run}", "{evaluation_id}"), ("{suite}", "{suite_id}"), ("results/1", "results/{position}")):
        template = template.replace(own, name)
    template = template.replace("/w/main", "/w/{workspace}")
    found = [route for route in _routes(client) if route[0] == template]
    assert found, template
    return int(found[0][1])


def _routes(client: httpx2.AsyncClient) -> list[tuple[str, int]]:
    declared = []
    for prefix, router in (
        (API, suite_routes.router), (API, routes.evaluations), (API, analytics_routes.router),
        ("", suite_pages.router), ("", pages.router), ("", analytics_pages.router),
    ):  # fmt: skip
        declared += [(prefix + path, budget) for path, budget in _declared(router)]
    return declared


def _declared(router: Any) -> list[tuple[str, int]]:
    return [
        (route.path, (route.openapi_extra or {}).get("x-query-budget", 0))
        for route in router.routes
        if "GET" in (getattr(route, "methods", None) or ())
    ]
