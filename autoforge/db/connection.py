"""One connection to SQLite with a thread of its own: the body of our asynchronous driver.

The usual asynchronous driver hops to its thread about five times per select. This one has one thread per connection and
hops once per statement (execute and fetch together); a statement marked ``bounded`` (see :func:`autoforge.db.named`)
does not hop at all: it runs on the event loop, under a deadline, and moves to the thread when it breaks it.

What a caller may rely on:

* A cancelled statement lets go of the connection before the cancellation goes on; the connection stays usable.
* A statement in the thread that exceeds its timeout is interrupted and raises ``DatabaseTimeout``.
* A lock held by another process is waited for, then raises ``Overloaded``: nobody sees "database is locked".
* Closing a connection ends its thread.

Transactions are explicit (``isolation_level=None``): whoever owns the connection sends BEGIN and COMMIT itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.util.concurrency import await_, in_greenlet

from autoforge.db.cursors import Cursor, StreamingCursor
from autoforge.db.hop import ConnectionThread
from autoforge.db.private import make_file
from autoforge.errors import DatabaseTimeout, Overloaded

try:  # the newer SQLite: 3.51.3 fixed a rare loss of committed writes
    import pysqlite3 as dbapi
except ImportError:  # pragma: no cover - platforms without a wheel
    import sqlite3 as dbapi

__all__ = ["SQLITE_BUSY", "Limits", "Opening", "SQLiteConnection", "StatementCancelled", "TooSlowInline", "dbapi"]

SQLITE_BUSY, SQLITE_INTERRUPT = 5, 9
FOREVER = float("inf")
_INSTRUCTIONS_BETWEEN_CHECKS = 10_000  # of SQLite's virtual machine; some hundred microseconds
_INTERRUPT_AGAIN = 0.02  # seconds; an interrupt that arrives between two steps is lost, so it is repeated


class TooSlowInline(Exception):
    """A bounded statement met its deadline (or a lock) on the event loop: run it again through the thread."""


class StatementCancelled(Exception):
    """Carries a CancelledError through SQLAlchemy, which would throw the connection away if it saw it."""

    def __init__(self, cancelled: asyncio.CancelledError) -> None:
        super().__init__("the statement was cancelled")
        self.cancelled = cancelled


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, in seconds."""

    statement: float = 30.0
    inline: float = 0.02
    busy: float = 5.0


@dataclass(frozen=True, slots=True)
class Opening:
    """How to open one connection: a file, its pragmas in order, and its limits."""

    path: str
    read_only: bool = False
    pragmas: Sequence[tuple[str, str | int]] = ()
    limits: Limits = field(default_factory=Limits)


def result_code(error: BaseException) -> int:
    """The primary result code of SQLite, 0 when unknown."""
    return cast(int, getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


class SQLiteConnection(AdaptedConnection):
    """One connection and its thread. Used by one task at a time; a second user is told so."""

    __slots__ = (
        "_connection",
        "_deadline",
        "_guarded",
        "_thread",
        "busy",
        "interruptible",
        "limits",
        "read_only",
        "streaming",
    )

    def __init__(self, connection: Any, thread: ConnectionThread, opening: Opening) -> None:
        self._connection = connection
        self._thread = thread
        self._deadline = FOREVER
        self._guarded = False
        self.limits = opening.limits
        self.read_only = opening.read_only
        self.busy = False
        self.streaming: set[StreamingCursor] = set()
        # The writer switches this off while other blocks' work is in its transaction: SQLite answers the interruption
        # of a write by rolling back the whole of it.
        self.interruptible = True

    @property
    def in_transaction(self) -> bool:
        return cast(bool, self._connection.in_transaction)

    def command(self, sql: str) -> None:
        """BEGIN, SAVEPOINT and their like: no I/O worth a hop, so they run where they are called."""
        self._guard(False)
        self._connection.execute(sql)

    def rollback_inline(self) -> None:
        if self._connection.in_transaction:
            self.command("ROLLBACK")

    async def settle(self) -> None:
        """Before a transaction ends: no statement of another task runs, no cursor keeps the snapshot."""
        while self.busy:
            await self._wait_for_thread(interrupting=self.interruptible)
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)  # whoever asked for it takes note
        self.close_cursors()

    def close_cursors(self) -> None:
        for cursor in list(self.streaming):
            cursor.close()

    @property
    def settled(self) -> bool:
        return not self.busy and not self.streaming

    def _guard(self, wanted: bool) -> None:
        """The progress handler costs the thread a fight for the interpreter's lock: it is set for inline calls only."""
        if wanted is not self._guarded:
            self._connection.set_progress_handler(self._overdue if wanted else None, _INSTRUCTIONS_BETWEEN_CHECKS)
            self._guarded = wanted

    def _overdue(self) -> bool:
        return time.perf_counter() > self._deadline

    def _claim(self) -> None:
        if self.busy:
            raise RuntimeError("several statements at once on one session; open a second session or await the first")

    def call_inline(self, function: Callable[..., Any], *args: Any, reads: bool) -> Any:
        """Run ``function(connection, *args)`` here and now; TooSlowInline when it takes longer than it may."""
        self._claim()
        self._guard(reads)
        self._deadline = time.perf_counter() + self.limits.inline
        try:
            return function(self._connection, *args)
        except dbapi.OperationalError as error:
            if result_code(error) in (SQLITE_BUSY, SQLITE_INTERRUPT):
                raise TooSlowInline from None
            raise

    async def call(self, function: Callable[..., Any], *args: Any, reads: bool = False) -> Any:
        """Run ``function(connection, *args)`` in the thread: one hop, with the statement timeout.

        A cancelled call is interrupted if it ``reads``, or if nobody else's work would suffer; else it is waited for.
        """
        self._claim()
        self._guard(False)
        self.busy = True
        call = _Call(self, function, args)
        future = self._thread.call(call)
        timer = asyncio.get_running_loop().call_later(self.limits.statement, call.time_out)
        try:
            return await future
        except asyncio.CancelledError as cancelled:
            call.abandoned = True
            await self._wait_for_thread(interrupting=reads or self.interruptible)
            raise StatementCancelled(cancelled) from None
        except dbapi.OperationalError as error:
            explained = call.explain(error)
            if explained is None:
                raise
            raise explained from error
        finally:
            timer.cancel()
            call.done = True
            self.busy = False

    async def _wait_for_thread(self, *, interrupting: bool) -> None:
        """Until the thread has left the connection, however often this task is cancelled meanwhile."""
        idle = self._thread.call(lambda: None)
        while not idle.done():
            if interrupting:
                self._connection.interrupt()
            try:
                await asyncio.wait((idle,), timeout=_INTERRUPT_AGAIN)
            except asyncio.CancelledError:
                continue

    def commit_then(self, deliver: Callable[[BaseException | None], None], committed: Callable[[], object]) -> None:
        """COMMIT and ``committed()`` in the thread, then ``deliver`` on the loop.

        No task waits, so none can be cancelled meanwhile.
        """
        self._claim()
        self._guard(False)
        self.busy = True

        def arrived(_: Any, error: BaseException | None) -> None:
            self.busy = False
            deliver(error)

        connection: Any = self._connection

        def commit() -> None:
            connection.commit()
            committed()

        self._thread.post(commit, arrived)

    def interrupt(self) -> None:
        self._connection.interrupt()

    # What SQLAlchemy asks of a DB-API connection:

    def cursor(self, server_side: bool = False) -> Cursor:
        return StreamingCursor(self) if server_side else Cursor(self)

    def commit(self) -> None:
        if self._connection.in_transaction:
            await_(self.call(lambda connection: connection.commit()))

    def rollback(self) -> None:
        self.rollback_inline()

    def close(self) -> None:
        if in_greenlet():
            await_(self.aclose())
        else:  # the garbage collector: there may be no loop any more
            self._thread.stop()
            self._connection.close()

    async def aclose(self) -> None:
        """Close and end the thread. The last connection of a file writes its log back, hence the hop."""
        closed = self._thread.call(self._connection.close)
        self._thread.stop()
        await asyncio.shield(closed)
        self._thread.join()


