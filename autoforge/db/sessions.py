"""What stands behind a door: a thin session over one connection and one transaction.

Statements are SQLAlchemy Core; rows are column rows; results are buffered, except for :meth:`ReadSession.stream`. The
synchronous ``Connection`` of SQLAlchemy is driven directly: in a greenlet where the driver has to wait, and without one
where it has not (a bounded select on SQLite), which is what makes a read by key cheap.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast, overload

from sqlalchemy import Connection, CursorResult, Executable, Insert, Row
from sqlalchemy.sql.selectable import TypedReturnsRows
from sqlalchemy.util.concurrency import greenlet_spawn
from typing_extensions import TypeVarTuple

from autoforge.db import trace
from autoforge.db.connection import SQLiteConnection, TooSlowInline
from autoforge.db.faults import FAULTS
from autoforge.db.statements import BOUNDED, NAME

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Parameters = dict[str, Any] | Sequence[dict[str, Any]] | None
LastWork = Callable[["WriteSession", list[Any]], Awaitable[object]]

log = logging.getLogger(__name__)
_IN_THREAD = {BOUNDED: False}
_HERE = {BOUNDED: True}
_AS_MARKED: dict[str, bool] = {}
_SHORT_ROWS, _SHORT_TEXT = 16, 16_384


class ReadSession:
    """Reads one snapshot. For one task at a time; over once its block ends."""

    __slots__ = ("_connection", "_driver", "_ended", "dialect")

    def __init__(self, connection: Connection, driver: SQLiteConnection | None) -> None:
        self._connection = connection
        self._driver = driver
        self._ended = False
        self.dialect = "postgresql" if driver is None else "sqlite"

    @overload
    async def execute(self, statement: TypedReturnsRows[*Ts], parameters: Parameters = None) -> CursorResult[*Ts]: ...

    @overload
    async def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[*tuple[Any, ...]]: ...

    async def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        """Run one statement and fetch all its rows; a list of parameters runs it once for each."""
        self._check()
        if not trace.watched():
            return await self._run(statement, parameters)
        started = time.perf_counter()
        try:
            result = await self._run(statement, parameters)
        except BaseException as error:
            seconds = time.perf_counter() - started
            trace.record(trace.Statement(statement, self.dialect, seconds, -1, type(error).__name__))
            raise
        trace.record(_traced(statement, result, self.dialect, time.perf_counter() - started))
        return result

    @overload
    async def all(self, statement: TypedReturnsRows[*Ts], parameters: Parameters = None) -> Sequence[Row[*Ts]]: ...

    @overload
    async def all(self, statement: Executable, parameters: Parameters = None) -> Sequence[Row[*tuple[Any, ...]]]: ...

    async def all(self, statement: Executable, parameters: Parameters = None) -> Sequence[Row[Any]]:
        return (await self.execute(statement, parameters)).all()

    @overload
    async def first(self, statement: TypedReturnsRows[*Ts], parameters: Parameters = None) -> Row[*Ts] | None: ...

    @overload
    async def first(self, statement: Executable, parameters: Parameters = None) -> Row[*tuple[Any, ...]] | None: ...

    async def first(self, statement: Executable, parameters: Parameters = None) -> Row[Any] | None:
        return (await self.execute(statement, parameters)).first()

    @overload
    async def scalar(self, statement: TypedReturnsRows[T], parameters: Parameters = None) -> T | None: ...

    @overload
    async def scalar(self, statement: Executable, parameters: Parameters = None) -> Any: ...

    async def scalar(self, statement: Executable, parameters: Parameters = None) -> Any:
        """The first column of the first row; None when there is no row."""
        return (await self.execute(statement, parameters)).scalar()

    async def stream(
        self, statement: Executable, parameters: Parameters = None, batch: int = 1000
    ) -> AsyncIterator[Sequence[Row[Any]]]:
        """Lists of up to ``batch`` rows, from a cursor that stays open in the database for as long as this is read.

        Memory holds one list at a time.
        """
        self._check()
        streaming = statement.execution_options(**{"yield_per": batch, BOUNDED: False})
        result = await self.execute(streaming, parameters)
        try:
            while rows := await self.call(result.fetchmany, batch):
                yield rows
        finally:
            result.close()

    @property
    def connection(self) -> Connection:
        """For this package only: what :meth:`call` works on."""
        return self._connection

    def end(self) -> None:
        """For the doors: the block is over."""
        self._ended = True

    @property
    def ended(self) -> bool:
        return self._ended

    def _check(self) -> None:
        if self._ended:
            raise RuntimeError("the session is used outside of its block")

    async def _run(self, statement: Executable, parameters: Any) -> CursorResult[Any]:
        with FAULTS:
            if self._driver is not None and (options := _runs_here(statement, parameters)) is not None:
                try:
                    return self._connection.execute(statement, parameters, execution_options=options)
                except TooSlowInline:
                    name = statement.get_execution_options().get(NAME)
                    log.info("the bounded statement %s was too slow for the event loop and moved to a thread", name)
                return await greenlet_spawn(
                    self._connection.execute, statement, parameters, execution_options=_IN_THREAD
                )
            return await greenlet_spawn(self._connection.execute, statement, parameters)

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run synchronous SQLAlchemy code against the connection."""
        with FAULTS:
            return await greenlet_spawn(function, *args)


