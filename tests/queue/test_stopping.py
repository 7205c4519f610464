"""Jobs that should end before they are done: cancelled, tried again, handed back."""

from __future__ import annotations

from uuid import UUID

import pytest

from autoforge.db import clock
from autoforge.queue import Task, statements
from autoforge.queue.control import cancel, retry
from autoforge.queue.pool import Pool
from autoforge.settings import JobsSettings
from tests.queue import tasks
from tests.queue.conftest import QUICK, Jobs, StartPool, until

pytestmark = pytest.mark.anyio


async def stop(jobs: Jobs, job_id: UUID) -> str | None:
    async with jobs.database.write() as session:
        return await cancel(session, job_id)


async def test_what_has_not_begun_is_cancelled_at_once(jobs: Jobs) -> None:
    job_id = await jobs.add(tasks.echo)
    assert await stop(jobs, job_id) == "cancelled"
    row = await jobs.read(job_id)
    assert (row.status, row.attempt) == ("cancelled", 0)
    assert row.ended_at is not None
    assert await stop(jobs, job_id) is None


@pytest.mark.parametrize("task", [tasks.patient, tasks.patient_thread, tasks.patient_process])
async def test_a_running_job_sees_that_it_is_cancelled(jobs: Jobs, pool: Pool, task: Task) -> None:
    job_id = await jobs.add(task)
    if task.process:
        await jobs.when(job_id, lambda row: row.done == 1)
    await jobs.running(job_id)
    assert await stop(jobs, job_id) == "running"
    assert (await jobs.ended(job_id)).status == "cancelled"


async def test_a_cancellation_from_elsewhere_is_seen(jobs: Jobs, pool: Pool) -> None:
    """Another process wakes nobody here: the pool finds it by itself."""
    job_id = await jobs.add(tasks.patient)
    await jobs.running(job_id)
    async with jobs.database.write() as session:
        await session.execute(statements.CANCEL, {"of": job_id, "moment": clock.now()})
    assert (await jobs.ended(job_id)).status == "cancelled"


@pytest.mark.parametrize("task", [tasks.deaf, tasks.deaf_process])
async def test_who_does_not_listen_is_interrupted(jobs: Jobs, start_pool: StartPool, task: Task) -> None:
    await start_pool(cancel_seconds=0.05)
    job_id = await jobs.add(task)
    if task.process:
        await jobs.when(job_id, lambda row: row.done == 1)
    await jobs.running(job_id)
    await stop(jobs, job_id)
    assert (await jobs.ended(job_id)).status == "cancelled"


async def test_a_cancelled_job_is_not_retried(jobs: Jobs, pool: Pool) -> None:
    job_id = await jobs.add(tasks.fail)
    async with jobs.database.write() as session:
        await session.execute(statements.CANCEL, {"of": job_id, "moment": clock.now()})
    assert (await jobs.ended(job_id)).status in ("cancelled", "dead")


async def test_a_dead_job_is_tried_again(jobs: Jobs, pool: Pool) -> None:
    job_id = await jobs.add(tasks.fail)
    dead = await jobs.ended(job_id)
    async with jobs.database.write() as session:
        assert await retry(session, job_id)
    again = await jobs.when(job_id, lambda row: row.attempt == 6 and row.ended_at is not None)
    assert (dead.attempt, again.status, again.failures) == (3, "dead", 3)


async def test_only_what_ended_badly_is_tried_again(jobs: Jobs, pool: Pool) -> None:
    job_id = await jobs.add(tasks.echo)
    await jobs.ended(job_id)
    async with jobs.database.write() as session:
        assert not await retry(session, job_id)


@pytest.mark.parametrize("task", [tasks.patient, tasks.patient_thread, tasks.deaf, tasks.deaf_process])
async def test_a_pool_that_stops_hands_its_work_back(jobs: Jobs, task: Task) -> None:
    settings = JobsSettings(**QUICK | {"most_workers": 2, "claim_ahead": 10, "shutdown_seconds": 0.1})
    pool = Pool(jobs.services, registry=tasks.REGISTRY, settings=settings)
    pool._ahead = 10
    ids = [await jobs.add(task) for _ in range(6)]
    await pool.start()
    await until(lambda: len(pool.running) == 2)
    await pool.stop()
    rows = [await jobs.read(job_id) for job_id in ids]
    assert {(row.status, row.failures, row.worker, row.lease_until) for row in rows} == {("pending", 0, None, None)}
    assert [row.attempt for row in rows[:2]] == [1, 1]
    assert pool.workers == 0


async def test_a_pool_that_stops_lets_jobs_end(jobs: Jobs) -> None:
    pool = Pool(jobs.services, registry=tasks.REGISTRY, settings=JobsSettings(**QUICK))
    await pool.start()
    job_id = await jobs.add(tasks.in_process)
    await until(lambda: bool(pool.running))  # what is claimed but has not begun would be handed back
    await pool.stop()
    assert (await jobs.read(job_id)).status == "completed"
