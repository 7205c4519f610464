"""Ours beside Arize Phoenix and MLflow, in one run on one machine: size, start, memory, and what each does a second.

Every product is asked over HTTP by the same 32 connections (a closed loop), one product after the other. Runs only
when it is named: it downloads the two from the package index.
"""

from __future__ import annotations

import asyncio
import base64
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from autoforge.access.tokens import digest, new_api_key, shown_prefix
from autoforge.db import bulk, clock
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.operations.opening import open_services
from autoforge.settings import load_settings
from bench import options
from bench.driving import loading
from bench.peers.installing import installed, megabytes
from bench.peers.products import MLFLOW, OURS, PHOENIX, ROWS, Api, Ask, Product, prompt_name
from bench.processes import Running, memory, running
from bench.table import Table
from tests.servers import free_port

CONNECTIONS, ROUNDS = 32, 3
IDLE_SECONDS = 5.0
PEERS = {"phoenix": PHOENIX, "mlflow": MLFLOW}


@dataclass(slots=True)
class Figures:
    """Every figure as often as it was taken."""

    taken: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, *values: float) -> None:
        self.taken.setdefault(name, []).extend(values)


ROWS_OF_TABLE = (
    ("installed, MB", "a third"),
    ("first start, s", ""),
    ("start, s", "a third"),
    ("idle memory, MB (RSS of all processes)", "a third"),
    ("idle memory, MB (PSS)", ""),
    ("create a prompt, per s", "10 x"),
    ("get a prompt by name and label, per s", "10 x"),
    ("list 50 of the prompts, per s", "10 x"),
    (f"{ROWS:,} test cases in one request, rows per s", "10 x"),
    ("worst read meanwhile, ms", ""),
    ("memory afterwards, MB (RSS)", "a third"),
)
"""Names of figures, and what is wanted of ours against each of the others."""


def run() -> list[Table]:
    others = [PEERS[name] for name in options.chosen.peers]
    found = {product.name: _measure(product) for product in (OURS, *others)}
    rows = [_row(name, wanted, [found[product.name] for product in (OURS, *others)]) for name, wanted in ROWS_OF_TABLE]
    against = [f"ours against {product.name.rpartition(' ')[0]}" for product in others]
    columns = ["", OURS.name, *(product.name for product in others), *against, "wanted"]
    held, named, _ = _numbers()
    note = (
        f"{CONNECTIONS} connections, median of {ROUNDS} (least to most). {held:,} prompts of 1 KB; {named} of them are "
        "asked for by name. MLflow makes a prompt by two requests, counted as one. "
        "Test cases: POST /api/v1/suites, Phoenix /v1/datasets/upload, MLflow /datasets/ID/records."
    )
    return [Table("Beside other products", columns, rows, note)]


def _row(name: str, wanted: str, figures: Sequence[Figures]) -> list[str]:
    taken = [one.taken[name] for one in figures]
    ours, *others = (statistics.median(values) for values in taken)
    return [name, *map(_shown, taken), *(f"{ours / other:.2f} x" for other in others), wanted]


def _shown(values: list[float]) -> str:
    middle = statistics.median(values)
    digits = 0 if middle >= 100 else 1
    if len(values) == 1:
        return f"{middle:,.{digits}f}"
    return f"{middle:,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def _numbers() -> tuple[int, int, int]:
    """Prompts in all, of them asked for by name, and created in one round."""
    return (600, 50, 100) if options.chosen.quick else (10_000, 500, 600)


def _measure(product: Product) -> Figures:
    figures, environment = Figures(), installed(product)
    figures.add("installed, MB", megabytes(product, environment))
    with tempfile.TemporaryDirectory(prefix="autoforge-bench-") as name:
        folder = Path(name)
        start = partial(_started, product, environment, folder)
        with start() as server:
            figures.add("first start, s", server.started_in)
        key = "" if product.packages else asyncio.run(_key(folder / "data"))
        for _ in range(ROUNDS - 1):
            with start() as server:
                figures.add("start, s", server.started_in)
        with start() as server:
            figures.add("start, s", server.started_in)
            time.sleep(IDLE_SECONDS)
            resident, proportional = memory(server.family)
            figures.add("idle memory, MB (RSS of all processes)", resident)
            figures.add("idle memory, MB (PSS)", proportional)
            _ask(product, server, folder, key, figures)
            figures.add("memory afterwards, MB (RSS)", memory(server.family)[0])
    print(f"{product.name}: {json.dumps(figures.taken)}", flush=True)
    return figures