class WriteSession(ReadSession):
    """One transaction. It is committed when its block's exit returns, and rolled back when the block raises."""

    __slots__ = ("_callbacks", "_last", "_savepoints", "record", "touched")

    def __init__(self, connection: Connection, driver: SQLiteConnection | None) -> None:
        super().__init__(connection, driver)
        self._callbacks: list[tuple[contextvars.Context, Callable[[], object]]] = []
        self._last: list[tuple[LastWork, Any]] = []
        self._savepoints = 0
        self.touched: Callable[[Sequence[str]], object] = _nobody
        self.record: LastWork | None = None

    def touch(self, *tags: str) -> None:
        """What is cached under these tags is out of date once the commit succeeded: ``Database.touched`` is told.

        Where there is a ``Database.record``, it also writes the tags down in this transaction.
        """
        self.after_commit(lambda: self.touched(tags))
        if self.record is not None:
            self.before_commit(self.record, tags)

    def before_commit(self, work: LastWork, item: Any) -> None:
        """``await work(session, items)`` as the last thing of this transaction, once, with all items given for it.

        What it locks is then locked no longer than it must. Items of a savepoint that was rolled back are forgotten.
        """
        self._check()
        self._last.append((work, item))

    async def run_last(self) -> None:
        """For the doors, before the commit."""
        grouped: dict[LastWork, list[Any]] = {}
        for work, item in self._last:
            grouped.setdefault(work, []).append(item)
        for work, items in grouped.items():
            await work(self, items)

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` once the commit has succeeded; forgotten on rollback, that of a savepoint included."""
        self._check()
        self._callbacks.append((contextvars.copy_context(), callback))

    async def write_rows(self, sql: str, values: Sequence[tuple[Any, ...]], sets: Any) -> CursorResult[Any]:
        """For this package only: one statement of the driver's own for many rows; ``sets`` is how it wants them."""
        run = self._connection.exec_driver_sql
        if self._driver is None or not _are_short(len(values), values):
            return await self.call(run, sql, sets)
        try:
            with FAULTS:
                return run(sql, sets, execution_options=_HERE)
        except TooSlowInline:  # somebody has the lock, so no row was written
            return await self.call(run, sql, sets)

    def begin_nested(self) -> Any:
        """``async with``: a savepoint, rolled back when the block raises."""
        self._check()
        return self._nested_on_sqlite() if self._driver is not None else self._nested()

    @asynccontextmanager
    async def _nested_on_sqlite(self) -> AsyncIterator[None]:
        driver, known, last = cast(SQLiteConnection, self._driver), len(self._callbacks), len(self._last)
        self._savepoints += 1
        name = f"nested_{self._savepoints}"
        driver.command(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            del self._callbacks[known:], self._last[last:]
            if driver.in_transaction:
                driver.command(f"ROLLBACK TO {name}")
                driver.command(f"RELEASE {name}")
            raise
        self._check()
        driver.command(f"RELEASE {name}")

    @asynccontextmanager
    async def _nested(self) -> AsyncIterator[None]:
        known, last = len(self._callbacks), len(self._last)
        savepoint = await self.call(self._connection.begin_nested)
        try:
            yield
        except BaseException:
            del self._callbacks[known:], self._last[last:]
            if savepoint.is_active:
                await self.call(savepoint.rollback)
            raise
        await self.call(savepoint.commit)

    def _check(self) -> None:
        super()._check()
        if self._driver is not None and not self._driver.in_transaction:
            # SQLite ends a transaction by itself when the disk is full or a write is interrupted. Anything that came
            # after would be committed at once, statement by statement.
            raise RuntimeError("the transaction is over: the database rolled it back after an error")

    def run_callbacks(self) -> None:
        """For the doors, after the commit. One that fails is logged: the work is stored, whatever it says."""
        callbacks, self._callbacks = self._callbacks, []
        for context, callback in callbacks:
            try:
                context.run(callback)
            except (Exception, asyncio.CancelledError):
                log.exception("a callback failed after the commit")


def _runs_here(statement: Executable, parameters: Any) -> dict[str, bool] | None:
    """The options for running on the event loop, None for what has to go to the thread.

    Here runs what is marked so, and who inserts a few rows that hold little text: on a writer's connection nothing but
    the commit waits for the disk, and a thread costs more than such an insert.
    """
    if statement.get_execution_options().get(BOUNDED):
        return _AS_MARKED
    return _HERE if isinstance(statement, Insert) and _is_short(statement, parameters) else None


def _is_short(statement: Insert, parameters: Any) -> bool:
    if statement.select is not None:
        return False
    rows = parameters if isinstance(parameters, list) else (parameters or {},)
    return _are_short(len(rows), (row.values() for row in rows))


def _are_short(count: int, rows: Iterable[Iterable[Any]]) -> bool:
    if count > _SHORT_ROWS:
        return False
    return sum(len(value) for row in rows for value in row if isinstance(value, str | bytes)) <= _SHORT_TEXT


def _nobody(_tags: Sequence[str]) -> None:
    """There is no cache to tell."""


def _traced(statement: Executable, result: CursorResult[Any], dialect: str, seconds: float) -> trace.Statement:
    context: Any = result.context
    bound = context.parameters[0] if context.parameters else None
    return trace.Statement(statement, dialect, seconds, result.rowcount, None, context.statement or "", bound)
