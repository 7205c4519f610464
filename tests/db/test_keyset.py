"""Pages over lists that change while they are read."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, delete, select

from autoforge.db import Database, count_statements
from autoforge.db.keyset import KeysetQuery
from autoforge.errors import BadInput
from tests.db.tables import ADD, MOMENT, thing
from tests.db.tables import things as table

pytestmark = pytest.mark.anyio

OF_OWNER = select(table.c.name, table.c.number).where(table.c.owner == bindparam("owner"))
SORTS = {"made": table.c.made, "number": table.c.number, "score": table.c.score, "name": table.c.name, "id": None}
LISTS = {
    (sort, descending): KeysetQuery(f"things.by_{sort}", OF_OWNER, sort=column, key=table.c.id, descending=descending)
    for sort, column in SORTS.items()
    for descending in (True, False)
}
MINE = {"owner": 1}


def row(number: int, owner: int = 1) -> dict[str, Any]:
    """Few distinct values of everything, so that most rows are equal in what they are sorted by."""
    made = MOMENT + timedelta(microseconds=number % 3)
    names = ["a", "B", "ä", "日本", ""]
    return thing(owner=owner, number=number % 4 - 2, score=(number % 5) / 3, name=names[number % 5], made=made)


async def fill(database: Database, rows: list[dict[str, Any]]) -> None:
    async with database.write() as session:
        await session.execute(ADD, rows)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", list(SORTS))
async def test_pages_are_the_list_in_order(things: Database, sort: str, descending: bool) -> None:
    rows = [row(number) for number in range(57)]
    await fill(things, [*rows, *(row(number, owner=2) for number in range(20))])
    query, seen, after = LISTS[sort, descending], [], None
    while True:
        with count_statements() as counted:
            async with things.read() as session:
                page = await query.fetch(session, MINE, limit=10, after=after)
        assert counted.count == 1
        seen += [found[-1] for found in page.rows]
        if (after := page.next) is None:
            break
        assert len(page.rows) == 10
    in_order = sorted(rows, key=lambda one: (one[sort], one["id"]), reverse=descending)
    assert seen == [one["id"] for one in in_order]


@given(
    initial=st.lists(st.integers(0, 8), min_size=0, max_size=40),
    inserted=st.lists(st.lists(st.integers(0, 8), max_size=5), max_size=12),
    limit=st.integers(1, 7),
    descending=st.booleans(),
    sort=st.sampled_from(["made", "number", "score", "name"]),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@pytest.mark.anyio(False)
def test_nothing_is_lost_or_repeated_while_others_insert(
    keyset_database: tuple[asyncio.Runner, Database],
    initial: list[int],
    inserted: list[list[int]],
    limit: int,
    descending: bool,
    sort: str,
) -> None:
    runner, database = keyset_database
    query, there = LISTS[sort, descending], [row(number) for number in initial]

    async def page_through() -> list[Any]:
        async with database.write() as session:
            await session.execute(delete(table))
            if there:
                await session.execute(ADD, there)
        seen, after, more = [], None, iter(inserted)
        while True:
            async with database.read() as session:
                page = await query.fetch(session, MINE, limit=limit, after=after)
            seen += [found[-1] for found in page.rows]
            if (after := page.next) is None:
                return seen
            if new := [row(number) for number in next(more, [])]:
                await fill(database, new)

    seen = runner.run(page_through())
    assert len(seen) == len(set(seen))
    assert {one["id"] for one in there} <= set(seen)


@pytest.mark.parametrize(
    "cursor", ["", "x", "%%%", "ä", "W10", "bnVsbA", "e30", base64.urlsafe_b64encode(b"[" * 3000).decode(), "A" * 9000]
)
async def test_what_is_no_cursor_is_bad_input(things: Database, cursor: str) -> None:
    async with things.read() as session:
        with pytest.raises(BadInput) as refused:
            await LISTS["made", True].fetch(session, MINE, limit=5, after=cursor)
    assert refused.value.errors[0].pointer == "?after"


def tampered(cursor: str, *values: Any) -> str:
    signature = json.loads(base64.urlsafe_b64decode(cursor + "=="))[0]
    return base64.urlsafe_b64encode(json.dumps([signature, *values]).encode()).decode()


KEY = "0" * 32
HOSTILE: dict[str, list[list[Any]]] = {
    "made": [
        [10**30, KEY],
        [2**63 - 1, KEY],
        ["1", KEY],
        [True, KEY],
        [1, 1],
        [1, "zz"],
        [1],
        [1, KEY, 1],
        [None, KEY],
    ],
    "id": [[1], ["zz"], [], [KEY, KEY]],
    "number": [[2**63, KEY], [1.5, KEY], [[], KEY], [{}, KEY]],
    "score": [[float("nan"), KEY], [float("inf"), KEY], ["1", KEY], [10**400, KEY]],
    "name": [["\0", KEY], ["\ud800", KEY], [1, KEY]],
}


@pytest.mark.parametrize(("sort", "values"), [(sort, values) for sort, many in HOSTILE.items() for values in many])
async def test_a_cursor_that_was_changed_is_bad_input(things: Database, sort: str, values: list[Any]) -> None:
    await fill(things, [row(number) for number in range(5)])
    async with things.read() as session:
        query = LISTS[sort, True]
        cursor = (await query.fetch(session, MINE, limit=2)).next
        assert cursor is not None
        with pytest.raises(BadInput):
            await query.fetch(session, MINE, limit=2, after=tampered(cursor, *values))


async def test_a_cursor_belongs_to_its_query(things: Database) -> None:
    await fill(things, [row(number) for number in range(5)])
    async with things.read() as session:
        cursor = (await LISTS["made", True].fetch(session, MINE, limit=2)).next
        assert cursor is not None
        assert len(cursor) < 120
        for query, parameters in [
            (LISTS["made", False], MINE),
            (LISTS["number", True], MINE),
            (LISTS["made", True], {"owner": 2}),
        ]:
            with pytest.raises(BadInput, match="belongs to another list"):
                await query.fetch(session, parameters, limit=2, after=cursor)
        assert len((await LISTS["made", True].fetch(session, MINE, limit=9, after=cursor)).rows) == 3


def test_a_column_that_cannot_be_paged_by_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="cannot be paged"):
        KeysetQuery("no", select(table.c.id), sort=table.c.id.is_(None), key=table.c.id)
