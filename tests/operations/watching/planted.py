"""Routes with known faults, mounted by the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import bindparam, select

from autoforge.db import models as m
from autoforge.db import named
from autoforge.db.batch import BatchLoader
from autoforge.web.deps import Db

_IDS = named("planted.ids", select(m.Prompt.id).limit(8))
_NAME = named("planted.name", select(m.Prompt.name).where(m.Prompt.id == bindparam("id")), bounded=True)
_NAMES = named(
    "planted.names", select(m.Prompt.id, m.Prompt.name).where(m.Prompt.id.in_(bindparam("ids", expanding=True)))
)


async def one_by_one(database: Db) -> list[str]:
    """A statement for each row."""
    async with database.read() as session:
        rows = await session.all(_IDS)
        return [str(await session.scalar(_NAME, {"id": row.id})) for row in rows]  # THE LINE


async def together(database: Db) -> list[str | None]:
    """One statement for all rows, although each is asked for by itself."""
    async with database.read() as session:
        rows = await session.all(_IDS)

        async def load(ids: Sequence[UUID]) -> Mapping[UUID, str]:
            return {row.id: row.name for row in await session.all(_NAMES, {"ids": list(ids)})}

        return await BatchLoader(load).load_all(row.id for row in rows)


def mount(app: FastAPI) -> None:
    """Both routes, in front of those that match any address."""
    app.get("/api/v1/planted/{kind}/one")(one_by_one)
    app.get("/api/v1/planted/{kind}/all")(together)


def the_line() -> int:
    """Where the fault is."""
    with open(__file__, encoding="utf-8") as source:
        return next(number for number, line in enumerate(source, 1) if line.endswith("# THE LINE\n"))
