"""The two doors: what may pass, what is stored, what is undone."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from autoforge.db import Database, ReadSession, WriteSession, named
from autoforge.db.faults import Collided
from autoforge.errors import BadInput, DatabaseUnavailable, Overloaded
from autoforge.settings import DatabaseSettings
from tests.db.conftest import Open
from tests.db.tables import ADD, BY_ID, COUNT, add, on_postgresql, orphans, thing
from tests.db.tables import things as table

pytestmark = pytest.mark.anyio


async def test_what_is_written_is_read(things: Database) -> None:
    async with things.write() as session:
        key = await add(session, name="one")
    async with things.read() as session:
        row = await session.first(BY_ID, {"id": key})
        assert row is not None
        assert (row.id, row.name) == (key, "one")
        assert await session.first(BY_ID, {"id": thing()["id"]}) is None
        assert await session.scalar(COUNT) == 1
        assert len(await session.all(BY_ID, {"id": key})) == 1


async def test_the_database_itself_refuses_writes_through_the_reading_door(things: Database) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"):
        async with things.read() as session:
            await session.execute(ADD, thing())
    async with things.write() as session:  # and the other door is none the worse
        await add(session)
    async with things.read() as session:
        assert await session.scalar(COUNT) == 1


async def test_reading_only_does_not_stick_to_a_connection(open_database: Open) -> None:
    database = await open_database(pool_size=1, pool_overflow=0)
    for _ in range(3):
        async with database.read() as session:
            await session.scalar(COUNT)
        async with database.write() as session:
            await add(session)


async def test_a_block_that_raises_stores_nothing(things: Database) -> None:
    async def fail() -> None:
        async with things.write() as session:
            await add(session)
            raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await fail()
    async with things.read() as session:
        assert await session.scalar(COUNT) == 0


async def test_a_read_block_sees_one_snapshot(things: Database) -> None:
    async with things.read() as reading:
        assert await reading.scalar(COUNT) == 0
        async with things.write() as writing:
            await add(writing)
        assert await reading.scalar(COUNT) == 0
    async with things.read() as reading:
        assert await reading.scalar(COUNT) == 1


async def test_a_constraint_stays_an_integrity_error_and_undoes_the_block(things: Database) -> None:
    async with things.write() as session:
        key = await add(session)

    async def clash() -> None:
        async with things.write() as session:
            await add(session)
            await session.execute(ADD, thing(id=key, name="somebody's own words"))

    with pytest.raises(IntegrityError) as clashed:
        await clash()
    assert "own words" not in str(clashed.value)
    async with things.read() as session:
        assert await session.scalar(COUNT) == 1


async def test_savepoints_undo_their_part_alone(things: Database) -> None:
    done: list[str] = []

    async def clash(session: WriteSession) -> None:
        async with session.begin_nested():
            session.after_commit(lambda: done.append("undone"))
            key = await add(session, name="undone")
            await session.execute(ADD, thing(id=key))

    async with things.write() as session:
        session.after_commit(lambda: done.append("outer"))
        await add(session, name="outer")
        with pytest.raises(IntegrityError):
            await clash(session)
        async with session.begin_nested():
            await add(session, name="inner")
            async with session.begin_nested():
                await add(session, name="innermost")
                session.after_commit(lambda: done.append("innermost"))
        assert done == []
    async with things.read() as session:
        names = {row.name for row in await session.all(table.select())}
    assert names == {"outer", "inner", "innermost"}
    assert done == ["outer", "innermost"]


async def test_callbacks_run_after_the_commit_and_never_after_a_rollback(things: Database) -> None:
    done: list[str] = []
    async with things.write() as session:
        await add(session)
        session.after_commit(lambda: done.append("committed"))
        session.after_commit(lambda: done.remove("nothing of that name"))  # logged; the work is stored
        session.after_commit(lambda: done.append("and the next"))
    assert done == ["committed", "and the next"]

    async def fail() -> None:
        async with things.write() as session:
            session.after_commit(lambda: done.append("rolled back"))
            raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await fail()
    assert done == ["committed", "and the next"]


async def test_touched_tags_are_told_after_the_commit(things: Database) -> None:
    told: list[tuple[str, ...]] = []
    things.touched = lambda tags: told.append(tuple(tags))
    async with things.write() as session:
        session.touch("prompts", "suites")
        assert told == []
    assert told == [("prompts", "suites")]


async def test_a_door_inside_of_a_writing_block_is_refused_where_it_would_deadlock(things: Database) -> None:
    async with things.write() as session:
        await add(session)
        with pytest.raises(RuntimeError, match="write\\(\\) inside of write\\(\\)"):
            async with things.write():
                raise AssertionError("never entered")
        async with things.read() as reading:  # reading is fine, and sees what is committed
            assert await reading.scalar(COUNT) == 0
        inside = asyncio.create_task(later(things))
        with pytest.raises(RuntimeError, match="inside of write"):
            await inside
        outlives = asyncio.create_task(later(things, wait := asyncio.Event()))
    wait.set()
    await outlives  # the block that started it is over, so it waits for nobody


async def later(database: Database, event: asyncio.Event | None = None) -> None:
    if event is not None:
        await event.wait()
    async with database.write() as session:
        await add(session)


async def test_a_session_is_over_after_its_block(things: Database) -> None:
    async with things.read() as reading:
        pass
    async with things.write() as writing:
        pass
    sessions: list[ReadSession] = [reading, writing]
    for session in sessions:
        with pytest.raises(RuntimeError, match="outside of its block"):
            await session.scalar(COUNT)


@on_postgresql
async def test_transact_runs_again_after_a_collision(open_database: Open) -> None:
    database = await open_database(isolation_level="SERIALIZABLE")
    async with database.write() as session:
        key = await add(session, number=0)
    attempts = 0
    both_have_read = asyncio.Barrier(2)

    async def increment(session: WriteSession, by: int) -> int:
        nonlocal attempts
        attempts += 1
        number = await session.scalar(table.select().with_only_columns(table.c.number).where(table.c.id == key))
        if attempts <= 2:
            await both_have_read.wait()
        await session.execute(update(table).where(table.c.id == key).values(number=number + by))
        return int(number) + by

    results = await asyncio.gather(database.transact(increment, 1), database.transact(increment, 1))
    assert sorted(results) == [1, 2]
    assert attempts == 3


async def test_transact_gives_up_with_an_answer(things: Database) -> None:
    attempts = 0

    async def never(session: WriteSession) -> None:
        nonlocal attempts
        attempts += 1
        raise Collided("again")

    with pytest.raises(Overloaded):
        await things.transact(never, retry=2)
    assert attempts == 3


@on_postgresql
async def test_deadlocks_on_postgresql_are_collisions(things: Database) -> None:
    async with things.write() as session:
        keys = [await add(session), await add(session)]
    attempts = 0
    both_hold_one = asyncio.Barrier(2)

    async def lock(session: WriteSession, first: int) -> None:
        nonlocal attempts
        attempts += 1
        for turn, which in enumerate((first, 1 - first)):
            if turn == 1 and attempts <= 2:
                await both_hold_one.wait()
            await session.execute(update(table).where(table.c.id == keys[which]).values(number=table.c.number + 1))

    await asyncio.gather(things.transact(lock, 0), things.transact(lock, 1))
    async with things.read() as session:
        assert [row.number for row in await session.all(table.select())] == [2, 2]


async def test_a_cancelled_block_undoes_itself_and_frees_its_place(open_database: Open) -> None:
    database = await open_database(pool_size=1, pool_overflow=0)
    inside = asyncio.Event()

    async def hold(door: str) -> None:
        if door == "write":
            async with database.write() as session:
                await add(session)
                inside.set()
                await asyncio.Event().wait()
        else:
            async with database.read() as reading:
                await reading.scalar(COUNT)
                inside.set()
                await asyncio.Event().wait()

    for door in ("write", "read"):
        inside.clear()
        task = asyncio.create_task(hold(door))
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with database.read() as reading:
        assert await reading.scalar(COUNT) == 0


async def test_who_waits_too_long_for_a_connection_is_told(open_database: Open) -> None:
    database = await open_database(pool_size=1, pool_overflow=0, pool_timeout=0.05, pool_queue=1)
    async with database.read():
        with pytest.raises(Overloaded) as told:
            async with database.read():
                raise AssertionError("never entered")
        assert told.value.status == 503
        waiting = asyncio.create_task(read_count(database))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="are waiting"):
            await read_count(database)
    assert await waiting == 0


async def test_connections_are_given_out_in_order_of_arrival(open_database: Open) -> None:
    # With one connection, because of two one may be slower; and those who come back do not overtake those who wait.
    database = await open_database(pool_size=1, pool_overflow=0)
    order: list[int] = []

    async def visit(number: int) -> None:
        for _ in range(3):
            async with database.read() as session:
                await session.scalar(COUNT)
                order.append(number)

    await asyncio.gather(*(visit(number) for number in range(20)))
    assert order == [*range(20)] * 3


async def read_count(database: Database) -> int | None:
    async with database.read() as session:
        return await session.scalar(COUNT)


async def test_closing_leaves_no_thread_and_nobody_waiting(open_database: Open) -> None:
    before = set(threading.enumerate())
    database = await open_database()
    async with database.write() as session:
        await add(session)
    await asyncio.gather(*(read_count(database) for _ in range(20)))
    running = asyncio.create_task(read_count(database))
    await asyncio.sleep(0)
    await database.close()
    assert await running == 1
    assert set(threading.enumerate()) <= before
    with pytest.raises(Overloaded, match="shutting down"):
        await read_count(database)
    with pytest.raises(Overloaded, match="shutting down"):
        await later(database)


async def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "yet %20?.db"
    settings = DatabaseSettings(url=f"sqlite:///{str(path).replace('?', '%3F')}")
    async with await Database.open(settings) as database, database.read() as session:
        assert await session.scalar(text("SELECT 1")) == 1
    assert path.parent.is_dir()


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/name", "sqlite://", "sqlite:///:memory:"])
async def test_a_wrong_address_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput):
        await Database.open(DatabaseSettings(url=url))


async def test_what_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is not a database " * 100)
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        await Database.open(DatabaseSettings(url=f"sqlite:///{tmp_path / 'text.db'}"))
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        await Database.open(DatabaseSettings(url="postgresql://nobody@127.0.0.1:1/none"))


async def test_a_bounded_statement_may_write(things: Database) -> None:
    adding = named("things.add", ADD, bounded=True)
    async with things.write() as session:
        await session.execute(adding, thing(name="bounded"))
        changing = named("things.rename", update(table).values(name="changed"), bounded=True)
        assert (await session.execute(changing)).rowcount == 1
    async with things.read() as session:
        assert (await session.all(table.select()))[0].name == "changed"


async def test_a_failed_commit_is_an_error_and_stores_nothing(things: Database) -> None:
    done: list[str] = []

    async def orphan() -> None:
        async with things.write() as session:
            session.after_commit(lambda: done.append("never"))
            await session.execute(orphans.insert(), {"id": thing()["id"], "thing": thing()["id"]})

    with pytest.raises((DatabaseUnavailable, IntegrityError)):
        await orphan()
    async with things.write() as session:
        await add(session)
    async with things.read() as session:
        assert await session.scalar(COUNT) == 1
        assert await session.all(orphans.select()) == []
    assert done == []
