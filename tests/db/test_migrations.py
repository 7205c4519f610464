"""Migrations: up, down and up again on both databases; models and schema agree; the quick answer is the right one."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from autoforge.db import Database, migrate, revision
from autoforge.db.driver import dbapi
from autoforge.errors import AutoforgeError, BadInput, Conflict, DatabaseUnavailable, NotFound
from tests import servers


async def _aside(function: object, *arguments: object) -> object:
    """Migrations run their own event loop, so they need a thread of their own."""
    return await asyncio.to_thread(function, *arguments)  # type: ignore[arg-type]


async def test_models_and_schema_agree(database_url: str) -> None:
    assert await _aside(migrate.drift, database_url) == []


async def test_up_down_and_up_again(database_url: str) -> None:
    newest = revision.newest()
    assert await _aside(migrate.current_revision, database_url) == newest
    await _aside(migrate.downgrade, database_url, "base")
    assert await _aside(migrate.current_revision, database_url) is None
    assert not await _aside(revision.is_current, database_url)
    await _aside(migrate.upgrade, database_url)
    assert await _aside(migrate.current_revision, database_url) == newest
    assert await _aside(migrate.drift, database_url) == []


async def test_each_revision_by_itself(database_url: str) -> None:
    await _aside(migrate.downgrade, database_url, "base")
    for number in range(1, int(revision.newest()) + 1):
        await _aside(migrate.upgrade, database_url, f"{number:04}")
    for number in range(int(revision.newest()) - 1, 0, -1):
        await _aside(migrate.downgrade, database_url, f"{number:04}")
    await _aside(migrate.upgrade, database_url)
    assert await _aside(revision.is_current, database_url)


def test_files_are_numbered_as_alembic_orders_them() -> None:
    assert revision.newest() == migrate.newest_revision()


def test_what_cannot_be_asked_is_not_current(tmp_path: object) -> None:
    assert not revision.is_current(f"sqlite:///{tmp_path}/none.db")
    assert not revision.is_current("postgresql://nobody@127.0.0.1:1/none")


async def _put(database: Database, at: str) -> None:
    async with database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = :at"), {"at": at})


@pytest.mark.parametrize(
    ("at", "why"), [("9999", "newer version of the product"), ("abc", "No version has this number")]
)
async def test_what_another_version_migrated_is_left_alone(
    database: Database, database_url: str, at: str, why: str
) -> None:
    await _put(database, at)
    with pytest.raises(Conflict, match=f"at revision {at}, which this version does not know .*{why}"):
        await _aside(migrate.upgrade, database_url)
    assert await _aside(migrate.current_revision, database_url) == at
    assert why in migrate.remedy(at)
    assert "upgrade" not in migrate.remedy(at)


async def test_several_revisions_at_once_are_one_sentence(database: Database, database_url: str) -> None:
    async with database.write() as session:
        await session.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    for function in (migrate.upgrade, migrate.current_revision):
        with pytest.raises(Conflict, match=r"cannot be migrated: .*more than one head"):
            await _aside(function, database_url)


def test_behind_and_never_migrated_are_told_apart() -> None:
    assert migrate.remedy("0001").endswith(f"the newest is {revision.newest()}: run `autoforge db upgrade`.")
    assert migrate.remedy(None) == "The database was never migrated: run `autoforge db upgrade`."


async def test_to_ask_makes_no_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/folder/none.db"
    for function in (migrate.current_revision, migrate.drift):
        with pytest.raises(NotFound, match=r"There is no database at .*none\.db"):
            await _aside(function, url)
    assert os.listdir(tmp_path) == []


async def test_to_ask_waits_for_nobody_who_writes(sqlite_url: str, tmp_path: Path) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    before = {name for name in os.listdir(path.parent) if name.endswith("-turns")}
    with closing(dbapi.connect(str(path), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE alembic_version SET version_num = '0001'")
        assert await _aside(migrate.current_revision, sqlite_url) == revision.newest()
        assert await _aside(migrate.drift, sqlite_url) == []
    assert {name for name in os.listdir(path.parent) if name.endswith("-turns")} == before


@pytest.mark.parametrize("left", [0.5, 0.01, -1])
def test_a_file_that_is_no_database_or_cut_off_is_one_sentence(sqlite_url: str, left: float) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    if left < 0:
        path.write_text("This is a letter, and not a database at all. " * 100)
    else:
        os.truncate(path, int(path.stat().st_size * left))
    for function in (migrate.current_revision, migrate.upgrade):
        with pytest.raises(DatabaseUnavailable, match="the database file is damaged or is none"):
            function(sqlite_url)


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/none", "postgresql://nobody@no-such-host.invalid/none"]
)
async def test_a_server_that_does_not_answer_is_one_sentence(url: str) -> None:
    for function in (migrate.current_revision, migrate.upgrade):
        with pytest.raises(DatabaseUnavailable, match="the database does not answer"):
            await _aside(function, url)


async def test_a_database_that_the_server_does_not_have_is_one_sentence(postgres_url: str) -> None:
    with pytest.raises(AutoforgeError, match='database "autoforge_none" does not exist') as raised:
        await _aside(migrate.upgrade, servers.naming(postgres_url, "autoforge_none"))
    assert not isinstance(raised.value, BadInput)
