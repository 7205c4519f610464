"""The embedded database: a SQLite file, several readers, one writer."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import cast

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util.concurrency import greenlet_spawn

from autoforge.db.admission import Gate, connection_line
from autoforge.db.connection import SQLiteConnection, StatementCancelled, dbapi
from autoforge.db.doors import Database, ReadDoor, WriteDoor
from autoforge.db.engines import file_of, sqlite_engine, version_warnings
from autoforge.db.sessions import ReadSession, WriteSession
from autoforge.db.turns import open_turns
from autoforge.db.writer import Block, Writer
from autoforge.errors import DatabaseUnavailable
from autoforge.settings import DatabaseSettings

Reader = tuple[Connection, SQLiteConnection]


async def _connect(engine: Engine) -> Reader:
    """A connection to keep. SQLAlchemy believes to be in a transaction for ever; BEGIN and ROLLBACK are ours."""
    try:
        connection = await greenlet_spawn(engine.connect)
    except StatementCancelled as carrier:  # the first connection asks what kind of database this is
        raise carrier.cancelled from None
    except (DBAPIError, OSError) as error:
        raise DatabaseUnavailable(f"the database file cannot be opened: {getattr(error, 'orig', error)}") from error
    connection.begin()
    return connection, cast(SQLiteConnection, connection.connection.dbapi_connection)


class EmbeddedDatabase(Database):
    """Readers are opened when first needed, and kept."""

    dialect, pool = "sqlite", "readers"

    def __init__(self, path: Path, settings: DatabaseSettings, writer: Writer, writing: Reader) -> None:
        self.path = path
        self.warnings = version_warnings(dbapi.sqlite_version_info)
        self.writer = writer
        self._writing = writing
        self._engine = sqlite_engine(path, settings, read_only=True)
        self._readers: list[Reader] = []
        self.gate = Gate(connection_line(settings, self.pool), settings.pool_size)

    @classmethod
    async def start(cls, url: URL, settings: DatabaseSettings) -> EmbeddedDatabase:
        path = file_of(url)
        writing = await _connect(sqlite_engine(path, settings, read_only=False))
        return cls(path, settings, Writer(*writing, settings, open_turns(path)), writing)

    def read(self, *, stale_ok: bool = False) -> ReadDoor:
        return _Read(self)

    def write(self, *, bulk: bool = False) -> WriteDoor:
        return _Write(self, bulk)

    async def take_reader(self) -> Reader:
        if not self.gate.try_enter():
            await self.gate.enter()
        if self._readers:
            return self._readers.pop()
        try:
            return await _connect(self._engine)
        except BaseException:
            self.gate.leave()
            raise

    async def give_back(self, reader: Reader) -> None:
        driver = reader[1]
        try:
            if not driver.settled:
                await driver.settle()
            driver.rollback_inline()
            self._readers.append(reader)
        finally:
            self.gate.leave()

    async def close(self) -> None:
        self.gate.close()
        await self.writer.close()
        await self.gate.emptied()
        while self._readers:
            await greenlet_spawn(self._readers.pop()[0].close)
        await greenlet_spawn(self._writing[0].close)


class _Read(ReadDoor):
    __slots__ = ("_database", "_reader", "_session")

    def __init__(self, database: EmbeddedDatabase) -> None:
        self._database = database

    async def __aenter__(self) -> ReadSession:
        self._reader = await self._database.take_reader()
        connection, driver = self._reader
        driver.command("BEGIN")
        self._session = ReadSession(connection, driver)
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.end()
        await self._database.give_back(self._reader)


class _Write(WriteDoor):
    __slots__ = ("_block", "_bulk")

    _database: EmbeddedDatabase

    def __init__(self, database: EmbeddedDatabase, bulk: bool) -> None:
        super().__init__(database)
        self._bulk = bulk

    async def _begin(self) -> WriteSession:
        self._block: Block = await self._database.writer.enter(bulk=self._bulk)
        return self._block.session

    async def _end(self, error: BaseException | None) -> None:
        if error is None:
            await self._database.writer.leave(self._block)
        else:
            await self._database.writer.abandon(self._block)
