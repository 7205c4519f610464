"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path


def described() -> str:
    """One paragraph: when, on what, and how busy it was besides."""
    from autoforge.db.connection import dbapi

    model = next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "")
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    cores, load = len(os.sched_getaffinity(0)), ", ".join(f"{one:.1f}" for one in os.getloadavg())
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{when}; {cores} cores {model}, {memory / 1024 / 1024:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {dbapi.sqlite_version}; load average before: {load}; "
        f"a million additions in {spin() * 1e3:.0f} ms"
    )


def spin() -> float:
    """Seconds for a million additions in plain Python, the median of five: a shared machine is not always as fast."""
    spent = []
    for _ in range(5):
        began, total = time.perf_counter(), 0
        for number in range(1_000_000):
            total += number
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
