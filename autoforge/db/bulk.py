"""Many rows at once: insert, upsert, update, soft delete, in batches and constant memory.

All take any iterable or asynchronous iterable of mappings, run in the caller's transaction (use
``database.write(bulk=True)``) and return how many rows they stored or changed. The first row names the columns; the
others have the same. Columns that are not given get the defaults of the table.

SQLite gets tuples by ``executemany``. PostgreSQL gets COPY for inserts, and one array per column for the rest: a
statement per batch instead of one per row.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Column, Table, TextClause, inspect, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from autoforge.db import trace
from autoforge.db.faults import translated
from autoforge.db.sessions import WriteSession
from autoforge.db.statements import named

BATCH = 1000
_FEW = 16
"""Rows that one statement brings to PostgreSQL before COPY, which asks for the columns' types first, could begin."""
_BEGINS = re.compile(r"(INSERT|UPDATE|COPY|DELETE)(?: OR \w+)?(?: INTO| FROM)? \"?(\w+)")
Given = Mapping[str, Any]
Rows = Iterable[Given] | AsyncIterable[Given]


async def insert_many(session: WriteSession, table: Any, rows: Rows, *, batch: int = BATCH) -> int:
    """Insert all ``rows``; IntegrityError when one breaks a constraint."""
    count, shape = 0, None
    async for some in _batches(rows, batch):
        shape = shape or _Shape.of(session, table, some[0])
        values = shape.encode(some)
        if session.dialect == "sqlite" or len(values) <= _FEW:
            count += await run_batch(session, shape.insert, values)
        else:
            count += await _copy(session, shape, values)
    return count


async def upsert_many(
    session: WriteSession,
    table: Any,
    rows: Rows,
    *,
    conflict: Sequence[str],
    change: Sequence[str] | None = None,
    batch: int = BATCH,
) -> int:
    """Insert ``rows``; where one with the same ``conflict`` columns (unique in the table) exists, update that.

    ``change`` names the columns that an existing row takes over: all but ``conflict`` unless given, none when empty. Of
    several rows with the same key in one batch the last one counts. Returns the rows inserted or updated.
    """
    count, shape = 0, None
    async for some in _batches(rows, batch):
        shape = shape or _Shape.of(session, table, some[0])
        latest = list({tuple(row[name] for name in conflict): row for row in some}.values())
        sql = shape.upsert_sql(conflict, change)
        count += await run_batch(session, sql, shape.encode(latest))
    return count


async def update_many(
    session: WriteSession, table: Any, rows: Rows, *, key: Sequence[str] = ("id",), batch: int = BATCH
) -> int:
    """Update by ``key`` the other columns of each row; returns how many existed."""
    count, shape = 0, None
    async for some in _batches(rows, batch):
        ordered = [name for name in some[0] if name not in key] + list(key)
        shape = shape or _Shape.of(session, table, dict.fromkeys(ordered), complete=False)
        count += await run_batch(session, shape.update_sql(key), shape.encode(some))
    return count


async def soft_delete_many(
    session: WriteSession, table: Any, ids: Iterable[Any] | AsyncIterable[Any], *, at: datetime, batch: int = BATCH
) -> int:
    """Set ``deleted_at`` where it is empty, counting up ``row_version`` where there is one; returns how many."""
    target, count = _table(table), 0
    changes: dict[str, Any] = {"deleted_at": at}
    if "row_version" in target.c:
        changes["row_version"] = target.c.row_version + 1
    async for some in _batches(ids, batch):
        wanted = update(target).where(target.c.id.in_(some), target.c.deleted_at.is_(None)).values(changes)
        count += (await session.execute(wanted)).rowcount
    return count


def _table(table: Any) -> Table:
    return table if isinstance(table, Table) else cast(Table, inspect(table).local_table)


async def _batches(rows: Iterable[Any] | AsyncIterable[Any], size: int) -> AsyncIterator[list[Any]]:
    some: list[Any] = []
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            some.append(row)
            if len(some) >= size:
                yield some
                some = []
    else:
        for row in rows:
            some.append(row)
            if len(some) >= size:
                yield some
                some = []
    if some:
        yield some


