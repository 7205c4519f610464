"""Cursors of our SQLite driver: one whose rows are all here, and one that brings them in portions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.util.concurrency import await_

if TYPE_CHECKING:
    from autoforge.db.connection import SQLiteConnection


def _execute(connection: Any, sql: str, parameters: Any) -> tuple[Any, int, int | None, list[Any]]:
    cursor = connection.execute(sql, parameters)
    if cursor.description is None:
        return None, cursor.rowcount, cursor.lastrowid, []
    rows = cursor.fetchall()
    # For a select SQLite knows no count; the number of rows fetched is what traces want to see.
    return cursor.description, max(cursor.rowcount, len(rows)), cursor.lastrowid, rows


def _execute_many(connection: Any, sql: str, parameters: Any) -> tuple[Any, int, int | None, list[Any]]:
    cursor = connection.executemany(sql, parameters)
    return cursor.description, cursor.rowcount, cursor.lastrowid, []


def _execute_streaming(connection: Any, sql: str, parameters: Any) -> tuple[Any, int, Any]:
    cursor = connection.execute(sql, parameters)
    return cursor.description, cursor.rowcount, cursor


class Cursor:
    """A DB-API cursor over rows that are all here already: fetching never waits."""

    __slots__ = ("_next", "_rows", "arraysize", "description", "lastrowid", "owner", "rowcount")

    server_side = False

    def __init__(self, owner: SQLiteConnection) -> None:
        self.owner = owner
        self._rows: list[Any] = []
        self._next = 0
        self.arraysize = 1
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    def _take(self, result: tuple[Any, int, int | None, list[Any]]) -> None:
        self.description, self.rowcount, self.lastrowid, self._rows = result
        self._next = 0

    def execute(self, sql: str, parameters: Any = (), *, reads: bool = False) -> Cursor:
        self._take(await_(self.owner.call(_execute, sql, parameters, reads=reads)))
        return self

    def executemany(self, sql: str, parameters: Any) -> Cursor:
        self._take(await_(self.owner.call(_execute_many, sql, parameters)))
        return self

    def execute_inline(self, sql: str, parameters: Any, *, reads: bool) -> None:
        self._take(self.owner.call_inline(_execute, sql, parameters, reads=reads))

    def executemany_inline(self, sql: str, parameters: Any) -> None:
        self._take(self.owner.call_inline(_execute_many, sql, parameters, reads=False))

    def setinputsizes(self, *sizes: Any) -> None:
        """Part of the DB-API; SQLite has no use for it."""

    def fetchone(self) -> Any:
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    def fetchmany(self, size: int | None = None) -> list[Any]:
        start = self._next
        self._next = min(len(self._rows), start + (size or self.arraysize))
        return self._rows[start : self._next]

    def fetchall(self) -> list[Any]:
        rows, start = self._rows, self._next
        self._next = len(rows)
        return rows[start:] if start else rows

    def close(self) -> None:
        self._rows = []


class StreamingCursor(Cursor):
    """A cursor that stays open in SQLite and brings ``size`` rows per hop."""

    __slots__ = ("_open",)

    server_side = True

    def execute(self, sql: str, parameters: Any = (), *, reads: bool = False) -> Cursor:
        self._open: Any
        call = self.owner.call(_execute_streaming, sql, parameters, reads=reads)
        self.description, self.rowcount, self._open = await_(call)
        self.owner.streaming.add(self)
        return self

    def fetchone(self) -> Any:
        rows = self.fetchmany(1)
        return rows[0] if rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        wanted = size or self.arraysize
        return cast(list[Any], await_(self.owner.call(lambda _: self._open.fetchmany(wanted), reads=True)))

    def fetchall(self) -> list[Any]:
        return cast(list[Any], await_(self.owner.call(lambda _: self._open.fetchall(), reads=True)))

    def close(self) -> None:
        # Resetting a statement does no I/O worth a hop; and it must work while an exception passes by.
        if getattr(self, "_open", None) is not None:
            self._open.close()
            self._open = None
            self.owner.streaming.discard(self)
