"""The product on each database, with every request looked at, and what it noticed before forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from autoforge.telemetry.levels import LEVELS
from autoforge.telemetry.n_plus_one import WATCH
from autoforge.telemetry.slow import SLOW
from tests.web.site import Site, opened, settings


@pytest.fixture
def unnoticed() -> Iterator[None]:
    """Nothing was noticed before the test, and nothing of it after."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    SLOW.clear()
    WATCH.clear()
    LEVELS.take()


@pytest.fixture
async def site(tmp_path: Path, database_url: str, unnoticed: None) -> AsyncIterator[Site]:
    async with opened(settings(tmp_path / "data", database_url, watch_every=1)) as running:
        yield running