@dataclass(frozen=True, slots=True)
class _Shape:
    """Some columns of a table, how their values reach the driver, and the statement that inserts them."""

    table: Table
    names: tuple[str, ...]
    defaults: Mapping[str, Callable[[], Any]]
    processors: tuple[Callable[[Any], Any] | None, ...]
    dialect: Any
    insert: str = ""

    @classmethod
    def of(cls, session: WriteSession, table: Any, row: Given, *, complete: bool = True) -> _Shape:
        return _shape(_table(table), tuple(row), session.connection.dialect, complete)

    def encode(self, rows: Sequence[Given]) -> list[tuple[Any, ...]]:
        """Tuples in the order of ``names``; KeyError when a row lacks a column."""
        given = self.names[: len(self.names) - len(self.defaults)]
        columns = [[row[name] for row in rows] for name in given]
        columns += [[make() for _ in rows] for make in self.defaults.values()]
        for place, processor in enumerate(self.processors):
            if processor is not None:
                columns[place] = [processor(value) for value in columns[place]]
        return list(zip(*columns, strict=True))

    def quoted(self, name: str) -> str:
        return str(self.dialect.identifier_preparer.quote(name))

    @property
    def _target(self) -> str:
        return str(self.dialect.identifier_preparer.format_table(self.table))

    @property
    def _columns(self) -> str:
        return ", ".join(map(self.quoted, self.names))

    def _arrays(self) -> str:
        """PostgreSQL: one array parameter per column, as rows."""
        kinds = [self._element(self.table.c[name]) for name in self.names]
        return f"unnest({', '.join(f'${n}::{kind}[]' for n, kind in enumerate(kinds, 1))})"

    def _element(self, column: Column[Any]) -> str:
        return str(column.type.compile(dialect=self.dialect)).split(" COLLATE ")[0]

    def insert_sql(self) -> str:
        if self.dialect.name == "sqlite":
            return f"INSERT INTO {self._target} ({self._columns}) VALUES ({', '.join('?' * len(self.names))})"
        return f"INSERT INTO {self._target} ({self._columns}) SELECT * FROM {self._arrays()}"

    def upsert_sql(self, conflict: Sequence[str], change: Sequence[str] | None) -> str:
        # A column with a default of the table's own (made for a new row) is not for an existing one.
        given = [name for name in self.names if name not in self.defaults and name not in conflict]
        taken = [self.quoted(name) for name in (given if change is None else change)]
        action = "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in taken) if taken else "NOTHING"
        return f"{self.insert} ON CONFLICT ({', '.join(map(self.quoted, conflict))}) DO {action}"

    def update_sql(self, key: Sequence[str]) -> str:
        changed = [self.quoted(name) for name in self.names if name not in key]
        keys = [self.quoted(name) for name in key]
        if self.dialect.name == "sqlite":
            changes = ", ".join(f"{name} = ?" for name in changed)
            return f"UPDATE {self._target} SET {changes} WHERE {' AND '.join(f'{name} = ?' for name in keys)}"
        changes = ", ".join(f"{name} = new.{name}" for name in changed)
        matches = " AND ".join(f"{self._target}.{name} = new.{name}" for name in keys)
        return f"UPDATE {self._target} SET {changes} FROM {self._arrays()} AS new({self._columns}) WHERE {matches}"


@lru_cache(64)
def _shape(target: Table, given: tuple[str, ...], dialect: Any, complete: bool) -> _Shape:
    if unknown := [name for name in given if name not in target.c]:
        raise KeyError(f"{target.name} has no column {unknown[0]}")
    missing = [column for column in target.c if complete and column.name not in given and column.default is not None]
    names = (*given, *(column.name for column in missing))
    processors = tuple(target.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names)
    shape = _Shape(target, names, {column.name: _default(column) for column in missing}, processors, dialect)
    return replace(shape, insert=shape.insert_sql())


def _default(column: Column[Any]) -> Callable[[], Any]:
    default: Any = column.default
    if default.is_callable:
        return lambda: default.arg(None)
    if default.is_scalar:
        return lambda: default.arg
    raise TypeError(f"{column} has a default that only a single insert can compute")


async def run_batch(session: WriteSession, sql: str, values: list[tuple[Any, ...]]) -> int:
    """One statement for many rows through the driver; how many it touched.

    ``sql`` has ``?`` per column on SQLite; on PostgreSQL ``$1``, ``$2`` and so on are arrays, one per column.
    """
    started = time.perf_counter()
    sets: Any = values if session.dialect == "sqlite" else tuple(list(column) for column in zip(*values, strict=True))
    result = await session.write_rows(sql, values, sets)
    _traced(session, sql, values, result.rowcount, started)
    return int(result.rowcount)


async def _copy(session: WriteSession, shape: _Shape, values: list[tuple[Any, ...]]) -> int:
    import asyncpg

    started = time.perf_counter()
    # The adapter begins its transaction with the first statement; COPY, which goes past it, would be on its own.
    await session.call(session.connection.exec_driver_sql, "SELECT 1")
    raw: Any = session.connection.connection.driver_connection
    try:
        await raw.copy_records_to_table(
            shape.table.name, records=values, columns=shape.names, schema_name=shape.table.schema
        )
    except asyncpg.IntegrityConstraintViolationError as error:
        raise IntegrityError(f"COPY {shape.table.name}", None, error) from error
    except asyncpg.PostgresError as error:
        failure = DBAPIError(f"COPY {shape.table.name}", None, error)
        raise translated(failure) or failure from error
    _traced(session, f"COPY {shape.table.name}", values, len(values), started)
    return len(values)


def _traced(session: WriteSession, sql: str, values: list[tuple[Any, ...]], rows: int, started: float) -> None:
    if trace.watched():
        seconds = time.perf_counter() - started
        first = values[0] if session.dialect == "sqlite" else tuple([value] for value in values[0])
        trace.record(trace.Statement(_seen_as(sql), session.dialect, seconds, rows, None, sql, first))


@lru_cache(256)
def _seen_as(sql: str) -> TextClause:
    return named(_name(sql), text(sql))


def _name(sql: str) -> str:
    """Such as "bulk.insert prompts"; no row makes another name."""
    found = _BEGINS.match(sql)
    return "bulk" if found is None else f"bulk.{found[1].lower()} {found[2]}"
