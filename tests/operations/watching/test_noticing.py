"""What a running server notices of its statements: whose they are, and which are asked one row at a time."""

from __future__ import annotations

import pytest

from autoforge.telemetry.n_plus_one import WATCH
from autoforge.telemetry.slow import SLOW
from tests.operations.watching import planted
from tests.web.site import Site

pytestmark = pytest.mark.anyio


async def test_one_row_at_a_time_is_found_with_its_line_and_a_batch_is_not(site: Site) -> None:
    planted.mount(site.app)
    for _ in range(2):
        for way in ("one", "all"):
            answer = await site.client.get(f"/api/v1/planted/x/{way}")
            assert len(answer.json()) == 8
    (finding,) = (one for one in WATCH.findings.values() if "planted" in one.route)
    assert finding.route == "GET /api/v1/planted/{kind}/one"
    assert finding.line == f"tests/operations/watching/planted.py:{planted.the_line()} one_by_one"
    assert (finding.statement, finding.most, finding.requests) == ("planted.name", 8, 2)


async def test_a_request_that_is_not_looked_at_costs_no_finding(site: Site) -> None:
    planted.mount(site.app)
    WATCH.every, WATCH._turn = 3, 0
    for _ in range(3):
        await site.client.get("/api/v1/planted/x/one")
    assert [one.requests for one in WATCH.findings.values()] == [1]


async def test_statements_are_those_of_their_route(site: Site) -> None:
    SLOW.clear()
    await site.client.get("/api/v1/prompts")
    await site.client.get("/w/main/prompts", headers=site.mine)
    shapes = [one for one in SLOW.told() if one["name"] == "prompts.page"]
    assert [one["routes"] for one in shapes] == [{"GET /api/v1/prompts": 1}, {"GET /w/{workspace}/prompts": 1}]
    assert all(one["rows"] > 0 for one in shapes)
