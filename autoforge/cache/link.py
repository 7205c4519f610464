"""One process's link to Redis: hearing what others change, telling what changed here, knowing when to trust.

A subscribed connection hears of changes. Redis answers a PING on it in the order of its messages, so once the answer
is here, so is everything that changed before the PING was sent. ``trusted_until`` is that moment plus the bound: until
then, what the process holds is at most that old. When the answers stay out, trust lapses by itself; nobody has to
notice anything. A new subscription raises doubt about all marks that were read before it.

The link is also the circuit breaker. Requests use Redis only while it is ``up``; a few failures in a row, or silence,
take it down at once, and the loop that reconnects is the one that tries again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from autoforge.cache.stamps import Stamps
from autoforge.cache.ttl import WORD
from autoforge.cache.wire import Command, Wire
from autoforge.errors import AutoforgeError

log = logging.getLogger(__name__)

BEAT = WORD / 3
SILENCE = 1.0
"""Seconds without an answer after which the connection is given up."""
LEASE = 3.0
"""Seconds that the right to compute a value outlives the process that had it."""
_FAILURES = 3
_PAUSES = (0.05, 1.0)
_MOST_ROWS = 10_000

_ANNOUNCE = """
for i = 3, #ARGV do redis.call('HINCRBY', KEYS[1], ARGV[i], 1) end
return redis.call('PUBLISH', ARGV[1], redis.call('HINCRBY', KEYS[1], 'changes', 1) .. ' ' .. ARGV[2])
"""
_KEEP = """
for i, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[i + 1] then redis.call('PEXPIRE', key, ARGV[1]) end
end
"""


class Link:
    """``start`` it in a running loop and ``close`` it there.

    ``catch_up`` runs after each connecting and before anything is trusted; ``rows_told`` learns which rows of the
    outbox Redis has been told of, and whether by this process.
    """

    def __init__(self, wire: Wire, stamps: Stamps, channel: str) -> None:
        self.wire, self.stamps, self.channel = wire, stamps, channel
        self.up = False
        self.trusted_until = 0.0
        self.connections = self.failures = 0
        self.catch_up: Callable[[], Awaitable[object]] | None = None
        self.rows_told: Callable[[Iterable[UUID], bool], object] = lambda rows, own: None
        self.held: dict[str, str] = {}
        """Rights to compute that this process has: key and token. The heartbeat prolongs them."""
        self._in_a_row = 0
        self._slots: set[int] = set()
        self._rows: list[UUID] = []
        self._next: asyncio.Future[None] | None = None  # done when what waits now has been told
        self._now: asyncio.Future[None] | None = None  # done when what is being told has been
        self._telling: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._missed = False
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._kept = self._counted = 0.0
        self._heard = self._announced = 0  # numbers of messages: the last one here, and the last one that Redis sent

    # --- asking -------------------------------------------------------------------------------------------------------

    async def ask(self, *commands: Command) -> list[Any] | None:
        """The replies, or None when Redis is not to be had: then do without."""
        if not self.up:
            return None
        try:
            replies = await self.wire.exchange(commands)
        except ConnectionError as error:
            self._fail(error)
            return None
        self._in_a_row = 0
        return replies

    def _fail(self, error: Exception) -> None:
        self.failures += 1
        self._in_a_row += 1
        if self._in_a_row >= _FAILURES and self.up:
            self._go_down(error)

    def lose(self, error: BaseException) -> None:
        """Somebody found that Redis takes no changes: nobody may believe what it says until it does."""
        self._go_down(error)

    def _go_down(self, error: BaseException) -> None:
        if self.up or not self._tried.is_set():
            log.warning("the cache goes on without Redis: %s", error)
            self._missed = True
        self.up = False
        self.trusted_until = 0.0
        self._tried.set()

    # --- telling ------------------------------------------------------------------------------------------------------

    def tell(self, slots: Iterable[int], rows: Iterable[UUID] = ()) -> None:
        """Tells Redis and all other processes, at once or as soon as Redis is back. ``rows`` say the same durably."""
        self._slots.update(slots)
        if len(self._rows) < _MOST_ROWS:  # rows beyond are found in the database
            self._rows.extend(rows)
        if self.up and (self._slots or self._rows):
            if self._next is None:
                self._next = asyncio.get_running_loop().create_future()
            if self._telling is None or self._telling.done():
                self._telling = asyncio.get_running_loop().create_task(self._tell_all())

    async def told(self) -> None:
        """Returns once Redis knows what was told before, or is known to be away."""
        last = self._next or self._now
        if last is not None:
            await asyncio.shield(last)

    @property
    def untold(self) -> int:
        """How many slots wait for Redis."""
        return len(self._slots)

    async def _tell_all(self) -> None:
        while self.up and (self._slots or self._rows):
            slots, self._slots = self._slots, set()
            rows, self._rows = self._rows, []
            self._now, self._next = self._next, None
            told = False
            try:
                await self.announce(slots, rows)
                told = True
            except ConnectionError as error:
                self._fail(error)
            finally:
                if not told:
                    self._slots |= slots
                    self._rows += rows
                _resolve(self._now)
                if not self.up:
                    _resolve(self._next)
                    self._next = None

    async def announce(self, slots: Iterable[int], rows: Sequence[UUID], *, for_others: bool = False) -> None:
        """New stamps and the message in one step, with its number, by which a receiver knows that it missed none.

        ``for_others``: the change was another host's, so this one has to hear of it like all.
        """
        slots = sorted(slots)
        changes = self.stamps.untold(slots)
        sender = "" if for_others else self.stamps.identity
        message = msgspec.msgpack.encode([sender, slots, [row.bytes for row in rows]])
        await self.wire.exchange([("EVAL", _ANNOUNCE, 1, self.wire.stamps, self.channel, message, *slots)])
        self.stamps.tell(changes)
        self.rows_told(rows, True)

    # --- hearing ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Returns once Redis has answered, or has not: then it is asked again for as long as the process lives."""
        self.stamps.linked = True
        self._task = asyncio.get_running_loop().create_task(self._run())
        await self._tried.wait()

    async def close(self) -> None:
        """Tells what is left, briefly, and lets go. What Redis did not learn is in the outbox."""
        try:
            async with asyncio.timeout(SILENCE):
                await self.told()
        except TimeoutError:
            log.warning("the cache closes before Redis was told of %d changes", self.untold)
        self._closing = True  # beside cancelling: asyncio.wait_for of Python 3.11 may swallow that
        self.up, self.trusted_until = False, 0.0
        for task in (self._task, self._telling):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        _resolve(self._next)
        await self.wire.drop_idle()

    async def _run(self) -> None:
        pause = _PAUSES[0]
        while not self._closing:
            began = time.monotonic()
            try:
                await self._listen()
            except (ConnectionError, RedisError, OSError, AutoforgeError) as error:
                self._go_down(error)
            except Exception as error:
                self._go_down(error)
                log.exception("the link to Redis broke")
            await self.wire.drop_idle()
            pause = _PAUSES[0] if time.monotonic() - began > 10 * _PAUSES[1] else min(2 * pause, _PAUSES[1])
            await asyncio.sleep(pause * (0.5 + random.random()))

    async def _listen(self) -> None:
        connection = await self.wire.connect()
        try:
            await connection.send_command("SUBSCRIBE", self.channel)
            if await connection.read_response(timeout=SILENCE) is None:
                raise ConnectionError("Redis does not answer")
            self.stamps.doubt()
            self._heard = self._announced = await self._count()
            if self.catch_up is not None:
                await self.catch_up()
            await self._beat(connection)
        finally:
            await self.wire.discard(connection)

    async def _beat(self, connection: AbstractConnection) -> None:
        """Pings, and between the answers hears. Ends with ConnectionError."""
        sent, answered, trusted, empty = await self._ping(connection), False, False, 0
        while not self._closing:
            now = time.monotonic()
            if answered and now - sent >= BEAT:
                sent, answered = await self._ping(connection), False
            reply = await connection.read_response(timeout=max(0.001, sent + BEAT - now) if answered else BEAT)
            if trusted and not self.up:
                raise ConnectionError("too many commands failed")
            if reply is not None and reply[0] == b"message":
                self._hear(reply[2])
            elif reply is not None and reply[0] == b"pong":
                answered = trusted = True
                self._trust(sent)
            empty = empty + 1 if reply is None and not answered else 0
            if empty * BEAT > SILENCE:  # looks, not time: a process that was busy has not listened
                raise ConnectionError("Redis has fallen silent")

    async def _ping(self, connection: AbstractConnection) -> float:
        if self.up and time.monotonic() - self._counted > SILENCE:
            self._announced = await self._count()
        sent = time.monotonic()
        await connection.send_command("PING", check_health=False)
        if self.held and sent - self._kept > LEASE / 3:
            self._kept = sent
            held = dict(self.held)
            await self.ask(("EVAL", _KEEP, len(held), *held, int(LEASE * 1000), *held.values()))
        return sent

    async def _count(self) -> int:
        """How many messages Redis has sent so far."""
        self._counted = time.monotonic()
        (count,) = await self.wire.exchange([("HGET", self.wire.stamps, "changes")])
        return int(count or 0)

    def _trust(self, sent: float) -> None:
        if self._heard < self._announced:
            self._heard = self._announced
            self.stamps.doubt()
        self.trusted_until = sent + WORD
        if not self.up:
            self.up = True
            self.connections += 1
            self._in_a_row = 0
            self._tried.set()
            if self._missed:
                log.warning("the cache goes on with Redis again")
                self._missed = False
            self.tell(())

    def _hear(self, message: bytes) -> None:
        try:
            number, _, body = message.partition(b" ")
            if int(number) != self._heard + 1:
                self.stamps.doubt()
            self._heard = int(number)
            sender, slots, rows = msgspec.msgpack.decode(body)
            if sender != self.stamps.identity:  # what this host changed, its stamps in shared memory say
                self.stamps.hear(slots)
            self.rows_told([UUID(bytes=row) for row in rows], False)
        except (msgspec.MsgspecError, ValueError, TypeError):
            self.stamps.doubt()  # a message of another version: whatever it said, nothing older is used


def _resolve(batch: asyncio.Future[None] | None) -> None:
    if batch is not None and not batch.done():
        batch.set_result(None)