def _started(product: Product, environment: Path, folder: Path):  # type: ignore[no-untyped-def]
    port = free_port()
    command = product.command(environment, folder, port)
    return running(
        command, port, folder, product.environment(folder, port), ready=lambda on: _answers(on, product.health)
    )


def _answers(port: int, path: str) -> bool:
    try:
        Api(port).send("GET", path, b"")
    except (OSError, RuntimeError):
        return False
    except ValueError:  # an answer, and no JSON
        return True
    return True


async def _key(data: Path) -> str:
    """An API key of the local owner."""
    key = new_api_key()
    async with open_services(load_settings(data=data, samples=False)) as services:
        place = {"workspace_id": services.owner.workspace_id, "user_id": services.owner.user_id}
        row = {"id": new_id(), **place, "name": "bench", "prefix": shown_prefix(key), "scopes": '["*:write"]'}
        row |= {"key_hash": digest(services.secret, key), "created_at": clock.now()}
        async with services.database.write() as session:
            await bulk.insert_many(session, m.ApiKey, [row])
    return key


# --- asking -----------------------------------------------------------------------------------------------------------


def _ask(product: Product, server: Running, folder: Path, key: str, figures: Figures) -> None:
    held, named, each = _numbers()
    loop = partial(_loop, server.port, folder)
    for nth in range(ROUNDS):
        figures.add("create a prompt, per s", each / _create(product, key, loop, 1 + nth * each, each))
    _create(product, key, loop, 1 + ROUNDS * each, held - ROUNDS * each)
    api, names = Api(server.port, key), [prompt_name(number) for number in range(1, named + 1)]
    for name in names if product.label else ():
        assert product.label is not None
        product.label(api, name)
    seconds = 2.0 if options.chosen.quick else 5.0
    reads = [product.named(key, name) for name in names]
    for what, asked in (("get a prompt by name and label", reads), ("list 50 of the prompts", [product.listed(key)])):
        loop(asked, 1.0, 0, 1)
        for _ in range(ROUNDS):
            count, spent = loop(asked, seconds, 0, 1)
            figures.add(f"{what}, per s", count / spent)
    for nth in range(ROUNDS):
        _ingest(product, server.port, key, names, nth, figures)


Loop = Callable[[Sequence[Ask], float, int, int], tuple[int, float]]


def _create(product: Product, key: str, loop: Loop, first: int, count: int) -> float:
    """Seconds until so many prompts are made."""
    return sum(loop([asked], 3_600.0, count, first)[1] for asked in product.create(key))


def _loop(port: int, folder: Path, asked: Sequence[Ask], seconds: float, most: int, first: int) -> tuple[int, float]:
    """Requests answered and seconds. RuntimeError when an answer is wrong: then there is nothing to compare."""
    one = asked[0]
    requests = [base64.b64encode(each.request).decode() for each in asked]
    kind = {"name": "asked", "status": one.status, "marker": one.marker, "requests": requests, "first": first}
    plan = folder / "requests.json"
    plan.write_text(json.dumps([kind]))
    with loading(port, CONNECTIONS, patience=120.0, requests=plan) as load:
        answer = load.run((0.0, seconds, most))
    found = answer["segments"][0]
    if found["wrong"] or found["shed"]["count"]:
        raise RuntimeError(f"wrong answers: {found['wrong']} {found['examples']}")
    return int(found["all"]["count"]), float(answer["generator"]["seconds"])


def _ingest(product: Product, port: int, key: str, names: Sequence[str], nth: int, figures: Figures) -> None:
    """Stores the test cases while somebody else reads a prompt twenty times a second."""
    method, path, body = product.dataset(Api(port, key), nth)
    over, worst = threading.Event(), [0.0]
    reader = threading.Thread(target=_read, args=(port, product.named(key, names[0]), over, worst))
    reader.start()
    try:
        began = time.perf_counter()
        Api(port, key).send(method, path, body)
        spent = time.perf_counter() - began
    finally:
        over.set()
        reader.join()
    figures.add(f"{ROWS:,} test cases in one request, rows per s", ROWS / spent)
    figures.add("worst read meanwhile, ms", worst[0] * 1e3)


def _read(port: int, asked: Ask, over: threading.Event, worst: list[float]) -> None:
    head, *lines = asked.request.decode().split("\r\n")
    key = next((line.rpartition(" ")[2] for line in lines if line.startswith("Authorization")), "")
    api, due = Api(port, key), time.perf_counter()
    while not over.is_set():
        api.ask("GET", head.split(" ")[1])
        worst[0] = max(worst[0], time.perf_counter() - due)
        due = max(due + 0.05, time.perf_counter())
        time.sleep(max(0.0, due - time.perf_counter()))
