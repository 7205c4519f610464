"""One healthy installation with the sample data in use per run and database; each test gets a copy of its own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from autoforge.operations.opening import open_services
from autoforge.settings import DatabaseSettings, Settings
from tests import make, servers
from tests.operations.doctor.ward import Ward


def _settings(data: Path, url: str) -> Settings:
    return Settings(data=data, database=DatabaseSettings(url=url))


async def _use(settings: Settings) -> None:
    """The first start, with the samples, and somebody who works with them."""
    async with open_services(settings) as services, services.database.write() as session:
        suite = await make.suite(session, services.owner)
        await make.evaluation(session, services.owner, suite)
        if session.dialect == "postgresql":
            await session.execute(text("ANALYZE"))


@pytest.fixture(scope="session")
def healthy_file(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("healthy")
    shutil.copyfile(sqlite_template, folder / "autoforge.db")
    asyncio.run(_use(_settings(folder, f"sqlite:///{folder}/autoforge.db")))
    return folder


@pytest.fixture(scope="session")
def healthy_server(
    postgres_url: str, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The name of the database."""
    name = f"autoforge_healthy_{uuid4().hex[:12]}"
    servers.create_database(postgres_url, name, postgres_template)
    asyncio.run(_use(_settings(tmp_path_factory.mktemp("healthy"), servers.naming(postgres_url, name))))
    yield name
    servers.on_postgres(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def file_ward(healthy_file: Path, tmp_path: Path) -> Ward:
    """A copy on SQLite."""
    folder = tmp_path / "data"
    shutil.copytree(healthy_file, folder)
    return Ward(_settings(folder, f"sqlite:///{folder}/autoforge.db"), "sqlite")


@pytest.fixture
def server_ward(postgres_url: str, healthy_server: str, tmp_path: Path) -> Iterator[Ward]:
    """A copy on PostgreSQL."""
    name = f"autoforge_ward_{uuid4().hex[:12]}"
    servers.create_database(postgres_url, name, healthy_server)
    yield Ward(_settings(tmp_path, servers.naming(postgres_url, name)), "postgresql")
    servers.on_postgres(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def ward(dialect: str, request: pytest.FixtureRequest) -> Ward:
    found: Ward = request.getfixturevalue("file_ward" if dialect == "sqlite" else "server_ward")
    return found
