"""Settings: presets per environment, each value overridable."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from autoforge.db import Database
from autoforge.db.engines import version_warnings
from autoforge.settings import DATABASE_PRESETS, DatabaseSettings, Settings
from tests.db.conftest import Open
from tests.db.tables import on_postgresql, on_sqlite


@pytest.mark.parametrize("environment", list(DATABASE_PRESETS))
def test_the_environment_chooses_the_defaults(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFORGE_ENVIRONMENT", environment)
    preset = DATABASE_PRESETS[environment]
    settings = DatabaseSettings()
    assert settings.environment == environment
    assert {name: getattr(settings, name) for name in preset} == preset


def test_a_variable_wins_over_the_preset_and_an_argument_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFORGE_ENVIRONMENT", "production")
    monkeypatch.setenv("AUTOFORGE_DATABASE_POOL_SIZE", "3")
    assert DatabaseSettings().pool_size == 3
    assert DatabaseSettings().pool_overflow == DATABASE_PRESETS["production"]["pool_overflow"]
    assert DatabaseSettings(pool_size=7).pool_size == 7
    assert Settings().database.pool_size == 3


@pytest.mark.parametrize(("name", "value"), [("POOL_SIZE", "0"), ("SYNCHRONOUS", "OFF"), ("ENVIRONMENT", "moon")])
def test_a_wrong_value_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AUTOFORGE_DATABASE_{name}", value)
    with pytest.raises(ValidationError):
        DatabaseSettings()


def test_the_embedded_database_lies_in_the_data_folder(tmp_path: Path) -> None:
    assert Settings(data=tmp_path).database_url == f"sqlite:///{tmp_path / 'autoforge.db'}"


def test_an_old_sqlite_is_warned_about() -> None:
    assert version_warnings((3, 51, 3)) == ()
    assert "SQLite 3.40.1" in version_warnings((3, 40, 1))[0]


@pytest.mark.anyio
@on_sqlite
async def test_the_settings_reach_sqlite(open_database: Open) -> None:
    database = await open_database(cache_mb=3, mmap_mb=5)
    async with database.read() as session:
        assert await session.scalar(text("PRAGMA cache_size")) == -1024
        assert await session.scalar(text("PRAGMA mmap_size")) == 5 * 1024 * 1024
        assert await session.scalar(text("PRAGMA query_only")) == 1
    async with database.write() as writing:
        assert await writing.scalar(text("PRAGMA cache_size")) == -3072


@pytest.mark.anyio
@on_postgresql
async def test_the_settings_reach_postgresql(open_database: Open) -> None:
    database = await open_database(statement_timeout=7, isolation_level="SERIALIZABLE")

    async def shown(database: Database, door: str, name: str) -> object:
        async with database.read() if door == "read" else database.write() as session:
            return await session.scalar(text(f"SHOW {name}"))

    assert await shown(database, "read", "transaction_isolation") == "repeatable read"
    assert await shown(database, "read", "transaction_read_only") == "on"
    assert await shown(database, "write", "transaction_isolation") == "serializable"
    assert await shown(database, "write", "transaction_read_only") == "off"
    assert await shown(database, "write", "statement_timeout") == "7s"
    assert await shown(database, "write", "application_name") == "autoforge"
    assert await shown(database, "write", "timezone") == "UTC"


@pytest.mark.anyio
@on_postgresql
async def test_a_connection_that_cannot_be_rolled_back_leaves_the_pool_without_an_error(open_database: Open) -> None:
    database = await open_database(pool_size=1, pool_overflow=0)
    running: list[asyncio.Task[object]] = []
    for door in (database.read, database.write):
        with suppress(ZeroDivisionError):  # the error of the block is the one that counts
            async with door() as session:
                assert await session.scalar(text("SELECT 1")) == 1
                raw: Any = session.connection.connection.driver_connection
                running.append(asyncio.create_task(raw.execute("SELECT pg_sleep(60)")))
                await asyncio.sleep(0)  # the driver refuses whatever comes before this has ended
                raise ZeroDivisionError
        async with database.read() as session:
            assert await session.scalar(text("SELECT 2")) == 2
    ended = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(one, Exception) for one in ended)
