"""The machine: which SQLite, how much disk and memory, how quickly a disk syncs, what time it is."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_SYNCS = 7
_PAGE = bytes(4096)


@dataclass(frozen=True, slots=True)
class Host:
    """Figures of the machine that the command runs on; None where they could not be had.

    ``sync_seconds`` is the median time to write and sync 4 KB in the data directory.
    """

    sqlite: tuple[int, ...]
    disk_total: int
    disk_free: int
    memory: int | None
    sync_seconds: float | None
    processes: int = 1
    """Server processes that are known to use the same database on this machine."""


def examined(data: Path, where: Path) -> Host:
    """The figures for the data directory ``data`` and the folder ``where`` the database is."""
    from autoforge.db.driver import dbapi

    usage = shutil.disk_usage(where)
    return Host(
        sqlite=tuple(dbapi.sqlite_version_info),
        disk_total=usage.total,
        disk_free=usage.free,
        memory=_memory(),
        sync_seconds=sync_seconds(where),
    )


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def sync_seconds(folder: Path) -> float | None:
    """How long writing a page and syncing it takes there, in seconds; None where nothing can be written."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return median(_sync(file.fileno()) for _ in range(_SYNCS))
    except OSError:
        return None


def _sync(descriptor: int) -> float:
    started = time.perf_counter()
    os.write(descriptor, _PAGE)
    os.fsync(descriptor)
    return time.perf_counter() - started
