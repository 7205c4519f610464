"""A database so full that plans mean something, and what the plans of statements on it are."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, Table, UniqueConstraint, insert, text

from autoforge.db import Database, ReadSession, clock, plans
from autoforge.db.ids import new_id
from autoforge.db.models.base import Base
from autoforge.db.types import Id, Instant
from autoforge.settings import DatabaseSettings
from tests import make
from tests.db.allowed_plans import MAY_SCAN, MAY_SORT
from tests.issued import Issued

ROWS = 3_000
SMALL = {"audit_head", "leases", "schedules"}
"""Tables that hold a handful of rows however long the product runs."""


_SCANNING = ("seqscan", "hashjoin", "mergejoin", "bitmapscan")
_SORTING = ("sort", "incremental_sort", "hashagg")
"""Few rows are read through and sorted faster than they are looked up: PostgreSQL is asked for plans that do so only
where there is no other way. First it may sort, so that it has no reason to walk through an index in place of that."""

_WALK = re.compile(r"SCAN .* USING (?:COVERING )?INDEX (\S+)")
_FEW = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '% WHERE %'"
    " AND sql NOT LIKE '% WHERE deleted_at IS NULL'",
    "postgresql": "SELECT indexrelid::regclass::text FROM pg_index"
    " WHERE pg_get_expr(indpred, indrelid) <> '(deleted_at IS NULL)'",
}
"""The indexes that hold few rows of their table: those that are partial, and not just by leaving deleted rows out."""


async def wrong_plans(url: str, statements: Sequence[Issued]) -> list[str]:
    """A line for each statement that scans or sorts a growing table with no reason, or cannot be explained."""
    wrong = []
    async with await Database.open(DatabaseSettings(url=url)) as database:
        for one in statements:
            try:
                found = [finding for finding in await _findings(database, one) if not _allowed(finding)]
            except Exception as error:
                said = str(error).partition("\n")[0]
                wrong.append(f"{one.name}: cannot be explained: {said} ({one.line})\n    {_one_line(one.sql)}")
                continue
            what = sorted({f"{finding.what} {finding.table} ({finding.detail})" for finding in found})
            wrong += [f"{one.name}: {', '.join(what)} ({one.line})\n    {_one_line(one.sql)}"] if what else []
    return wrong


def _allowed(finding: plans.Finding) -> bool:
    return finding.statement in (MAY_SCAN if finding.what == "full scan" else MAY_SORT)


async def _findings(database: Database, one: Issued) -> list[plans.Finding]:
    async with database.read() as session:
        await _avoid(session, _SCANNING)
        found = await plans.findings(session, one.name, one.sql, one.bound)
        if "LIMIT" not in one.sql.upper():
            found += await _whole_indexes(session, one)
        if session.dialect == "sqlite":
            return found
        await _avoid(session, _SORTING)
        sorts = [one for one in await plans.findings(session, one.name, one.sql, one.bound) if one.what != "full scan"]
        return sorts + [one for one in found if one.what == "full scan"]


async def _avoid(session: ReadSession, ways: Sequence[str]) -> None:
    if session.dialect == "postgresql":
        for way in ways:
            await session.execute(text(f"SET LOCAL enable_{way} = off"))


async def _whole_indexes(session: ReadSession, one: Issued) -> list[plans.Finding]:
    """An index that is walked from end to end is as long as its table, unless it holds few rows of it."""
    small = {row[0] for row in await session.all(text(_FEW[session.dialect]))}
    walked = await session.call(_walked, session, one)
    return [plans.Finding(one.name, "full scan", index, "of a whole index") for index in walked if index not in small]


def _walked(session: ReadSession, one: Issued) -> list[str]:
    bound = tuple(one.bound) if isinstance(one.bound, list) else one.bound
    explain = "EXPLAIN QUERY PLAN" if session.dialect == "sqlite" else "EXPLAIN (FORMAT JSON)"
    rows = session.connection.exec_driver_sql(f"{explain} {one.sql}", bound or None).all()
    if session.dialect == "sqlite":
        return [found[1] for row in rows if (found := _WALK.match(str(row[3])))]
    tree = json.loads(rows[0][0]) if isinstance(rows[0][0], str) else rows[0][0]
    return list(_without_condition(tree[0]["Plan"]))


def _without_condition(node: Mapping[str, Any]) -> Iterator[str]:
    if node["Node Type"] in ("Index Scan", "Index Only Scan") and "Index Cond" not in node:
        yield str(node["Index Name"])
    for child in node.get("Plans", ()):
        yield from _without_condition(child)


def _one_line(sql: str) -> str:
    return " ".join(sql.split())[:600]


async def fill(url: str) -> None:
    """Some thousand rows in every table, and statistics. Keys lead to rows that exist; the rest is arbitrary."""
    async with await Database.open(DatabaseSettings(url=url)) as database:
        await _fill(database)


async def _fill(database: Database) -> None:
    chance = random.Random(1)
    keys: dict[Column[Any], list[Any]] = {}
    for table in Base.metadata.sorted_tables:
        rows = list(_rows(table, keys, chance))
        async with database.write(bulk=True) as session:
            await session.execute(insert(table), rows)
        for column in table.columns:
            keys[column] = [row.get(column.name) for row in rows]
    async with database.write(bulk=True) as session:
        await make.analyze(session)


def _rows(table: Table, keys: dict[Column[Any], list[Any]], chance: random.Random) -> Iterator[dict[str, Any]]:
    seen: set[tuple[Any, ...]] = set()
    unique = [tuple(table.primary_key.columns.keys())]
    unique += [tuple(one.columns.keys()) for one in table.constraints if isinstance(one, UniqueConstraint)]
    unique += [tuple(column.name for column in one.columns) for one in table.indexes if one.unique]
    for number in range(5 if table.name in SMALL else ROWS):
        row = {column.name: _value(column, number, keys, chance) for column in table.columns if column.computed is None}
        marks = {(names, tuple(row.get(name) for name in names)) for names in unique}
        if not marks & seen:
            seen |= marks
            yield row


def _value(column: Column[Any], number: int, keys: dict[Column[Any], list[Any]], chance: random.Random) -> Any:
    for foreign in column.foreign_keys:
        if foreign.column in keys:
            return chance.choice(keys[foreign.column])
        return None
    if column.name in ("deleted_at", "ended_at", "revoked_at", "used_at"):
        return None
    kind = column.type
    if isinstance(kind, Instant):
        return clock.now() - timedelta(seconds=number * 60)
    if isinstance(kind, Id):
        return UUID(bytes=new_id().bytes)
    return _plain(column, kind, number, chance)


def _plain(column: Column[Any], kind: Any, number: int, chance: random.Random) -> Any:
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, Float):
        return chance.random()
    if isinstance(kind, Integer):
        return number + 1_000_000 if column.name in ("id", "seq", "search_id", "rowid") else number % 500 + 1
    if isinstance(kind, LargeBinary):
        return chance.randbytes(32)
    return "{}" if column.name in ("payload", "content", "profile", "detail") else f"{column.name}-{number}"
