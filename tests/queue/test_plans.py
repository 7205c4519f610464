"""What the queue asks of the database stays cheap, whatever is in the table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from autoforge.db import bulk, clock, count_statements, plans
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.db.trace import add_hook
from autoforge.queue import claims, control, outcomes
from autoforge.queue.backlog import backlogs
from autoforge.queue.context import Context
from tests import make
from tests.queue import tasks
from tests.queue.conftest import Jobs

pytestmark = pytest.mark.anyio

ALLOWED: dict[str, str] = {}


def rows(number: int, **values: Any) -> Any:
    now = clock.now()
    for index in range(number):
        at = now - timedelta(seconds=index)
        fixed = {"id": new_id(), "task": "test.echo", "run_after": at, "turn_at": at, "created_at": at}
        yield fixed | {"status": "pending", "queue": "default", "ended_at": None, "lease_until": None} | values


@pytest.fixture
async def filled(jobs: Jobs) -> Jobs:
    now = clock.now()
    async with jobs.database.write(bulk=True) as session:
        await bulk.insert_many(session, m.Job, rows(20_000, status="completed", ended_at=now))
        await bulk.insert_many(session, m.Job, rows(3_000))
        await bulk.insert_many(session, m.Job, rows(3_000, queue="other"))
        await bulk.insert_many(
            session, m.Job, rows(200, status="running", lease_until=now + timedelta(hours=1), worker="busy")
        )
        await make.analyze(session)
    return jobs


async def whole_life(jobs: Jobs) -> None:
    """Everything that workers and people say to the table, once."""
    job_id = await jobs.add(tasks.echo, key="key", priority=100)
    assert await jobs.add(tasks.echo, key="key") == job_id
    async with jobs.database.read() as session:
        assert await claims.any_waiting(session, ["default", "other"])
        assert not await claims.any_expired(session)
        assert await claims.abandoned(session) == []
        assert await claims.cancelling(session, "me") == set()
        assert [one.waiting for one in await backlogs(session, ["default", "other", "none"])] == [3_001, 3_000, 0]
    async with jobs.database.write() as session:
        claimed = await claims.claim(session, ["default", "other"], "me", 50, 30)
        assert claimed[0].id == job_id
        assert len(await claims.renew(session, "me", [job.id for job in claimed], 30)) == 50
        contexts = [Context(job, jobs.services) for job in claimed]
        await claims.note_progress(session, contexts)
        await contexts[1].checkpoint(session, 1)
        await contexts[1].complete_with(session, 1)
        await claims.settle(session, [outcomes.cancelled(claimed[0]), outcomes.handed_back(claimed[2])])
        assert await claims.recover(session) == 0
        assert await control.cancel(session, claimed[3].id) == "running"
        assert await control.retry(session, claimed[0].id)


async def test_every_statement_uses_an_index(filled: Jobs) -> None:
    collected = plans.Collected()
    take_away = add_hook(collected)
    await whole_life(filled)
    take_away()
    found = []
    async with filled.database.read() as session:
        for ran in collected.examples.values():
            found += await plans.findings(session, ran.name, ran.sql, ran.bound)
    assert len(collected.examples) >= 14
    assert plans.unexpected(found, ALLOWED) == []


async def test_a_turn_is_three_statements_however_many_jobs(filled: Jobs) -> None:
    counts = []
    for number in (5, 100):
        with count_statements() as counted:
            async with filled.database.write() as session:
                claimed = await claims.claim(session, ["default"], "me", number, 30)
                ended = [outcomes.cancelled(job) for job in claimed[1:]]
                await claims.settle(session, [*ended, outcomes.handed_back(claimed[0])])
        assert len(claimed) == number
        counts.append(counted.count)
    assert counts == [3, 3]


async def test_jobs_of_tomorrow_are_not_walked_through(jobs: Jobs) -> None:
    later = clock.now() + timedelta(days=1)
    async with jobs.database.write(bulk=True) as session:
        await session.execute(insert(m.Job), list(rows(2_000, run_after=later, turn_at=later)))
        claimed = await claims.claim(session, ["default"], "me", 10, 30)
        assert claimed == []
