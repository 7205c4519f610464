"""What the operating system and Python say about this process, and how late its event loop is."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from autoforge.telemetry import families as f
from autoforge.telemetry import metrics

log = logging.getLogger(__name__)

BEAT = 0.25
"""Seconds between looks at how late the event loop is."""
_LOOKS = 4
"""After so many, what others count is taken over."""

_OURS = Path("/proc/self")
_imported_at = time.time()


def started_at() -> float:
    """When the process began, in seconds since 1970; where the system does not say, when this module was imported."""
    try:
        ticks = int((_OURS / "stat").read_text().rpartition(")")[2].split()[19])
        booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
        return int(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, StopIteration, ValueError):
        return _imported_at


def note(process: str) -> None:
    """Takes down the figures of this process, which is called ``process`` in metrics."""
    spent = os.times()
    metrics.total(f.CPU, spent.user + spent.system, process)
    for generation, counted in enumerate(gc.get_stats()):
        metrics.total(f.COLLECTIONS, counted["collections"], process, str(generation))
    with suppress(OSError, ValueError):  # not on this system
        pages = int((_OURS / "statm").read_text().split()[1])
        metrics.gauge(f.RSS, pages * os.sysconf("SC_PAGE_SIZE"), process)
        metrics.gauge(f.OPEN_FILES, len(os.listdir("/proc/self/fd")) - 1, process)
    with suppress(ImportError, OSError):
        import resource

        metrics.gauge(f.MOST_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0], process)


@asynccontextmanager
async def watched(process: str, take_over: Callable[[], object]) -> AsyncIterator[None]:
    """Looks at the event loop until the block ends, and calls ``take_over`` every second."""
    metrics.gauge(f.START_TIME, started_at(), process)
    metrics.prepare(f.LAG, process)
    task = asyncio.create_task(_watch(process, take_over))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch(process: str, take_over: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            take_over()
        except Exception:
            log.exception("the figures of this process could not be taken over")
        for _ in range(_LOOKS):
            due = loop.time() + BEAT
            await asyncio.sleep(BEAT)
            metrics.observe(f.LAG, max(0.0, loop.time() - due), process)
