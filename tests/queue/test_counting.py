"""How jobs come out, as metrics tell it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autoforge.queue.control import cancel
from autoforge.queue.pool import Pool
from autoforge.telemetry import families, metrics
from autoforge.telemetry.cells import Cells
from tests.queue import tasks
from tests.queue.conftest import Jobs, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def cells() -> Iterator[Cells]:
    cells = Cells()
    with metrics.counting_in(cells):
        yield cells
    cells.close()


async def test_attempts_are_counted_by_task_and_outcome(cells: Cells, jobs: Jobs, pool: Pool) -> None:
    for job in [await jobs.add(tasks.echo), await jobs.add(tasks.echo), await jobs.add(tasks.fail)]:
        await jobs.ended(job)
    patient = await jobs.add(tasks.patient)
    await until(lambda: len(pool.running) == 1)
    async with jobs.database.write() as session:
        assert await cancel(session, patient) == "running"
    assert (await jobs.ended(patient)).status == "cancelled"
    counted = {series: cells.values[place] for series, place in cells.places.items()}
    enqueued = {series[1]: value for series, value in counted.items() if series[0] == families.ENQUEUED.name}
    assert enqueued == {"test.echo": 2, "test.fail": 1, "test.patient": 1}
    ended = {series[1:]: value for series, value in counted.items() if series[0] == families.FINISHED.name}
    assert ended == {
        ("test.echo", "completed"): 2,
        ("test.fail", "retried"): 2,
        ("test.fail", "dead"): 1,
        ("test.patient", "cancelled"): 1,
    }
    assert {outcome for _, outcome in ended} <= set(families.OUTCOMES)
    assert counted[families.STARTED.name, "test.fail"] == 3
    assert counted[families.RUNNING.name, "default"] == 0
