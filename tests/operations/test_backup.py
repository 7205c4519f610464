"""A backup that was made beside a running installation can be restored, and is whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from autoforge.cli import autoforge
from autoforge.errors import BadInput, DatabaseUnavailable
from autoforge.operations.opening import open_services
from autoforge.settings import Settings
from tests import make, servers


def _said(*words: str | Path) -> Result:
    return CliRunner().invoke(autoforge, ["db", *map(str, words)])


@pytest.fixture
def data(sqlite_template: Path, tmp_path: Path) -> Path:
    """A data directory whose path says something to a URL and to a shell."""
    folder = tmp_path / "a 100%20 #1? 'data'"
    folder.mkdir()
    shutil.copyfile(sqlite_template, folder / "autoforge.db")
    return folder


async def _names(data: Path) -> set[str]:
    async with open_services(Settings(data=data, samples=False)) as services, services.database.read() as session:
        from sqlalchemy import select

        from autoforge.db import models as m

        return {row.name for row in await session.all(select(m.Prompt.name))}


@pytest.mark.anyio
async def test_a_backup_beside_a_writer_holds_what_was_committed(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    async with open_services(Settings(data=data, samples=False)) as services:
        async with services.database.write() as session:
            await make.prompt(session, services.owner, "committed")
        async with services.database.write() as session:
            await make.prompt(session, services.owner, "not-yet")
            said = _said("backup", file, "--data", data)
        assert said.exit_code == 0, said.output
    assert said.output.count("\n") == 1
    assert "at revision 0006" in said.output
    assert str(data / "secret") in said.output
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == sorted([data.name, "backup.db"])
    restored = tmp_path / "restored"
    restored.mkdir()
    shutil.copyfile(file, restored / "autoforge.db")
    shutil.copyfile(data / "secret", restored / "secret")
    assert await _names(restored) == {"committed"}


def test_a_backup_passes_the_checks(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    assert _said("backup", file, "--data", data, "--json").exit_code == 0
    assert _said("check", "--database-url", f"sqlite:///{file}").exit_code == 0
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_nothing_is_overwritten_and_nothing_half_is_left(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "there"
    file.write_text("mine")
    assert isinstance(_said("backup", file, "--data", data).exception, BadInput)
    assert file.read_text() == "mine"
    missing = _said("backup", tmp_path / "new", "--data", tmp_path)
    assert isinstance(missing.exception, DatabaseUnavailable)
    (data / "autoforge.db").write_bytes(b"no database" * 1000)
    assert isinstance(_said("backup", tmp_path / "new", "--data", data).exception, DatabaseUnavailable)
    assert isinstance(_said("backup", tmp_path / "no" / "new", "--data", data).exception, OSError)
    assert sorted(os.listdir(tmp_path)) == sorted([data.name, "there"])


def test_postgresql_has_a_program_of_its_own() -> None:
    said = _said("backup", "new", "--database-url", "postgresql://localhost:1/none")
    assert isinstance(said.exception, BadInput)
    assert "pg_dump" in said.exception.detail


@pytest.mark.skipif(shutil.which("pg_restore") is None, reason="PostgreSQL's programs are not there")
def test_a_dump_of_postgresql_is_restored_as_the_page_says(
    postgres_database_url: str, postgres_url: str, tmp_path: Path
) -> None:
    file, name = tmp_path / "backup.dump", f"autoforge_restored_{uuid4().hex[:12]}"
    subprocess.run(["pg_dump", "--format=custom", "--file", file, postgres_database_url], check=True)
    servers.on_postgres(postgres_url, f"CREATE DATABASE {name}")
    try:
        restored = servers.naming(postgres_url, name)
        subprocess.run(["pg_restore", "--no-owner", "--exit-on-error", "--dbname", restored, file], check=True)
        assert _said("check", "--database-url", restored).exit_code == 0
    finally:
        servers.on_postgres(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