class _Call:
    """One function in the thread: patient with locks, and able to say why it was interrupted."""

    __slots__ = ("_args", "_connection", "_function", "_limits", "_overdue", "abandoned", "done")

    def __init__(self, owner: SQLiteConnection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._connection = owner._connection
        self._limits = owner.limits
        self._function = function
        self._args = args
        self._overdue = False
        self.abandoned = False
        self.done = False

    def __call__(self) -> Any:
        give_up = time.monotonic() + self._limits.busy
        while True:
            if self.abandoned:
                return None
            try:
                return self._function(self._connection, *self._args)
            except dbapi.OperationalError as error:
                if result_code(error) != SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)

    def time_out(self) -> None:
        """On the loop, when the statement timeout has passed; again and again until the thread noticed."""
        if not self.done:
            self._overdue = True
            self._connection.interrupt()
            asyncio.get_running_loop().call_later(_INTERRUPT_AGAIN, self.time_out)

    def explain(self, error: Exception) -> Exception | None:
        if self._overdue and result_code(error) == SQLITE_INTERRUPT:
            return DatabaseTimeout(f"a statement took longer than {self._limits.statement:g} s and was stopped")
        if result_code(error) == SQLITE_BUSY:
            return Overloaded("another process keeps the database file locked; try again")
        return None


def _open(opening: Opening) -> Any:
    if not opening.read_only:
        make_file(Path(opening.path))
    uri = f"file:{quote(opening.path)}?mode={'ro' if opening.read_only else 'rwc'}"
    connection = dbapi.connect(
        uri, uri=True, timeout=opening.limits.busy, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    try:
        for name, value in opening.pragmas:
            connection.execute(f"PRAGMA {name}={value}").fetchall()
        # Read now: a file that is no database is refused here, and the log's files exist before a reader comes.
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        # Patience is ours from here on, in the thread or on the loop: SQLite's own would block whoever calls.
        connection.execute("PRAGMA busy_timeout=0")
    except BaseException:
        connection.close()
        raise
    return connection


async def open_connection(opening: Opening) -> SQLiteConnection:
    """Open a connection in a thread of its own. DB-API errors as they come."""
    thread = ConnectionThread(f"sqlite {'reader' if opening.read_only else 'writer'}")
    opened = thread.call(lambda: _open(opening))
    try:
        return SQLiteConnection(await asyncio.shield(opened), thread, opening)
    except BaseException:
        opened.add_done_callback(lambda done: _discard(done, thread))
        raise


def _discard(opened: asyncio.Future[Any], thread: ConnectionThread) -> None:
    if not opened.cancelled() and opened.exception() is None:
        thread.post(opened.result().close)
    thread.stop()
