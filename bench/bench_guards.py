"""What watching costs: a hook per statement, and the processor time of requests with and without looking at them.

In this process, one request after the other; the ways of watching take turns in short blocks, so that whatever else
the machine does concerns all of them alike. (Specification: F5; issue 4: N+1 sampled at under 2 % cost.)
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from sqlalchemy import literal, select

from autoforge.app import create
from autoforge.db import named, trace
from autoforge.settings import DatabaseSettings, JobsSettings, Settings
from autoforge.telemetry import levels
from autoforge.telemetry.n_plus_one import WATCH, lines, saw
from autoforge.telemetry.profiles import PROFILES
from autoforge.telemetry.work import CURRENT, Work
from bench import options
from bench.table import Table

ASKED = ("/api/v1/prompts?limit=50", "/w/main/prompts", "/w/main")
BLOCK, ROUNDS = 30, 40


def run() -> list[Table]:
    return [_hooks(), asyncio.run(_requests())]


# --- a statement ------------------------------------------------------------------------------------------------------


def _hooks() -> Table:
    ran = trace.Statement(named("bench.one", select(literal(1))), "sqlite", 0.0003, 50, None, "SELECT 1", (1, 2))
    rows = []
    for name, asked in (("a statement, counted by shape", None), ("the same in a request that is looked at", {})):
        CURRENT.set(Work("GET /", asked))
        rows.append((name, _microseconds(lambda: saw(ran))))
    CURRENT.set(None)
    rows.append(("finding the line, 30 calls deep", _microseconds(lambda: _deep(30), 20_000)))
    rows.append(("a request, for the service levels", _microseconds(lambda: levels.request_finished("api", 200, 0.01))))
    return Table("What is counted", ("what", "us"), rows, "`timeit`, best of five.")


def _microseconds(call: Callable[[], object], number: int = 200_000) -> str:
    return f"{min(timeit.repeat(call, number=number, repeat=5)) / number * 1e6:.2f}"


def _deep(left: int) -> object:
    return _deep(left - 1) if left else lines()


# --- requests ---------------------------------------------------------------------------------------------------------


def _off() -> None:
    WATCH.every = 0
    if saw in trace._hooks:
        trace._hooks.remove(saw)


def _on(every: int) -> Callable[[], None]:
    def use() -> None:
        WATCH.every = every
        if saw not in trace._hooks:
            trace._hooks.append(saw)

    return use


WAYS: dict[str, Callable[[], None]] = {
    "nothing is watched": _off,
    "statements by shape": _on(0),
    "and every 10th request": _on(10),
    "and every request": _on(1),
}


async def _requests() -> Table:
    rounds = 4 if options.chosen.quick else ROUNDS
    spent: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        app = create(_settings(Path(folder)))
        async with app.router.lifespan_context(app):
            for path in ASKED * 10:
                await _ask(app, path)
            for _ in range(rounds):
                for name, use in WAYS.items():
                    use()
                    began = time.process_time()
                    for number in range(BLOCK):
                        await _ask(app, ASKED[number % len(ASKED)])
                    spent[name].append((time.process_time() - began) / BLOCK)
            _on(10)()
            assert PROFILES.running is None
    return Table(
        "Requests while they are watched",
        ("way", "processor time per request", "beside nothing", "quartiles"),
        [_row(name, times, spent["nothing is watched"]) for name, times in spent.items()],
        f"Lists and pages of the sample data, {rounds} blocks of {BLOCK} requests for each way, taking turns; the "
        "ratio is the median of those of neighbouring blocks.",
    )


def _row(name: str, times: list[float], base: list[float]) -> tuple[str, ...]:
    ratios = [one / other for one, other in zip(times, base, strict=True)]
    low, _, high = quantiles(ratios, n=4)
    return name, f"{1_000 * median(times):.2f} ms", f"{median(ratios):.3f}", f"{low:.3f} to {high:.3f}"


def _settings(folder: Path) -> Settings:
    jobs = JobsSettings(executor="none")
    plain = {"sign_in": False, "log_level": "error", "requests_per_minute": 0}
    return Settings(data=folder, database=DatabaseSettings(), jobs=jobs, **plain)  # type: ignore[arg-type]


async def _ask(app: Any, address: str) -> None:
    path, _, query = address.partition("?")
    scope: dict[str, Any] = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET"}
    scope |= {
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
    }
    scope |= {"headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    assert status == 200, (address, status)
