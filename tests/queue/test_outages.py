"""A database that goes away and comes back: a line at the begin, one at the end, and no traceback."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from autoforge.cache import Cache, Stamps
from autoforge.db import Database
from autoforge.queue.pool import Pool
from autoforge.settings import DatabaseSettings, JobsSettings, Settings
from tests import servers
from tests.queue import tasks
from tests.queue.conftest import QUICK, Jobs, Services, until

pytestmark = pytest.mark.anyio

BEGIN = ("jobs can be neither claimed nor finished now", "jobs cannot be tended now")
END = ("jobs are claimed and finished again", "jobs are tended again")


def shut(url: str, name: str) -> None:
    servers.on_postgres(url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    servers.on_postgres(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


async def test_an_outage_is_two_lines_for_each_loop(
    postgres_url: str, postgres_database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def said(beginnings: tuple[str, ...]) -> Counter[str]:
        messages = [record.getMessage() for record in caplog.records]
        return Counter(one for one in beginnings for message in messages if message.startswith(one))

    name = postgres_database_url.rpartition("/")[2]
    async with await Database.open(DatabaseSettings(url=postgres_database_url)) as database:
        jobs = Jobs(Services(Settings(data=tmp_path), database, Cache(Stamps())))
        pool = Pool(jobs.services, registry=tasks.REGISTRY, settings=JobsSettings(**QUICK))
        await pool.start()
        try:
            await asyncio.to_thread(shut, postgres_url, name)
            await until(lambda: len(said(BEGIN)) == 2)
            await asyncio.to_thread(servers.on_postgres, postgres_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await until(lambda: len(said(END)) == 2)
        finally:
            await pool.stop()
    assert set(said(BEGIN + END).values()) == {1}
    assert [record for record in caplog.records if record.exc_info] == []
