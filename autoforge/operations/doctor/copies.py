"""A place to try an index out: a copy that nobody else sees, and that is gone afterwards.

SQLite: a file in a temporary folder. ``VACUUM INTO`` makes it from one snapshot and holds up nobody; of a file that is
too large for that, the schema and the planner's statistics are copied, which is all that a plan depends on. PostgreSQL:
temporary tables that stand in front of the real ones in one transaction, with their indexes and a sample of their rows;
the transaction is rolled back. All that it locks of the real tables is what reading them locks.
"""

from __future__ import annotations

import asyncio
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from autoforge.db import ReadSession, WriteSession
from autoforge.db.driver import dbapi
from autoforge.db.engines import read_only_uri
from autoforge.db.models import Base
from autoforge.errors import AutoforgeError
from autoforge.operations.doctor.catalogue import Known
from autoforge.operations.doctor.explaining import AVOIDED, Plan, explain
from autoforge.operations.doctor.patient import Patient

_WHOLE = 256 * 1024 * 1024
"""Bytes up to which a SQLite file is copied whole."""
_AVOID = text("SELECT " + ", ".join(f"set_config('enable_{name}', 'off', true)" for name in AVOIDED))
_SAMPLE = 1_000
"""Rows of a table that are copied on PostgreSQL."""


class Copy(ABC):
    """``kind`` says what was copied, for the proof."""

    kind: str

    @abstractmethod
    async def plan(self, known: Known) -> Plan | None:
        """The plan on the copy, None where the statement cannot be explained."""

    @abstractmethod
    async def create(self, ddl: str) -> bool:
        """Whether the index could be made."""

    @abstractmethod
    async def drop(self, name: str) -> None: ...


async def plan_on(session: ReadSession, known: Known) -> Plan | None:
    """The plan on the database itself; None where it cannot be explained, which ends the session's use."""
    try:
        if session.dialect == "postgresql":
            await avoid(session)
        return await session.call(explain, session.connection, known)
    except (AutoforgeError, SQLAlchemyError):
        return None


async def avoid(session: ReadSession) -> None:
    await session.execute(_AVOID)


@asynccontextmanager
async def copied(patient: Patient, tables: Iterable[str]) -> AsyncIterator[Copy]:
    """A copy in which at least these tables are the reader's own."""
    if patient.is_sqlite:
        with tempfile.TemporaryDirectory(prefix="autoforge-doctor-") as folder:
            connection, kind = await asyncio.to_thread(_copy_file, patient.path, Path(folder) / "copy.db")
            try:
                yield _FileCopy(connection, kind)
            finally:
                await asyncio.to_thread(_close, connection)
        return
    try:
        async with patient.database.write() as session:
            for table in tables:
                await _copy_table(session, table)
            yield _ServerCopy(session)
            raise _RolledBack
    except _RolledBack:
        pass


class _RolledBack(Exception):
    """Ends the transaction of a copy."""


def _copy_file(path: Path, beside: Path) -> tuple[Connection, str]:
    source = dbapi.connect(read_only_uri(path), uri=True, isolation_level=None)
    try:
        source.execute("PRAGMA busy_timeout=5000")
        if path.stat().st_size <= _WHOLE:
            source.execute("VACUUM INTO ?", (str(beside),))
            kind = "a copy of the file"
        else:
            _copy_schema(source, beside)
            kind = "a copy of the schema with the planner's statistics"
    finally:
        source.close()
    engine = create_engine(
        "sqlite://",
        module=dbapi.dbapi2,
        creator=lambda: dbapi.connect(beside, check_same_thread=False),
        poolclass=NullPool,
    )
    return engine.connect(), kind


def _copy_schema(source: Any, beside: Path) -> None:
    target = dbapi.connect(beside, isolation_level=None)
    asked = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND type IN ('table', 'index') ORDER BY rootpage"
    rows = source.execute(f"{asked} = 0, type DESC").fetchall()
    virtual = tuple(name for name, sql in rows if sql.upper().startswith("CREATE VIRTUAL"))
    for name, sql in rows:
        is_shadow = name not in virtual and name.startswith(tuple(f"{one}_" for one in virtual))
        if not name.startswith("sqlite_") and not is_shadow:
            target.execute(sql)
    if source.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchone():
        target.execute("ANALYZE")
        target.execute("DELETE FROM sqlite_stat1")
        target.executemany(
            "INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", source.execute("SELECT tbl, idx, stat FROM sqlite_stat1")
        )
    target.close()


def _close(connection: Connection) -> None:
    connection.close()
    connection.engine.dispose()


class _FileCopy(Copy):
    def __init__(self, connection: Connection, kind: str) -> None:
        self._connection, self.kind = connection, kind

    async def plan(self, known: Known) -> Plan | None:
        try:
            return await asyncio.to_thread(explain, self._connection, known)
        except SQLAlchemyError:
            return None

    async def create(self, ddl: str) -> bool:
        try:
            await asyncio.to_thread(self._connection.exec_driver_sql, ddl)
        except SQLAlchemyError:
            return False
        return True

    async def drop(self, name: str) -> None:
        await asyncio.to_thread(self._connection.exec_driver_sql, f"DROP INDEX IF EXISTS {name}")


async def _copy_table(session: WriteSession, name: str) -> None:
    schema = await session.scalar(text("SELECT current_schema()"))
    columns = ", ".join(f'"{one.name}"' for one in Base.metadata.tables[name].columns if one.computed is None)
    rows = f'SELECT {columns} FROM "{schema}".{name} LIMIT {_SAMPLE}'
    for statement in (
        f'CREATE TEMPORARY TABLE {name} (LIKE "{schema}".{name} INCLUDING ALL) ON COMMIT DROP',
        f"INSERT INTO pg_temp.{name} ({columns}) {rows}",
        f"ANALYZE pg_temp.{name}",
    ):
        await session.execute(text(statement))


class _ServerCopy(Copy):
    kind = f"temporary tables with their indexes and up to {_SAMPLE:,} rows"

    def __init__(self, session: WriteSession) -> None:
        self._session = session

    async def plan(self, known: Known) -> Plan | None:
        try:
            async with self._session.begin_nested():
                await avoid(self._session)
                return await self._session.call(explain, self._session.connection, known)
        except (AutoforgeError, SQLAlchemyError):
            return None

    async def create(self, ddl: str) -> bool:
        try:
            async with self._session.begin_nested():
                await self._session.execute(text(ddl.replace(" CONCURRENTLY", "")))
        except (AutoforgeError, SQLAlchemyError):
            return False
        return True

    async def drop(self, name: str) -> None:
        await self._session.execute(text(f"DROP INDEX IF EXISTS pg_temp.{name}"))
