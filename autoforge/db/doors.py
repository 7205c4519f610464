"""The two doors to the database: ``read()`` and ``write()``.

Open a door in the route or command-line command, so that the commit comes before the answer; commands and queries take
the session that comes out of it. :class:`Database` is one of two kinds behind one face: the embedded SQLite file
(:mod:`autoforge.db.embedded`) or PostgreSQL (:mod:`autoforge.db.server`).
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self, TypeVar

from typing_extensions import TypeVarTuple, Unpack

from autoforge.db.admission import Gate
from autoforge.db.engines import parse_url
from autoforge.db.faults import Collided
from autoforge.db.sessions import LastWork, ReadSession, WriteSession
from autoforge.settings import DatabaseSettings, Settings

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_writing: ContextVar[tuple[Database, WriteSession] | None] = ContextVar("writing", default=None)


class ReadDoor(ABC):
    """``async with database.read() as session``: a class, because a generator would cost more than a read by key."""

    __slots__ = ()

    @abstractmethod
    async def __aenter__(self) -> ReadSession: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class WriteDoor(ABC):
    """``async with database.write() as session``: commits when the block succeeds, rolls back when it raises."""

    __slots__ = ("_database", "_outer", "_session")

    def __init__(self, database: Database) -> None:
        self._database = database

    @abstractmethod
    async def _begin(self) -> WriteSession: ...

    @abstractmethod
    async def _end(self, error: BaseException | None) -> None: ...

    async def __aenter__(self) -> WriteSession:
        self._outer = _writing.get()
        if self._outer is not None and self._outer[0] is self._database and not self._outer[1].ended:
            # On SQLite it would wait for itself; on PostgreSQL it would be a second transaction that looks like one.
            raise RuntimeError("write() inside of write(): pass the session on, or use session.begin_nested()")
        self._session = await self._begin()
        if self._database.touched is not None:
            self._session.touched = self._database.touched
        self._session.record = self._database.record
        _writing.set((self._database, self._session))
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            error = await self._finish()
            if error is not None:
                await self._leave(error)
                raise error
        await self._leave(error)

    async def _finish(self) -> BaseException | None:
        """What the block left for the end of its transaction; the error that it ends in."""
        try:
            await self._session.run_last()
        except BaseException as raised:
            return raised
        return None

    async def _leave(self, error: BaseException | None) -> None:
        self._session.end()
        _writing.set(self._outer)
        await self._end(error)
        if error is None and self._database.told is not None:
            await self._database.told()


class Database(ABC):
    """Open one per process, for the life of the process; it belongs to the event loop that opened it."""

    dialect: str
    pool: str
    """What the connections are in metrics: readers (SQLite has its writer beside them) or connections."""
    gate: Gate
    warnings: tuple[str, ...] = ()
    touched: Callable[[Sequence[str]], object] | None = None
    """Set by whoever owns a cache: told after each commit which tags are out of date (``session.touch``)."""
    record: LastWork | None = None
    """Set by whoever must know of touched tags even after a crash: the last work of a transaction that touched some."""
    told: Callable[[], Awaitable[object]] | None = None
    """Set by whoever passes touched tags on to other hosts: a block of writing ends once that is done. Never raises."""

    @staticmethod
    async def open(settings: Settings | DatabaseSettings) -> Database:
        """Connect; does not migrate. BadInput for a wrong address, DatabaseUnavailable when nothing answers."""
        from autoforge.db.embedded import EmbeddedDatabase
        from autoforge.db.server import ServerDatabase

        database = settings.database if isinstance(settings, Settings) else settings
        url = parse_url(settings.database_url if isinstance(settings, Settings) else database.url)
        if url.get_backend_name() == "sqlite":
            return await EmbeddedDatabase.start(url, database)
        return await ServerDatabase.start(url, database)

    @abstractmethod
    def read(self, *, stale_ok: bool = False) -> ReadDoor:
        """One snapshot, held to reading by the database itself. ``stale_ok`` allows a replica, once there is one."""

    @abstractmethod
    def write(self, *, bulk: bool = False) -> WriteDoor:
        """One transaction. ``bulk`` for long blocks on SQLite: what waits is committed first, and it commits alone."""

    @abstractmethod
    async def close(self) -> None:
        """Let running blocks finish and close all connections; no thread is left behind."""

    async def transact(
        self, command: Callable[[WriteSession, Unpack[Ts]], Awaitable[T]], *args: *Ts, retry: int = 3
    ) -> T:
        """``command(session, *args)`` in a transaction; run again, up to ``retry`` times, when it collided.

        Its effects outside of the database must be in ``session.after_commit``: they then happen once.
        """
        for attempt in range(retry):
            try:
                async with self.write() as session:
                    return await command(session, *args)
            except Collided:
                await asyncio.sleep(random.uniform(0.005, 0.02) * 2**attempt)
        async with self.write() as session:
            return await command(session, *args)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()
