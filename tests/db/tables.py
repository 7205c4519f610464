"""The tables that tests of the plumbing write to, and statements on them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    text,
)

from autoforge.db import WriteSession, named
from autoforge.db.ids import new_id
from autoforge.db.types import Id, Instant, SortableText

on_sqlite = pytest.mark.parametrize("dialect", ["sqlite"])
on_postgresql = pytest.mark.parametrize("dialect", ["postgresql"])

metadata = MetaData()

things = Table(
    "things",
    metadata,
    Column("id", Id, primary_key=True),
    Column("owner", Integer, nullable=False, server_default=text("0")),
    Column("number", BigInteger, nullable=False, server_default=text("0")),
    Column("score", Float, nullable=False, server_default=text("0")),
    Column("name", SortableText, nullable=False, server_default=text("''")),
    Column("body", Text),
    Column("made", Instant, nullable=False),
    Column("row_version", Integer, nullable=False, server_default=text("1")),
    Column("deleted_at", Instant),
    Index("ix_things_made", "owner", "made", "id"),
    Index("ix_things_number", "owner", "number", "id"),
    Index("ix_things_score", "owner", "score", "id"),
    Index("ix_things_name", "owner", "name", "id"),
    Index("ix_things_id", "owner", "id"),
)

# A reference that is checked at the commit: the one honest way to make a commit fail.
orphans = Table(
    "orphans",
    metadata,
    Column("id", Id, primary_key=True),
    Column("thing", Id, ForeignKey("things.id", deferrable=True, initially="DEFERRED")),
)

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
BY_ID = named("things.by_id", select(things.c.id, things.c.name).where(things.c.id == bindparam("id")), bounded=True)
COUNT = select(func.count()).select_from(things)
ADD = insert(things)


def thing(**given: Any) -> dict[str, Any]:
    return {"id": new_id(), "made": MOMENT, **given}


async def add(session: WriteSession, **given: Any) -> UUID:
    row = thing(**given)
    await session.execute(ADD, row)
    await asyncio.sleep(0)  # so that others come meanwhile, and share the commit
    key: UUID = row["id"]
    return key


def slow(dialect: str, *, bounded: bool = False) -> Any:
    """A select that takes many seconds, and that only an interruption ends."""
    if dialect == "postgresql":
        return named("slow", select(literal_column("1").label("n"), func.pg_sleep(60)), bounded=bounded)
    counting = select(literal_column("1").label("n")).cte("counting", recursive=True)
    counting = counting.union_all(select(counting.c.n + 1).where(counting.c.n < 2_000_000_000))
    return named("slow", select(func.count(counting.c.n)), bounded=bounded)
