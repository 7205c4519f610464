"""Two hosts and one Redis: values are shared, never old ones, and Redis may do what it wants."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from autoforge.cache import Cache, Kind, Stamps
from autoforge.cache.far import Far
from autoforge.cache.link import Link
from autoforge.cache.stamps import slot_of
from autoforge.cache.ttl import WORD
from autoforge.cache.wire import Wire
from tests.cache.servers import Redis, redis

pytestmark = pytest.mark.anyio
PATIENCE = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis(tmp_path_factory.mktemp("redis")) as started:
        yield started


class Host:
    """A cache with stamps of its own, as another host would have them."""

    def __init__(self, server: Redis, prefix: str) -> None:
        self.stamps = Stamps()
        wire = Wire(server.url, stamps=f"{prefix}:stamps", connections=4, timeout=5)
        self.link = Link(wire, self.stamps, f"{prefix}:changes")
        self.cache = Cache(self.stamps, far=Far(self.link, prefix, 1_000_000))
        self.stored: Any = "old"
        self.reads = 0

    async def load(self) -> Any:
        self.reads += 1
        return self.stored

    async def read(self, kind: Kind = Kind.PROMPT) -> Any:
        return await self.cache.get_or_load("k", kind, ("t",), self.load)

    async def word(self) -> None:
        """Returns once Redis has answered a question that was asked after this call."""
        asked = time.monotonic()
        await until(lambda: self.link.trusted_until > asked + WORD)

    async def up(self) -> None:
        await until(lambda: self.link.up)

    async def close(self) -> None:
        self.cache.close()
        await self.link.close()
        self.stamps.close()


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.002)


@pytest.fixture
async def hosts(server: Redis) -> AsyncIterator[tuple[Host, Host]]:
    if not server.alive:
        server.start()
    prefix = f"test-{uuid4().hex}"
    async with AsyncExitStack() as stack:
        made = Host(server, prefix), Host(server, prefix)
        for host in made:
            await host.link.start()
            stack.push_async_callback(host.close)
            await host.word()
        yield made


VALUES = [None, 0, [], "", b"x", ("tag", b"body"), {"id": UUID(int=7), "rows": [(1, None)]}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_any_value_is_computed_once_for_both(hosts: tuple[Host, Host], value: Any) -> None:
    one, other = hosts
    one.stored = other.stored = value
    for host in (one, other, one, other):
        assert await host.read() == value
    assert (one.reads, other.reads) == (1, 0)
    assert other.cache.counts[Kind.PROMPT].far_hits == 1


async def test_what_cannot_be_encoded_stays_in_the_process(hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    one.stored = other.stored = {1, 2}
    for host in (one, other, one, other):
        assert await host.read() == {1, 2}
    assert (one.reads, other.reads) == (1, 1)
    assert one.cache.far is not None
    assert one.cache.far.refused == 1


async def test_who_asks_is_never_put_into_redis(hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    for host in hosts:
        assert await host.read(Kind.ACCESS) == "old"
    assert (one.reads, other.reads) == (1, 1)


async def test_a_change_is_heard_by_the_other_host(hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    assert [await host.read() for host in hosts] == ["old", "old"]
    one.stored = other.stored = "new"
    one.cache.forget("t")
    assert await one.read() == "new"
    await one.link.told()
    await other.word()
    assert await other.read() == "new"


async def test_on_the_changing_host_redis_is_not_believed_before_it_was_told(hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    assert await other.read() == "old"  # Redis has it
    one.stored = "new"
    one.stamps.change(["t"])  # as a process that dies before it tells Redis
    assert await one.read() == "new"
    other.stored = "new"
    await until(lambda: not one.stamps.untold([slot_of("t")]))  # whoever met it told
    await other.word()
    assert await other.read() == "new"


async def test_a_value_that_was_loaded_before_a_change_is_not_served_after_it(hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        begun.set()
        await gate.wait()
        return "old"

    late = asyncio.create_task(one.cache.get_or_load("k", Kind.PROMPT, ("t",), slow))
    await begun.wait()
    one.stored = other.stored = "new"
    other.cache.forget("t")
    await other.link.told()
    assert await other.read() == "new"  # does not wait for the computation that began before
    gate.set()
    assert await late == "old"
    other.cache.near.clear()
    assert await other.read() == "new"
    await one.word()
    assert await one.read() == "new"


@pytest.mark.parametrize("command", [["FLUSHALL"], ["DEL", "{prefix}:stamps"], ["HDEL", "{prefix}:stamps", "epoch"]])
async def test_redis_may_throw_things_away(hosts: tuple[Host, Host], server: Redis, command: list[str]) -> None:
    one, other = hosts
    assert await one.read() == "old"
    one.stored = other.stored = "new"
    one.cache.forget("t")
    await one.link.told()
    prefix = one.link.channel.partition(":")[0]
    await asyncio.to_thread(server.command, *(word.format(prefix=prefix) for word in command))
    for host in (*hosts, *hosts):
        host.cache.near.clear()
        assert await host.read() == "new"


async def test_an_old_snapshot_brings_nothing_back(hosts: tuple[Host, Host], server: Redis) -> None:
    one, other = hosts
    assert await one.read() == "old"
    await asyncio.to_thread(server.command, "FLUSHALL")
    one.cache.near.clear()
    assert await one.read() == "old"
    one.cache.near.clear()
    assert await one.read() == "old"  # the first one after a FLUSHALL does without Redis
    await asyncio.to_thread(server.command, "SAVE")
    one.stored = other.stored = "new"
    one.cache.forget("t")
    await one.link.told()
    server.kill()
    server.start()
    await until(lambda: other.link.connections == 2)
    assert await asyncio.to_thread(server.command, "DBSIZE") == "2"  # the value and the stamps are back
    assert await other.read() == "new"
    assert other.link.failures == 0


async def test_a_lost_message_is_noticed(hosts: tuple[Host, Host], server: Redis) -> None:
    one, other = hosts
    assert await other.read() == "old"
    one.stored = other.stored = "new"
    prefix = one.link.channel.partition(":")[0]
    for name in (str(slot_of("t")), "changes"):  # what telling does, without the message
        await asyncio.to_thread(server.command, "HINCRBY", f"{prefix}:stamps", name, "1")
    await until(lambda: other.cache.get("k", Kind.PROMPT) is None and other.link.trusted_until > time.monotonic())
    assert await other.read() == "new"


@pytest.mark.parametrize("message", [b"", b"7", b"x y", b"\xff\xff", b"999 \xc1", b"5 \x93\xa0\x01\x01"])
async def test_a_strange_message_only_raises_doubt(hosts: tuple[Host, Host], message: bytes) -> None:
    one, other = hosts
    assert await other.read() == "old"
    other.stored = "new"
    await one.link.ask(("PUBLISH", one.link.channel, message))
    await other.word()
    assert other.cache.get("k", Kind.PROMPT) is None
    assert other.link.up


async def test_garbage_beside_true_stamps_is_a_miss(hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    assert one.cache.far is not None
    seen = await one.cache.far.fetch("k", (slot_of("t"),))
    assert seen is not None
    for blob in (b"", b"\0\0\0\xff", len(seen.stamps).to_bytes(4) + seen.stamps + b"\xc1"):
        await one.link.ask(("SET", one.cache.far._name("v", "k"), blob, "PX", 60_000))
        other.cache.near.clear()
        assert await other.read() == "old"
        one.cache.far.link.stamps.doubt()


async def test_a_frozen_redis_is_done_without_and_found_again(hosts: tuple[Host, Host], server: Redis) -> None:
    one, _ = hosts
    process = await asyncio.to_thread(_process_of, server)
    assert await one.read() == "old"
    os.kill(process, signal.SIGSTOP)
    try:
        await until(lambda: not one.link.up)
        one.stored = "new"
        one.cache.forget("t")
        await one.link.told()
        assert await one.read() == "new"
    finally:
        os.kill(process, signal.SIGCONT)
    await one.up()
    await until(lambda: one.link.untold == 0)
    assert await one.read() == "new"


def _process_of(server: Redis) -> int:
    told = server.command("INFO", "server")
    return int(next(line.partition(":")[2] for line in told.splitlines() if line.startswith("process_id:")))


async def test_a_redis_that_comes_later_is_found(
    server: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    later = Redis(tmp_path)
    host = Host(later, "later")
    await host.link.start()
    try:
        assert not host.link.up
        assert await host.read() == "old"
        host.stored = "new"
        host.cache.forget("t")
        assert await host.read() == "new"
        later.start()
        await host.up()
        first, last = [record.getMessage() for record in caplog.records]
        assert first.startswith("the cache goes on without Redis: ")
        assert last == "the cache goes on with Redis again"
        await until(lambda: host.link.untold == 0)
        assert await host.read() == "new"
    finally:
        await host.close()
        later.kill()


async def test_while_redis_is_away_a_value_is_used_for_the_bound_and_no_longer(server: Redis, tmp_path: Path) -> None:
    host = Host(Redis(tmp_path), "away")
    await host.link.start()
    try:
        assert await host.read() == "old"
        entry = host.cache.near.entries["k"]
        assert entry.certain <= time.monotonic() + WORD
        entry.certain = 0.0  # the bound is over
        host.stored = "new"
        assert await host.read() == "new"
        assert await host.read(Kind.STATISTICS) == "new"
    finally:
        await host.close()


async def test_the_right_to_compute_passes_on_when_it_is_not_used(hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    assert one.cache.far is not None
    slots = (slot_of("t"),)
    seen = await one.cache.far.fetch("k", slots)
    assert seen is not None
    right, _ = await one.cache.far.acquire("k", seen.stamps, slots) or (None, None)
    assert right is not None
    assert await one.cache.far.acquire("k", seen.stamps, slots) == (None, seen)
    waiting = asyncio.create_task(other.read())
    await other.word()
    assert not waiting.done()
    await one.cache.far.release(right)
    assert await waiting == "old"


async def test_what_was_stored_between_looking_and_asking_for_the_right_is_taken(
    hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = hosts
    assert other.cache.far is not None
    fetch = other.cache.far.fetch

    async def slow(key: str, slots: tuple[int, ...]) -> Any:
        seen = await fetch(key, slots)
        assert await one.read() == "old"  # computes, stores, and gives the right back
        return seen

    monkeypatch.setattr(other.cache.far, "fetch", slow)
    assert await other.read() == "old"
    assert (one.reads, other.reads) == (1, 0)
    assert not other.link.held


async def test_a_failing_load_frees_the_others(hosts: tuple[Host, Host]) -> None:
    one, other = hosts

    async def broken() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await one.cache.get_or_load("k", Kind.PROMPT, ("t",), broken)
    assert await other.read() == "old"
    assert not one.link.held
