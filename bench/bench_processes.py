"""One SQLite file, several processes that write: what fair turns give, against SQLite's own way of taking turns.

The same 200 writers in one, two and four processes; then one process with 199 writers beside one with a single writer,
which is where a queue shows: a server under load, and a command or the other worker that wants to write as well.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import func, insert, select

from autoforge.db import Database, clock, embedded, migrate
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.settings import DatabaseSettings
from bench import options
from bench.table import Table

_ADD = insert(m.Lease)
_SECONDS = 10.0
_SHARES = (200,), (100, 100), (50, 50, 50, 50), (199, 1)


async def _write(database: Database, until: float, spent: list[float], failed: list[str]) -> None:
    while time.time() < until:
        began = time.perf_counter()
        try:
            async with database.write() as session:
                await session.execute(_ADD, {"name": new_id().hex, "holder": "x", "until": clock.now()})
            spent.append(time.perf_counter() - began)
        except Exception as error:
            failed.append(type(error).__name__)


async def _work(path: str, writers: int, seconds: float, fair: bool) -> None:
    """One of the processes: begins when it is told the moment, and says how long each write took."""
    if not fair:
        vars(embedded)["open_turns"] = lambda database: None
    spent: list[float] = []
    failed: list[str] = []
    async with await Database.open(DatabaseSettings(url=f"sqlite:///{path}")) as database:
        print("ready", flush=True)
        begin = float(sys.stdin.readline())
        await asyncio.sleep(max(0.0, begin - time.time()))
        async with asyncio.TaskGroup() as group:
            for _ in range(writers):
                group.create_task(_write(database, begin + seconds, spent, failed))
    print(json.dumps([spent, failed]))


async def _stored(path: Path) -> int:
    async with await Database.open(DatabaseSettings(url=f"sqlite:///{path}")) as database, database.read() as session:
        return int(await session.scalar(select(func.count()).select_from(m.Lease)) or 0)


def _measured(shares: tuple[int, ...], seconds: float, fair: bool) -> list[object]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shared.db"
        migrate.upgrade(f"sqlite:///{path}")
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.bench_processes", str(path), str(writers), str(seconds)]
                + ["fair"] * fair,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for writers in shares
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        answers = [json.loads(answer) for answer in _told(processes, f"{time.time() + 0.2}\n")]
        stored = asyncio.run(_stored(path))
    each = [sorted(spent) for spent, _ in answers]
    every = sorted(second for spent in each for second in spent)
    few = each[-1]
    figures: list[object] = [" + ".join(map(str, shares)), "fair turns" if fair else "SQLite's own"]
    figures += [f"{len(every) / seconds:,.0f}", " + ".join(f"{len(one) / seconds:,.0f}" for one in each)]
    figures += [_milliseconds(every, 0.5), _milliseconds(every, 0.99), _milliseconds(few, 0.99), _milliseconds(few, 1)]
    return [*figures, sum(len(failed) for _, failed in answers), len(every) - stored]


def _told(processes: list[subprocess.Popen[str]], what: str) -> list[str]:
    """What all answer who are told the same."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(what)
        process.stdin.flush()
    return [process.communicate()[0] for process in processes]


def _milliseconds(spent: list[float], share: float) -> str:
    return f"{spent[min(len(spent) - 1, int(len(spent) * share))] * 1_000:.1f}" if spent else "-"


def run() -> list[Table]:
    seconds = 2.0 if options.chosen.quick else _SECONDS
    rows = [_measured(shares, seconds, fair) for shares in _SHARES for fair in (True, False)]
    columns = ["writers", "turns", "writes/s", "of each process", "P50 ms", "P99 ms", "P99 ms of the last process"]
    columns += ["its slowest ms", "errors", "acknowledged but missing"]
    note = f"{seconds:.0f} s each, synchronous=FULL, every write its own acknowledged transaction."
    return [Table("Writers in several processes, SQLite", columns, rows, note)]


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(_work(given[0], int(given[1]), float(given[2]), given[3:] == ["fair"]))
