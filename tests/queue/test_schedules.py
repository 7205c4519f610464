"""Tasks that come by themselves: one leader, each moment once."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from autoforge.db import clock
from autoforge.db import models as m
from autoforge.queue import Context, Registry
from autoforge.queue.schedules import Schedules, next_after
from tests.queue.conftest import Jobs, StartPool

pytestmark = pytest.mark.anyio

REGISTRY = Registry()
START = datetime(2030, 1, 1, 12, 0, 30, tzinfo=UTC)


@REGISTRY.task("test.hourly", schedule="5 * * * *")
async def hourly(context: Context) -> object:
    return context.payload


class At:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)


async def moments(jobs: Jobs) -> list[str]:
    async with jobs.database.read() as session:
        rows = await session.all(select(m.Job.payload).order_by(m.Job.payload))
    return [row.payload[-len('T13:05:00Z"}') :].removesuffix('"}') for row in rows]


def standing(name: str) -> Schedules:
    return Schedules(REGISTRY, name, 90.0)


async def go(schedules: Schedules, jobs: Jobs) -> None:
    """One round, as if the last one were long ago by the machine's own clock."""
    schedules._stood = float("-inf")
    await schedules.round(jobs.database)


async def test_each_moment_becomes_one_job(jobs: Jobs) -> None:
    at, schedules = At(), standing("one")
    with clock.running_on(at):
        await go(schedules, jobs)
        assert await moments(jobs) == []
        for _ in range(10):
            at.pass_by(minutes=12)
            await go(schedules, jobs)
    assert await moments(jobs) == ["T12:05:00Z", "T13:05:00Z"]


async def test_missed_moments_become_one_job(jobs: Jobs) -> None:
    at, schedules = At(), standing("one")
    with clock.running_on(at):
        await go(schedules, jobs)
        at.pass_by(hours=30)
        await go(schedules, jobs)
        await go(schedules, jobs)
        async with jobs.database.read() as session:
            row = await session.first(select(m.Schedule.next_run_at, m.Schedule.last_run_at))
    assert await moments(jobs) == ["T12:05:00Z"]
    assert row is not None
    assert (row.next_run_at, row.last_run_at) == (datetime(2030, 1, 2, 18, 5, tzinfo=UTC), at.now)


async def test_there_is_one_leader_and_then_another(jobs: Jobs) -> None:
    at, one, two = At(), standing("one"), standing("two")
    with clock.running_on(at):
        await go(one, jobs)
        await go(two, jobs)
        assert (one.leading, two.leading) == (True, False)
        at.pass_by(seconds=89)
        await go(two, jobs)
        assert not two.leading
        at.pass_by(seconds=2)
        await go(two, jobs)
        assert two.leading
        await go(one, jobs)
        assert not one.leading


async def test_a_leader_that_slept_enqueues_nothing(jobs: Jobs) -> None:
    """It still believes to lead; the lease, asked in the same transaction, says no."""
    at, one, two = At(), standing("one"), standing("two")
    with clock.running_on(at):
        await go(one, jobs)
        at.pass_by(hours=1)
        async with jobs.database.write() as session:
            assert await two._stand(session)
        one._stood = float("inf")
        assert one.leading
        await one.round(jobs.database)
        assert (await moments(jobs), one.leading) == ([], False)
        await go(two, jobs)
    assert await moments(jobs) == ["T12:05:00Z"]


async def test_schedules_are_planned_again_when_their_rows_were_not_stored(jobs: Jobs) -> None:
    at, schedules = At(), standing("one")
    with clock.running_on(at):
        with suppress(InterruptedError):
            async with jobs.database.write() as session:
                assert await schedules._stand(session)
                raise InterruptedError
        await go(schedules, jobs)
        at.pass_by(minutes=12)
        await go(schedules, jobs)
    assert await moments(jobs) == ["T12:05:00Z"]


async def test_pools_run_what_is_due(jobs: Jobs, start_pool: StartPool) -> None:
    async with jobs.database.write() as session:
        due = {"name": "test.hourly", "next_run_at": datetime(2020, 1, 1, tzinfo=UTC)}
        await session.execute(insert(m.Schedule), due)
    for _ in range(3):
        await start_pool(REGISTRY)
    async with jobs.database.read() as session:
        found = await session.first(select(m.Job.id))
    while found is None:
        async with jobs.database.read() as session:
            found = await session.first(select(m.Job.id))
    row = await jobs.ended(found.id)
    assert (row.status, row.result, row.workspace_id) == ("completed", '{"scheduled_for":"2020-01-01T00:00:00Z"}', None)
    assert len(await moments(jobs)) == 1


def test_expressions_are_read_in_utc() -> None:
    assert next_after("0 3 * * *", START) == datetime(2030, 1, 2, 3, tzinfo=UTC)
    assert next_after("*/15 * * * *", START) == datetime(2030, 1, 1, 12, 15, tzinfo=UTC)
