"""The product in this process, for the tests of what it says over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.site import Site, opened, settings


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """On SQLite, with the samples; one per module."""
    async with opened(settings(tmp_path_factory.mktemp("site"))) as running:
        yield running


@pytest.fixture
async def fresh_site(tmp_path: Path, database_url: str) -> AsyncIterator[Site]:
    """On each database, without the samples; one per test."""
    async with opened(settings(tmp_path / "data", database_url, samples=False)) as running:
        yield running


@pytest.fixture
async def each_site(tmp_path: Path, database_url: str) -> AsyncIterator[Site]:
    """On each database, with the samples; one per test."""
    async with opened(settings(tmp_path / "data", database_url)) as running:
        yield running
