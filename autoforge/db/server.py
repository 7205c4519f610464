"""PostgreSQL: one pool, a fair line in front of it, READ ONLY transactions for reading."""

from __future__ import annotations

import logging
from types import TracebackType

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.util.concurrency import greenlet_spawn

from autoforge.db.admission import Gate, connection_line
from autoforge.db.doors import Database, ReadDoor, WriteDoor
from autoforge.db.engines import postgresql_engine
from autoforge.db.sessions import ReadSession, WriteSession
from autoforge.errors import DatabaseUnavailable, Overloaded
from autoforge.settings import DatabaseSettings

log = logging.getLogger(__name__)


class ServerDatabase(Database):
    dialect, pool = "postgresql", "connections"

    def __init__(self, engine: Engine, settings: DatabaseSettings) -> None:
        self._engine = engine
        # The options travel with the transaction's BEGIN, and SQLAlchemy takes them back with the connection.
        self._reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self.gate = Gate(connection_line(settings, self.pool), settings.pool_size + settings.pool_overflow)

    @classmethod
    async def start(cls, url: URL, settings: DatabaseSettings) -> ServerDatabase:
        database = cls(postgresql_engine(url, settings), settings)
        try:
            await database.give_back(await database.take(reading=True))
        except BaseException:
            await database.close()
            raise
        return database

    def read(self, *, stale_ok: bool = False) -> ReadDoor:
        return _Read(self)

    def write(self, *, bulk: bool = False) -> WriteDoor:
        return _Write(self)

    async def take(self, *, reading: bool) -> Connection:
        if not self.gate.try_enter():
            await self.gate.enter()
        try:
            return await greenlet_spawn((self._reading if reading else self._engine).connect)
        except PoolTimeout as error:
            self.gate.leave()
            raise Overloaded("no database connection became free in time; try again") from error
        except (TimeoutError, OSError, DBAPIError) as error:
            self.gate.leave()
            raise DatabaseUnavailable(f"the database does not answer: {getattr(error, 'orig', error)}") from error
        except BaseException:
            self.gate.leave()
            raise

    async def give_back(self, connection: Connection) -> None:
        try:
            await greenlet_spawn(_close, connection)
        finally:
            self.gate.leave()

    async def close(self) -> None:
        self.gate.close()
        await self.gate.emptied()
        await greenlet_spawn(self._engine.dispose)


def _close(connection: Connection) -> None:
    """Back into the pool; a connection that cannot even be rolled back any more leaves it, and nobody hears of that.

    What was read or committed with it stands, and a transaction that was open is over: the server has dropped it.
    """
    try:
        if (transaction := connection.get_transaction()) is not None:
            transaction.rollback()
    except DBAPIError as error:
        log.info("a connection to the database was given up: %s", error.orig)
        connection.invalidate(error)
    connection.close()


class _Read(ReadDoor):
    __slots__ = ("_connection", "_database", "_session")

    def __init__(self, database: ServerDatabase) -> None:
        self._database = database

    async def __aenter__(self) -> ReadSession:
        self._connection = await self._database.take(reading=True)
        self._session = ReadSession(self._connection, None)
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.end()
        await self._database.give_back(self._connection)


class _Write(WriteDoor):
    __slots__ = ("_connection",)

    _database: ServerDatabase

    async def _begin(self) -> WriteSession:
        self._connection = await self._database.take(reading=False)
        self._connection.begin()
        return WriteSession(self._connection, None)

    async def _end(self, error: BaseException | None) -> None:
        try:
            if error is None:
                await self._session.call(self._connection.commit)
                self._session.run_callbacks()
        finally:
            await self._database.give_back(self._connection)
