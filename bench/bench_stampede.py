"""10,000 callers at once ask for a value that nobody has yet: how often is it computed? (Specification: F3.)

In several processes on one host without Redis, at most once in each; with Redis, once in all.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

from autoforge.cache import Cache, Kind, Stamps
from autoforge.cache.opening import open_cache
from autoforge.db import Database
from autoforge.operations.opening import open_services
from autoforge.settings import CacheSettings, load_settings
from bench.driving import ROOT
from bench.table import Table
from tests.servers import Missing, redis

CALLERS, PROCESSES, ROUNDS = 10_000, 4, 5
COMPUTING = 0.2
"""Seconds that the value takes."""


async def _callers(cache: Cache, key: str, number: int) -> dict[str, float]:
    """What ``number`` callers at once saw: computations, wrong values, and milliseconds until the last was served."""
    computed = 0

    async def load() -> str:
        nonlocal computed
        computed += 1
        await asyncio.sleep(COMPUTING)
        return key

    began = time.perf_counter()
    values = await asyncio.gather(
        *(cache.get_or_load(key, Kind.EVALUATION, ("stampede",), load) for _ in range(number))
    )
    return {
        "computed": computed,
        "wrong": sum(value != key for value in values),
        "ms": (time.perf_counter() - began) * 1e3,
    }


async def _process(folder: str, url: str, prefix: str) -> None:
    """One process of several: waits for each round's line on its standard input, and answers with one."""
    settings = load_settings(data=Path(folder), samples=False)
    async with AsyncExitStack() as stack:
        database = await Database.open(settings)
        stack.push_async_callback(database.close)
        stamps = Stamps(settings.data / "stamps")
        cache = await stack.enter_async_context(open_cache(CacheSettings(url=url, prefix=prefix), database, stamps))
        await asyncio.sleep(0.5)
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await _callers(cache, line.strip(), CALLERS // PROCESSES)), flush=True)


def _rounds(url: str) -> list[dict[str, float]]:
    """The processes' sums, per round."""
    with tempfile.TemporaryDirectory(prefix="autoforge-bench-") as folder:
        asyncio.run(_prepare(folder))
        command = [sys.executable, "-m", "bench.bench_stampede", folder, url, f"bench-{uuid4().hex}"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        processes = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(PROCESSES)]  # type: ignore[call-overload]
        try:
            for process in processes:
                assert process.stdout.readline().strip() == "ready"
            return [_round(processes, f"round {nth}") for nth in range(ROUNDS)]
        finally:
            for process in processes:
                process.communicate()


def _round(processes: list[subprocess.Popen[str]], key: str) -> dict[str, float]:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(key + "\n")
        process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for process in processes if process.stdout is not None]
    sums = {name: sum(answer[name] for answer in answers) for name in ("computed", "wrong")}
    most = max(answer["computed"] for answer in answers)
    return sums | {"ms": max(answer["ms"] for answer in answers), "most": most}


async def _prepare(folder: str) -> None:
    async with open_services(load_settings(data=Path(folder), samples=False)):
        pass


def _row(name: str, rounds: list[dict[str, float]]) -> list[str]:
    counts = ", ".join(f"{one['computed']:.0f}" for one in rounds)
    most, wrong = max(one["most"] for one in rounds), sum(one["wrong"] for one in rounds)
    return [name, counts, f"{most:.0f}", f"{wrong:.0f}", f"{max(one['ms'] for one in rounds):.0f}"]


def run() -> list[Table]:
    rows = [_row("one host, no Redis", _rounds(""))]
    try:
        with redis() as url:
            rows.append(_row("with Redis", _rounds(url)))
    except Missing as missing:
        print(missing)
    columns = ["", "computations in each round", "most in one process", "wrong values", "ms until the last has it"]
    note = f"{CALLERS:,} callers in {PROCESSES} processes ask at once, {ROUNDS} rounds; computing takes {COMPUTING} s."
    return [Table("Stampede", columns, rows, note)]


if __name__ == "__main__":
    asyncio.run(_process(*sys.argv[1:4]))
