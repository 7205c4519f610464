"""What the overview counts by day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from autoforge.db import Database
from autoforge.operations import queries
from tests import make

pytestmark = pytest.mark.anyio
TODAY = 20_000  # days since 1970


def _at(day: int, **after: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day, **after)


async def test_all_runs_of_a_day_count_and_days_end_at_midnight_in_utc(database: Database) -> None:
    async with database.write() as session:
        owner = await make.actor(session)
        await make.evaluations(session, owner, 2, cases=10, created_at=_at(TODAY))
        await make.evaluations(session, owner, 1, cases=7, created_at=_at(TODAY, hours=17))
        await make.evaluations(session, owner, 1, cases=100, created_at=_at(TODAY, microseconds=-1))
        await make.evaluations(session, owner, 1, cases=3, created_at=_at(TODAY - queries.DAYS + 1))
        await make.evaluations(session, owner, 1, cases=9, created_at=_at(TODAY - queries.DAYS + 1, microseconds=-1))
    async with database.read() as session:
        found = await queries.activity(session, owner.workspace_id, TODAY)
    assert found == [3, *[0] * (queries.DAYS - 3), 100, 27]
