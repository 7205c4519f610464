"""Turns at a file among processes: in order, not lost to the dead, and never two at once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import pytest

from autoforge.db import Database
from autoforge.db.embedded import EmbeddedDatabase
from autoforge.db.turns import Turns, one_turn, open_turns
from autoforge.errors import Overloaded
from autoforge.settings import DatabaseSettings
from tests import servers
from tests.db.conftest import create_tables
from tests.db.tables import add

pytestmark = pytest.mark.anyio

ASKING = """
import asyncio, sys
from pathlib import Path
from autoforge.db.turns import open_turns

async def main():
    turns = open_turns(Path(sys.argv[1]))
    loop = asyncio.get_running_loop()
    asked = loop.create_task(turns.take(loop.time() + 60))
    while turns._before is None:  # until it has a number
        await asyncio.sleep(0)
    print("has it" if asked.done() else "waits", flush=True)
    await asked
    await asyncio.Event().wait()

asyncio.run(main())
"""


def opened(path: Path) -> Turns:
    turns = open_turns(path)
    assert turns is not None
    return turns


def soon() -> float:
    return asyncio.get_running_loop().time() + servers.PATIENCE


@contextmanager
def another(path: Path, says: bytes) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has asked for its turn."""
    command = [sys.executable, "-c", ASKING, str(path)]
    process = subprocess.Popen(command, cwd=servers.ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == says
        yield process
    finally:
        process.kill()
        process.communicate()


async def test_turns_come_in_the_order_of_asking(tmp_path: Path) -> None:
    every = [opened(tmp_path / "db") for _ in range(4)]
    order: list[int] = []

    async def turn(number: int) -> None:
        await every[number].take(soon())
        order.append(number)
        await asyncio.sleep(0)
        every[number].release()

    await every[0].take(soon())
    tasks = []
    for number in (2, 1, 3):
        tasks.append(asyncio.create_task(turn(number)))
        await asyncio.sleep(0)
    every[0].release()
    await every[0].take(soon())  # it was quick to ask again, and comes last all the same
    assert order == [2, 1, 3]
    await asyncio.gather(*tasks)
    for turns in every:
        turns.close()


async def test_who_dies_in_its_turn_holds_up_nobody(tmp_path: Path) -> None:
    mine = opened(tmp_path / "db")
    with another(tmp_path / "db", says=b"has it") as process:
        asked = asyncio.create_task(mine.take(soon()))
        await asyncio.sleep(0)
        assert mine.waited
        assert not asked.done()
        process.send_signal(signal.SIGKILL)
        await asked
    mine.close()


async def test_who_dies_waiting_lets_nobody_pass_before_their_turn(tmp_path: Path) -> None:
    first, last = opened(tmp_path / "db"), opened(tmp_path / "db")
    await first.take(soon())
    with another(tmp_path / "db", says=b"waits") as process:
        asked = asyncio.create_task(last.take(soon()))
        await asyncio.sleep(0)
        assert last.waited
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
    third = opened(tmp_path / "db")
    with pytest.raises(Overloaded):
        await third.take(asyncio.get_running_loop().time())
    third.close()
    assert not asked.done()
    first.release()
    await asked
    first.close()
    last.close()


async def test_a_migration_takes_a_turn_as_well(tmp_path: Path) -> None:
    writer = opened(tmp_path / "db")
    with one_turn(tmp_path / "db", servers.PATIENCE):
        assert not writer.ask()
        with one_turn(tmp_path / "db", 0.0):
            pass  # it does not wait for ever
    assert writer.ask()
    writer.close()


@pytest.mark.parametrize("cancelled", [False, True])
async def test_who_gives_up_leaves_nothing_taken(tmp_path: Path, cancelled: bool) -> None:
    first, second = opened(tmp_path / "db"), opened(tmp_path / "db")
    await first.take(soon())
    asked = asyncio.create_task(second.take(soon() if cancelled else asyncio.get_running_loop().time()))
    await asyncio.sleep(0)
    if cancelled:
        asked.cancel()
    with pytest.raises(asyncio.CancelledError if cancelled else Overloaded):
        await asked
    first.release()
    await first.take(soon())  # what the other one does not want any more is free at once
    again = asyncio.create_task(second.take(soon()))
    await asyncio.sleep(0)
    first.release()
    await again
    second.close()
    await first.take(soon())  # and so is what is closed
    first.close()


async def test_a_busy_writer_lets_others_write_between_its_batches(tmp_path: Path) -> None:
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path / 'shared.db'}")
    async with await Database.open(settings) as busy, await Database.open(settings) as other:
        await create_tables(busy)
        done = asyncio.Event()

        async def write() -> None:
            while not done.is_set():
                async with busy.write() as session:
                    await add(session)

        writer = cast(EmbeddedDatabase, busy).writer
        tasks = [asyncio.create_task(write()) for _ in range(100)]
        async with busy.write() as session:  # it waits its turn among them: they are at it
            await add(session)
        waits = []
        for _ in range(10):
            before = writer.commits
            async with other.write() as session:
                await add(session)
            waits.append(writer.commits - before)
        done.set()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
    assert max(waits) <= 3
