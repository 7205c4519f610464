"""Statements that are cancelled, too slow, locked out or wrong: the connection survives all of it."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from sqlalchemy import bindparam, literal_column, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from autoforge.db import Database, count_statements, named
from autoforge.db.connection import Limits, Opening, SQLiteConnection, dbapi, open_connection
from autoforge.db.embedded import EmbeddedDatabase
from autoforge.errors import DatabaseTimeout, Overloaded
from autoforge.settings import DatabaseSettings
from tests.db.conftest import Open
from tests.db.tables import ADD, BY_ID, COUNT, add, on_sqlite, slow, thing
from tests.db.tables import things as table

pytestmark = pytest.mark.anyio


async def test_a_cancelled_statement_lets_go_at_once(open_database: Open) -> None:
    database = await open_database(pool_size=1, pool_overflow=0)

    async def endless() -> None:
        async with database.read() as session:
            await session.all(slow(database.dialect))

    for _ in range(3):
        task = asyncio.create_task(endless())
        asyncio.get_running_loop().call_later(0.05, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.read() as session:
            assert await session.scalar(COUNT) == 0


async def test_a_timeout_around_a_statement_works(things: Database) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), things.read() as session:
            await session.all(slow(things.dialect))
    with anyio.move_on_after(0.05) as scope:  # it cancels again and again until the task has left
        async with things.read() as session:
            await session.all(slow(things.dialect))
    assert scope.cancelled_caught
    async with things.write() as writing:
        await add(writing)


@on_sqlite
async def test_a_session_is_usable_after_a_cancelled_statement(things: Database) -> None:
    async with things.write() as session:
        await add(session, name="before")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await session.all(slow("sqlite"))
        await add(session, name="after")
    async with things.read() as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await session.all(slow("sqlite"))
        assert await session.scalar(COUNT) == 2


async def test_a_statement_that_takes_too_long_is_stopped(open_database: Open) -> None:
    database = await open_database(statement_timeout=0.1)

    async def endless() -> None:
        async with database.read() as session:
            await session.all(slow(database.dialect))

    with pytest.raises(DatabaseTimeout) as stopped:
        await endless()
    assert stopped.value.status == 504
    async with database.read() as session:
        assert await session.scalar(COUNT) == 0


@on_sqlite
async def test_a_statement_that_is_not_bounded_after_all_moves_to_the_thread(
    open_database: Open, caplog: pytest.LogCaptureFixture
) -> None:
    database = await open_database(statement_timeout=0.2, inline_deadline=0.01)
    with caplog.at_level(logging.INFO, "autoforge.db"), count_statements() as seen, pytest.raises(DatabaseTimeout):
        await all_rows(database, slow("sqlite", bounded=True))
    assert "moved to a thread" in caplog.text
    assert seen.count == 1
    counting = literal_column("1").label("n")
    numbers = select(counting).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < 300_000))
    finishing = named("finishing", select(numbers.c.n), bounded=True)
    patient = await open_database(inline_deadline=0.01)
    assert len(await all_rows(patient, finishing)) == 300_000


async def all_rows(database: Database, statement: Any) -> Any:
    async with database.read() as session:
        return await session.all(statement)


@on_sqlite
async def test_bounded_reads_take_no_thread(things: Database) -> None:
    async with things.read() as session:
        driver: Any = session.connection.connection.dbapi_connection
        thread_of: list[str] = []
        driver._connection.create_function("whoami", 0, lambda: thread_of.append(threading.current_thread().name) or 1)
        asking = named("whoami", select(text("whoami()")), bounded=True)
        await session.all(asking)
        await session.all(named("whoami", asking, bounded=False))
    assert thread_of == ["MainThread", "sqlite reader"]


async def test_a_wrong_statement_leaves_the_session_usable(things: Database) -> None:
    async with things.read() as session:
        if things.dialect == "sqlite":  # PostgreSQL fails the transaction
            for bounded in (True, False):
                with pytest.raises(OperationalError, match="no such table"):
                    await session.all(named("wrong", select(text("1 FROM nowhere")), bounded=bounded))
            assert await session.scalar(COUNT) == 0
    with pytest.raises(DBAPIError):
        await all_rows(things, text("SELEKT"))
    assert await all_rows(things, COUNT) == [(0,)]


@on_sqlite
async def test_two_statements_at_once_on_one_session_are_refused(things: Database) -> None:
    async with things.read() as session:
        first = asyncio.create_task(session.all(slow("sqlite")))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="several statements at once"):
            await session.first(BY_ID, {"id": thing()["id"]})
        with pytest.raises(RuntimeError, match="several statements at once"):
            await session.scalar(COUNT)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await session.scalar(COUNT) == 0


@on_sqlite
async def test_a_statement_left_running_ends_with_its_block(things: Database) -> None:
    async with things.read() as session:
        left = asyncio.create_task(session.all(slow("sqlite")))
        await asyncio.sleep(0)
    with pytest.raises(OperationalError, match="interrupted"):
        await left
    writing: list[asyncio.Task[Any]] = []

    async def leave_one_running() -> None:
        async with things.write() as session:
            await add(session)
            writing.append(asyncio.create_task(session.all(slow("sqlite"))))
            await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="running in another task"):
        await leave_one_running()
    with pytest.raises(OperationalError, match="interrupted"):
        await writing[0]
    assert await all_rows(things, COUNT) == [(0,)]


def exclusive(path: Path) -> Any:
    """Another process's hold on the file, as far as SQLite can tell."""
    other = dbapi.connect(str(path), isolation_level=None, timeout=0, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other


@on_sqlite
async def test_another_writer_is_waited_for(open_database: Open) -> None:
    database = cast(EmbeddedDatabase, await open_database(busy_timeout=10))
    other = exclusive(database.path)
    try:
        asyncio.get_running_loop().call_later(0.1, other.rollback)
        async with database.write() as session:
            await add(session)
        assert await all_rows(database, COUNT) == [(1,)]
    finally:
        other.close()


@on_sqlite
async def test_another_writer_that_stays_is_a_503_and_never_locked(open_database: Open) -> None:
    database = cast(EmbeddedDatabase, await open_database(busy_timeout=0.05))
    other = exclusive(database.path)
    try:
        results = await asyncio.gather(*(write_one(database) for _ in range(5)), return_exceptions=True)
        assert {type(result) for result in results} == {Overloaded}
        assert all("another process" in str(result) for result in results)
        assert await all_rows(database, COUNT) == [(0,)]  # readers do not care
    finally:
        other.close()
    await write_one(database)


async def write_one(database: Database) -> None:
    async with database.write() as session:
        await add(session)


@on_sqlite
async def test_waiting_for_another_process_can_be_cancelled(open_database: Open) -> None:
    database = cast(EmbeddedDatabase, await open_database(busy_timeout=60))
    other = exclusive(database.path)
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await write_one(database)
    finally:
        other.close()
    await write_one(database)


async def test_rows_of_a_finished_statement_are_not_kept_by_its_thread(tmp_path: Path) -> None:
    class Row:
        alive = 0

        def __init__(self) -> None:
            Row.alive += 1

        def __del__(self) -> None:
            Row.alive -= 1

    connection = await open_connection(Opening(str(tmp_path / "one.db")))
    rows = await connection.call(lambda _: [Row() for _ in range(10)])
    assert Row.alive == 10
    del rows
    await connection.call(lambda _: None)
    gc.collect()
    assert Row.alive == 0
    await connection.aclose()


async def test_a_connection_thread_ends_with_its_connection(tmp_path: Path) -> None:
    before = threading.active_count()
    connection = await open_connection(Opening(str(tmp_path / "one.db")))
    assert threading.active_count() == before + 1
    await connection.aclose()
    assert threading.active_count() == before
    with pytest.raises(dbapi.OperationalError):
        await open_connection(Opening(str(tmp_path / "missing.db"), read_only=True))
    await settled(lambda: threading.active_count() == before)


async def settled(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - a thread tells nobody that it has ended
            await asyncio.sleep(0.001)


async def test_opening_can_be_cancelled(tmp_path: Path) -> None:
    before = threading.active_count()
    opening = asyncio.create_task(open_connection(Opening(str(tmp_path / "one.db"))))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await settled(lambda: threading.active_count() == before)


async def test_a_call_that_was_cancelled_before_its_turn_is_not_made(tmp_path: Path) -> None:
    connection = await open_connection(Opening(str(tmp_path / "one.db"), limits=Limits(statement=5)))
    release, made = threading.Event(), []
    connection._thread.post(release.wait)  # the thread is held up
    call = asyncio.create_task(connection.call(lambda _: made.append(1)))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.sleep(0)
    release.set()
    with pytest.raises(Exception, match="cancelled"):
        await call
    assert made == []
    await connection.aclose()


async def test_a_read_may_be_cancelled_while_its_connection_is_made(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await Database.open(DatabaseSettings(url=sqlite_url)) as database:

        async def read() -> Any:
            async with database.read() as session:
                return await session.scalar(select(1))

        with monkeypatch.context() as patched:
            patched.setattr(SQLiteConnection, "call", cancelled_first(SQLiteConnection.call))
            with pytest.raises(asyncio.CancelledError):
                await asyncio.create_task(read())
        assert await read() == 1


def cancelled_first(call: Any) -> Any:
    """``call``, in a task that is cancelled just before."""

    async def cancelling(*args: Any, **given: Any) -> Any:
        running = asyncio.current_task()
        assert running is not None
        running.cancel()
        return await call(*args, **given)

    return cancelling


async def test_many_at_once_and_some_cancelled(things: Database) -> None:
    async with things.write() as session:
        await session.execute(ADD, [thing(number=number) for number in range(500)])
    statement = select(table.c.number).where(table.c.number >= bindparam("least"))

    async def read(least: int) -> int:
        async with things.read() as session:
            return len(await session.all(statement, {"least": least}))

    tasks = [asyncio.create_task(read(number)) for number in range(200)]
    for step in range(50):
        await asyncio.sleep(0)
        tasks[(step * 13) % 200].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for number, result in enumerate(results):
        assert isinstance(result, asyncio.CancelledError) or result == 500 - number
    assert sum(isinstance(result, int) for result in results) >= 150
    assert await read(0) == 500
