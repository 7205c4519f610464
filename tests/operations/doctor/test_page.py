"""The operator's page and its address for programs: a review as a job, in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from autoforge.db import clock
from autoforge.db import models as m
from autoforge.operations import examining
from tests.operations.doctor.ward import Ward
from tests.web.site import Site, opened, settings, signed_in


@pytest.fixture
async def site(file_ward: Ward) -> AsyncIterator[Site]:
    async with opened(settings(file_ward.settings.data, file_ward.settings.database_url)) as running:
        yield running


class _Attempt:
    """What the task needs of its context."""

    def __init__(self, site: Site) -> None:
        self.services = site.app.state.services


async def _run(site: Site) -> dict[str, Any]:
    """What a worker does with the job that waits."""
    attempt: Any = _Attempt(site)
    report: dict[str, Any] = await examining.examine.function(attempt)
    done = {"status": "completed", "result": msgspec.json.encode(report).decode(), "ended_at": clock.now()}
    async with site.database.write() as session:
        await session.execute(update(m.Job).where(m.Job.task == examining.TASK).values(done))
    return report


async def test_a_review_is_started_and_read(site: Site, file_ward: Ward, tmp_path: Path) -> None:
    client, address = site.client, "/api/v1/operations/doctor"
    assert (await client.get(address)).json() == {"live": False, "error": None, "at": None, "report": None}
    started = await client.post(address)
    assert (started.status_code, "/api/v1/jobs/" in started.headers["location"]) == (202, True)
    assert (await client.post(address)).status_code == 409
    cookie = await signed_in(site, site.owner)
    assert 'hx-trigger="every 2s"' in (await client.get("/operations/doctor", headers=cookie)).text
    async with site.database.write() as session:
        await session.execute(update(m.Suite).values(case_count=m.Suite.case_count + 1))
    report = await _run(site)
    assert "total-cases" in {one["id"] for one in report["findings"]}
    read = (await client.get(address)).json()
    assert (read["live"], read["report"]) == (False, report)
    shown = (await client.get("/operations/doctor", headers=cookie)).text
    assert "A stored total is stale" in shown
    assert "UPDATE suites SET case_count" in shown


async def test_only_admins_may(site: Site) -> None:
    for method in ("GET", "POST"):
        answer = await site.client.request(method, "/api/v1/operations/doctor", headers=site.theirs)
        assert answer.status_code == 403
