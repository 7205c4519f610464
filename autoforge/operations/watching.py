"""What a process notices of itself, and what all processes of a data folder noticed together.

Every few seconds a process writes down what it knows (its slow statements, repeated statements, pools and cache) as a
small file in the data folder; whoever shows these figures adds up the files of all processes that are alive. So it
does not matter which of several workers is asked. Parameters of statements are never written. Every minute what was
counted for the service levels goes to the database.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import Context
from pathlib import Path
from typing import Any

import msgspec

from autoforge import __version__
from autoforge.cache import Cache
from autoforge.db import Database, trace
from autoforge.db.embedded import EmbeddedDatabase
from autoforge.errors import AutoforgeError
from autoforge.operations import levels, noticed
from autoforge.operations.noticed import Snapshot
from autoforge.operations.opening import Opened
from autoforge.telemetry import families, metrics
from autoforge.telemetry.levels import LEVELS
from autoforge.telemetry.n_plus_one import WATCH, saw
from autoforge.telemetry.profiles import PROFILES
from autoforge.telemetry.slow import SLOW
from autoforge.telemetry.work import CURRENT, Work

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between writings of the file."""
STORE_EVERY = 60.0
_STARTED = time.time()


class Watcher:
    """One process's. ``role`` is ``server`` or ``worker``."""

    def __init__(self, services: Opened, role: str) -> None:
        self._services, self._role = services, role
        self._folder = services.settings.data / noticed.FOLDER
        self.name = f"{socket.gethostname()}-{os.getpid()}"
        self._file = self._folder / f"{self.name}.json"

    def own(self) -> Snapshot:
        """What this process knows now."""
        services = self._services
        told = {
            "format": noticed.VERSION,
            "process": self._process(),
            "statements": {"since": SLOW.since, "forgotten": SLOW.forgotten, "shapes": SLOW.told()},
            "n_plus_one": {"looked_at": WATCH.looked_at, "every": WATCH.every, "findings": WATCH.told()},
            "pools": pools(services.database),
            "cache": cache(services.cache),
        }
        return msgspec.convert(told, Snapshot)

    def _process(self) -> dict[str, Any]:
        about = {"name": self.name, "pid": os.getpid(), "role": self._role, "version": __version__}
        address = os.environ.get(noticed.ADDRESS, "") if self._role == "server" else ""
        return {**about, "address": address, "started_at": _STARTED, "at": time.time(), "memory": memory()}

    async def all(self) -> list[Snapshot]:
        """Of all processes of the data folder that are alive, this one first."""
        others = await asyncio.to_thread(noticed.read, self._services.settings.data, tidy=True)
        return [self.own(), *(one for one in others if one["process"]["name"] != self.name)]

    def write(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(self.own()))
        beside.replace(self._file)

    def forget(self) -> None:
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    async def store(self) -> None:
        """Adds what was counted to the database; what cannot be stored now is stored later."""
        taken = LEVELS.take()
        if not taken:
            return
        try:
            async with self._services.database.write() as session:
                await levels.store(session, taken)
        except BaseException as error:
            LEVELS.put_back(taken)
            if not isinstance(error, AutoforgeError):
                raise
            log.warning("the counts of the service levels could not be stored: %s", error)

    async def run(self) -> None:
        CURRENT.set(Work("the service itself"))
        stored = time.monotonic() - random.uniform(0, STORE_EVERY)  # several processes take turns
        while True:
            try:
                self.write()
                PROFILES.look()
                if time.monotonic() - stored >= STORE_EVERY:
                    stored = time.monotonic()
                    await self.store()
            except Exception:
                log.exception("what this process noticed could not be written down")
            await asyncio.sleep(EVERY)


@asynccontextmanager
async def watched(services: Opened, role: str) -> AsyncIterator[Watcher]:
    """Watches the statements of this process, and writes down what it noticed, until the block ends."""
    watcher = Watcher(services, role)
    WATCH.every = services.settings.watch_every
    if role == "server":
        from autoforge.operations.profiling import Profiling
        from autoforge.web.watching import profile_with

        profile_with(Profiling())
    async with AsyncExitStack() as ending:  # each step is taken, whatever becomes of those before
        ending.callback(watcher.forget)
        PROFILES.open(services.settings.data / "profiles", watcher.name)
        ending.callback(PROFILES.close)
        ending.push_async_callback(asyncio.to_thread, PROFILES.settle)
        ending.callback(trace.add_hook(saw))
        ending.push_async_callback(watcher.store)
        ending.push_async_callback(_end, asyncio.create_task(watcher.run(), context=Context()))
        yield watcher


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# --- figures of others ------------------------------------------------------------------------------------------------


def pools(database: Database) -> dict[str, Any]:
    """Connections and, on SQLite, the writer."""
    gate = database.gate
    found: dict[str, Any] = {"places": gate.places, "used": gate.inside, "waiting": gate.waiting, "writer": None}
    found |= {"refused": gate.refused, "waits": metrics.observed(families.POOL_WAIT, database.pool)}
    if isinstance(database, EmbeddedDatabase):
        writer = database.writer
        found["writer"] = {"waiting": writer.waiting, "commits": writer.commits, "blocks": writer.blocks}
        found["writer"] |= {"refused": writer.refused, "waits": metrics.observed(families.WRITER_WAIT)}
    return found


def cache(one: Cache) -> dict[str, Any]:
    """Counts by kind; ``far`` is None where there is no Redis."""
    kinds = {kind.label: {name: getattr(counts, name) for name in _COUNTS} for kind, counts in one.counts.items()}
    far = None
    if one.far is not None:
        link = one.far.link
        far = {"up": link.up, "connections": link.connections, "failures": link.failures, "untold": link.untold}
    return {"kinds": kinds, "entries": len(one.near), "bytes": one.near.bytes, "evicted": one.near.evicted, "far": far}


_COUNTS = ("hits", "misses", "loads", "far_hits", "shared", "renewed", "seconds")


def memory() -> int | None:
    """Bytes of memory that this process takes, None where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
