"""What is examined: an installation's settings, its database (for reading only), its machine, and its live figures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import cast

from sqlalchemy import URL, text
from sqlalchemy.util.concurrency import greenlet_spawn

from autoforge.db import Database, ReadSession
from autoforge.db.doors import WriteDoor
from autoforge.db.embedded import EmbeddedDatabase, Reader
from autoforge.db.engines import file_of, parse_url
from autoforge.db.writer import Writer
from autoforge.errors import DatabaseUnavailable
from autoforge.operations.doctor.host import Host
from autoforge.operations.doctor.traffic import Traffic
from autoforge.settings import DatabaseSettings, Settings

_ANYTHING = text("SELECT 1")


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on something is a finding. The defaults are what docs/doctor.md says."""

    seconds: float = 20.0  # that one check may take
    large_table: int = 1_000  # rows from which a full scan counts
    hit_rate: float = 0.5  # of a kind of cached value
    enough_reads: int = 1_000  # of that kind, to judge by
    slow_statement: float = 0.1  # seconds, the specification's P99
    enough_calls: int = 20  # of a statement or route, to judge by
    pool_wait: float = 0.05  # seconds
    free_share: float = 0.25  # of a SQLite file, unused
    free_bytes: int = 16 * 1024 * 1024
    wal_bytes: int = 256 * 1024 * 1024
    dead_rows: int = 10_000
    dead_share: float = 0.2
    unanalysed_rows: int = 20_000
    analysed_within: timedelta = timedelta(hours=1)
    index_uptime: timedelta = timedelta(days=1)  # of statistics, before an index counts as unused
    disk_share: float = 0.1  # of the disk, free
    disk_bytes: int = 512 * 1024 * 1024
    sync_seconds: float = 0.05
    clock_skew: float = 2.0  # seconds
    waiting: timedelta = timedelta(hours=1)  # of a job whose time has come
    lease_over: timedelta = timedelta(minutes=5)


class ReadOnlyFile(EmbeddedDatabase):
    """The embedded database without its writer: nothing is created, migrated, checkpointed or locked."""

    def __init__(self, path: Path, settings: DatabaseSettings) -> None:
        super().__init__(path, settings, cast(Writer, None), cast(Reader, None))

    def write(self, *, bulk: bool = False) -> WriteDoor:
        raise RuntimeError("the doctor does not write")

    async def close(self) -> None:
        self.gate.close()
        await self.gate.emptied()
        while self._readers:
            await greenlet_spawn(self._readers.pop()[0].close)


@dataclass(slots=True)
class Patient:
    """What the checks get. ``progress`` is what a check that runs out of time had seen until then."""

    settings: Settings
    database: Database
    url: URL
    host: Host
    traffic: Traffic | None = None
    limits: Limits = field(default_factory=Limits)
    rows: dict[str, int] = field(default_factory=dict)
    progress: str = ""
    note: Callable[[str, str], None] = lambda _what, _why: None

    @property
    def is_sqlite(self) -> bool:
        return self.database.dialect == "sqlite"

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return file_of(self.url)

    @property
    def data(self) -> Path:
        return self.settings.data

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        async with self.database.read() as session:
            yield session


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Database, URL]]:
    """The database for reading. DatabaseUnavailable when there is none; BadInput for a wrong address."""
    url = parse_url(settings.database_url)
    if url.get_backend_name() == "sqlite":
        path = file_of(url)
        if not path.is_file():
            raise DatabaseUnavailable(f"There is no database at {path}.")
        database: Database = ReadOnlyFile(path, settings.database)
    else:
        database = await Database.open(settings)
    try:
        async with database.read() as session:
            await session.scalar(_ANYTHING)
        yield database, url
    finally:
        await database.close()
