"""The product in this process, on a fresh database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.site import Site, opened, settings


@pytest.fixture
async def site(tmp_path: Path, database_url: str) -> AsyncIterator[Site]:
    """With jobs run in the process, and no sample data; once per database."""
    chosen = settings(tmp_path / "data", database_url, samples=False)
    chosen.jobs.executor = "inprocess"
    async with opened(chosen) as site:
        yield site


@pytest.fixture
async def small_site(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Site]:
    """The same on SQLite alone, and without jobs."""
    async with opened(settings(tmp_path / "data", sqlite_url, samples=False)) as site:
        yield site
