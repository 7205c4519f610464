"""One process of several that share a database: takes commands as lines of JSON, and answers each with one.

A value is a row of the table of leases: its name, and how often it was written.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Integer, String, bindparam, cast, select
from sqlalchemy.dialects import postgresql, sqlite

from autoforge.cache import Cache, Kind, Stamps
from autoforge.cache.opening import open_cache
from autoforge.cache.stamps import slots_of
from autoforge.cache.ttl import WORD
from autoforge.db import Database, named
from autoforge.db import models as m
from autoforge.settings import CacheSettings, DatabaseSettings

READ = named("test.read", select(m.Lease.holder).where(m.Lease.name == bindparam("key")), bounded=True)
_EVER = datetime(2000, 1, 1, tzinfo=UTC)


def _raise(insert: Any) -> Any:
    first = insert(m.Lease).values(name=bindparam("key"), holder="1", until=_EVER)
    more = cast(cast(m.Lease.holder, Integer) + 1, String)
    return first.on_conflict_do_update(index_elements=["name"], set_={"holder": more}).returning(m.Lease.holder)


RAISE = {"sqlite": _raise(sqlite.insert), "postgresql": _raise(postgresql.insert)}


class Working:
    def __init__(self, database: Database, cache: Cache, log: Path) -> None:
        self.database, self.cache, self.log = database, cache, log

    async def read(self, key: str) -> dict[str, Any]:
        async def load() -> int:
            async with self.database.read() as session:
                return int(await session.scalar(READ, {"key": key}) or 0)

        began = time.monotonic()
        value = await self.cache.get_or_load(key, Kind.PROMPT, (f"t:{key}",), load)
        return {"value": value, "began": began}

    async def write(self, key: str) -> dict[str, Any]:
        async with self.database.write() as session:
            value = int(await session.scalar(RAISE[session.dialect], {"key": key}) or 0)
            session.touch(f"t:{key}")
        told = not self.cache.stamps.untold(slots_of([f"t:{key}"]))
        return {"value": value, "told": told, "ended": time.monotonic()}

    async def storm(self, key: str, askers: int, stuck: bool = False) -> dict[str, Any]:
        """Many who ask for one value at a time. Each computation leaves a line in a file."""

        async def load() -> str:
            with self.log.open("a") as log:
                log.write(f"{os.getpid()}\n")
            if stuck:
                say({"stuck": True})
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            return "value"

        gate, most = self.database.gate, 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, gate.inside)
                await asyncio.sleep(0.002)

        watching = asyncio.create_task(watch())
        asked = (self.cache.get_or_load(key, Kind.PROMPT, ("storm",), load) for _ in range(askers))
        values = sorted(set(await asyncio.gather(*asked)))
        watching.cancel()
        return {"values": values, "connections": most}

    async def link(self) -> dict[str, Any]:
        link = self.cache.far.link if self.cache.far else None
        return {"up": link is not None and link.up, "connections": link.connections if link else 0}

    async def word(self) -> dict[str, Any]:
        """Answers once Redis has answered a question that was asked after this one."""
        asked = time.monotonic()
        assert self.cache.far is not None
        while True:
            if self.cache.far.link.trusted_until > asked + WORD:
                return {}
            await asyncio.sleep(0.002)

    async def rows(self) -> dict[str, Any]:
        async with self.database.read() as session:
            return {"rows": len(await session.all(select(m.CacheOutbox.id))) - 1}


def say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def main(host: str, database_url: str, redis_url: str) -> None:
    stamps = Stamps(Path(host) / "stamps")
    settings = CacheSettings(url=redis_url, sweep_seconds=0.2, timeout=5)
    async with (
        await Database.open(DatabaseSettings(url=database_url)) as database,
        open_cache(settings, database, stamps) as cache,
    ):
        working = Working(database, cache, Path(host).parent / "computed")
        while line := await asyncio.to_thread(sys.stdin.readline):
            command = json.loads(line)
            try:
                say(await getattr(working, command.pop("do"))(**command))
            except Exception:
                say({"error": traceback.format_exc()})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
