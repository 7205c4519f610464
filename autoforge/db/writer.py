"""SQLite's one writer: blocks take turns, and share commits.

A commit that syncs costs far more than a small write, so blocks that come while others wait share one. The first
block opens the transaction; each that follows runs in a savepoint of its own. A block that succeeds joins the batch
and waits; the last one (nobody waits, or the batch is full or old enough) starts the commit, and then all of the batch
return at once. So a block is acknowledged only after its commit. A block that fails rolls back alone. A commit that
fails, fails the whole batch.

Where several processes write to one file, a batch is also this process's turn among them
(:mod:`autoforge.db.turns`): taken before its transaction begins, passed on as soon as that is over.

Nothing here needs a task of its own. The commit runs in the connection's thread and its outcome arrives on the loop:
whoever of the batch is cancelled meanwhile, the others are not concerned.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import nullcontext
from dataclasses import dataclass

from sqlalchemy import Connection

from autoforge.db.admission import Line, no_place_meanwhile
from autoforge.db.connection import SQLITE_BUSY, SQLiteConnection, dbapi, result_code
from autoforge.db.sessions import WriteSession
from autoforge.db.turns import Turns
from autoforge.errors import DatabaseUnavailable, Overloaded
from autoforge.settings import DatabaseSettings
from autoforge.telemetry import families, metrics

log = logging.getLogger(__name__)

_FEW = 32
"""So many may wait for their turn and hold no place elsewhere; where more wait, fewer shall come."""


@dataclass(slots=True, eq=False)
class Block:
    """One block of writing, from its turn to its commit."""

    session: WriteSession
    alone: bool
    started: float
    in_savepoint: bool
    committed: asyncio.Future[None] | None = None


class Writer:
    """Owns the writing connection. ``commits`` and ``blocks`` count what was committed, for metrics and tests."""

    def __init__(
        self,
        connection: Connection,
        driver: SQLiteConnection,
        settings: DatabaseSettings,
        turns: Turns | None = None,
    ) -> None:
        self._connection = connection
        self._driver = driver
        self._settings = settings
        self.turns = turns
        self._line = Line(
            "the writer",
            longest=settings.write_queue,
            patience=settings.write_timeout,
            waited=lambda seconds: metrics.observe(families.WRITER_WAIT, seconds),
        )
        self._taken = False  # a block runs, or a commit is on its way
        self._batch: list[Block] = []  # finished, not yet committed
        self._opened = 0.0
        self._idle: asyncio.Future[None] | None = None
        self.commits = 0
        self.blocks = 0

    @property
    def waiting(self) -> int:
        return len(self._line)

    @property
    def most_waiting(self) -> int:
        return self._line.longest

    @property
    def refused(self) -> int:
        """How many were turned away so far."""
        return self._line.refused

    # --- a block's life -------------------------------------------------------------------------------------------

    async def enter(self, *, bulk: bool = False) -> Block:
        """Wait for the turn and begin. ``Overloaded`` when that takes too long, or too many wait already."""
        give_up = asyncio.get_running_loop().time() + self._settings.write_timeout
        if self._taken:
            with no_place_meanwhile() if len(self._line) < _FEW else nullcontext():
                await self._line.wait(self._pass_turn, alone=bulk)
        else:
            self._line.check_open()
            self._taken = True
        try:
            in_savepoint = bool(self._batch)
            if in_savepoint:
                self._driver.command("SAVEPOINT block")
            else:
                await self._begin(give_up)
        except BaseException:
            self._pass_turn()
            raise
        self._driver.interruptible = not in_savepoint
        return Block(WriteSession(self._connection, self._driver), bulk, time.perf_counter(), in_savepoint)

    async def leave(self, block: Block) -> None:
        """The block succeeded: return once its work is committed."""
        if self._driver.busy:
            await self.abandon(block)
            raise RuntimeError("the block ended while a statement of it was running in another task; it is rolled back")
        self._driver.close_cursors()
        self._note_duration(block)
        if not self._driver.in_transaction:
            self._lose_transaction()
            self._pass_turn()
            raise DatabaseUnavailable("the database rolled the transaction back; nothing of it is stored")
        if block.in_savepoint:
            self._driver.command("RELEASE block")
        block.committed = asyncio.get_running_loop().create_future()
        self._batch.append(block)
        self._pass_turn(flush=block.alone)
        with no_place_meanwhile():
            await block.committed

    async def abandon(self, block: Block) -> None:
        """The block failed: undo it, and it alone. Waits for nothing unless a statement of it still runs."""
        if not self._driver.settled:
            await self._driver.settle()
        self._undo(block)

    def _undo(self, block: Block) -> None:
        self._note_duration(block)
        if not self._driver.in_transaction:
            self._lose_transaction()
        elif block.in_savepoint:
            self._driver.command("ROLLBACK TO block")
            self._driver.command("RELEASE block")
        else:
            self._driver.command("ROLLBACK")
            self._end_turn()
        self._pass_turn()

    async def close(self) -> None:
        """Send away who waits, let who writes finish."""
        self._line.close()
        if self._taken:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        if self.turns is not None:
            self.turns.close()

    # --- turns and commits ----------------------------------------------------------------------------------------

    async def _begin(self, give_up: float) -> None:
        """Take the write lock, in fair turns with other processes."""
        if self.turns is not None:
            await self.turns.take(give_up)
        try:
            await self._lock()
        except BaseException:
            self._end_turn()
            raise
        self._opened = time.monotonic()

    async def _lock(self) -> None:
        """Somebody who takes no turns may have the lock: ask again, without holding up the loop or a thread."""
        give_up = time.monotonic() + self._settings.busy_timeout
        pause = 0.001
        while True:
            try:
                self._driver.command("BEGIN IMMEDIATE")
                return
            except dbapi.OperationalError as error:
                if result_code(error) != SQLITE_BUSY:
                    raise
            if time.monotonic() > give_up:
                raise Overloaded("another process is writing to the database; try again")
            await asyncio.sleep(pause * (0.5 + random.random()))
            pause = min(0.004, pause * 1.5)  # asking costs microseconds; sleeping long loses every race

    def _end_turn(self) -> None:
        """The transaction is over: others may write."""
        if self.turns is not None:
            self.turns.release()

    def _pass_turn(self, *, flush: bool = False) -> None:
        """Who had the turn is done: commit what is finished, or let the next one join."""
        next_one = self._line.first
        if self._batch and (flush or next_one is None or next_one.alone or self._batch_is_full()):
            self._driver.commit_then(self._commit_arrived, self._end_turn)
        else:
            self._call_next()

    def _batch_is_full(self) -> bool:
        aged = time.monotonic() - self._opened
        return len(self._batch) >= self._settings.write_batch or aged >= self._settings.write_batch_age

    def _call_next(self) -> None:
        self._taken = self._line.call_next()
        if not self._taken and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _commit_arrived(self, error: BaseException | None) -> None:
        batch, self._batch = self._batch, []
        if error is None:
            self.commits += 1
            self.blocks += len(batch)
            metrics.observe(families.BATCH, len(batch))
            for block in batch:
                block.session.run_callbacks()
        else:
            self._driver.rollback_inline()
            self._end_turn()
        self._call_next()
        _acknowledge(batch, error)

    def _lose_transaction(self) -> None:
        """SQLite rolled everything back by itself (a full disk, an interrupted write): the batch is gone as well."""
        self._end_turn()
        batch, self._batch = self._batch, []
        _acknowledge(batch, DatabaseUnavailable("a shared transaction was rolled back; try again"))

    def _note_duration(self, block: Block) -> None:
        seconds = time.perf_counter() - block.started
        if seconds > self._settings.write_slow and not block.alone:
            log.warning("a writing block kept all other writers waiting for %.2f s", seconds)


def _acknowledge(batch: list[Block], error: BaseException | None) -> None:
    for block in batch:
        assert block.committed is not None
        if block.committed.done():  # its task was cancelled meanwhile
            continue
        if error is None:
            block.committed.set_result(None)
        else:
            failure = DatabaseUnavailable(f"the commit failed, nothing of it is stored: {error}")
            failure.__cause__ = error
            block.committed.set_exception(failure)
