"""Does the first page of a list cost the same among 1,000 and among 1,000,000 rows? (Specification: F4, F5.)

Every list of the API is asked, as the OpenAPI document knows them, so that a new one is measured without being named
here; those whose filters and orders use other indexes are asked in these ways too, and the pages that people see.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from autoforge.app import create
from autoforge.db.trace import count_statements
from autoforge.operations.opening import open_services
from autoforge.settings import load_settings
from bench import growing, options
from bench.growing import JOBS, PROMPTS, RUNS, SUITES, uuid_of
from bench.table import Table

SMALL, LARGE, LARGE_QUICKLY = 1_000, 1_000_000, 20_000
REPEATS = 60
_PATHS = {
    "prompt_id": str(uuid_of(PROMPTS, 1)),
    "suite_id": str(uuid_of(SUITES, 1)),
    "evaluation_id": str(uuid_of(RUNS, 1)),
    "job_id": str(uuid_of(JOBS, 1)),
    "workspace": "main",
}
_QUERIES = {"/api/v1/evaluations/compare": f"a={uuid_of(RUNS, 1)}&b={uuid_of(RUNS, 1)}"}
_NO_PAGE_OF_ROWS = {
    "/api/v1/evaluations/compare": "reads both runs whole, by intention",
    "/api/v1/users/cleanup": "counts all who would go, by intention",
}
_MORE = (
    "/api/v1/prompts?sort=name",
    "/api/v1/prompts?folder=team-3&sort=name",
    "/api/v1/prompts?owner=me",
    "/api/v1/prompts?status=active",
    "/api/v1/prompts?sort=-updated_at",
    "/api/v1/templates?sort=-usage_count",
    "/api/v1/suites?sort=name",
    f"/api/v1/evaluations?prompt={uuid_of(PROMPTS, 1)}",
    f"/api/v1/evaluations?suite={uuid_of(SUITES, 2)}",
    f"/api/v1/evaluations/{uuid_of(RUNS, 1)}/results?sort=outcome",
    f"/api/v1/evaluations/{uuid_of(RUNS, 1)}/results?sort=-score",
    "/api/v1/users?sort=name",
    "/api/v1/users?role=manager",
    "/api/v1/users?q=person",
    "/api/v1/users?active=false",
    "/api/v1/jobs?status=completed",
    "/api/v1/keys",
    "/api/v1/workspaces/main/invitations",
    "/w/main/prompts",
    "/w/main/templates",
    "/w/main/suites",
    "/w/main/evaluations",
    f"/w/main/evaluations/{uuid_of(RUNS, 1)}",
    f"/w/main/prompts/{uuid_of(PROMPTS, 1)}/versions",
    "/w/main/people",
    "/people",
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one request: milliseconds of processor time, and of its statements (the lower quartile: what others did on the
    machine meanwhile is no growth); how many statements; and the status.
    """

    whole: float
    database: float
    statements: int
    status: int


def run() -> list[Table]:
    large = LARGE_QUICKLY if options.chosen.quick else LARGE
    few, many = asyncio.run(_measured(SMALL)), asyncio.run(_measured(large))
    columns = ["first page of", "statements", f"database, ms at {SMALL:,}", f"at {large:,}", "ratio"]
    columns += ["whole request, CPU ms", f"at {large:,}", "ratio"]
    note = f"SQLite, in the process, the cache emptied before each of {REPEATS}; {large:,} rows in each of "
    note += f"{len(growing.FILLS)} tables. Left out: "
    note += "; ".join(f"{path} ({why})" for path, why in _NO_PAGE_OF_ROWS.items())
    return [Table("Growth of every list", columns, [_row(path, few[path], many[path]) for path in few], note)]


def _row(path: str, few: Cost, many: Cost) -> list[str]:
    counts = str(few.statements) if few.statements == many.statements else f"{few.statements}, {many.statements} (!)"
    name = path.replace("/api/v1", "")
    for value, shown in ((_PATHS[key], key) for key in ("prompt_id", "suite_id", "evaluation_id", "job_id")):
        name = name.replace(value, shown.removesuffix("_id").upper())
    if {few.status, many.status} != {200}:
        name += f" ({few.status}, {many.status})"
    database = [f"{few.database:.2f}", f"{many.database:.2f}", f"{many.database / max(few.database, 1e-9):.2f}"]
    return [name, counts, *database, f"{few.whole:.2f}", f"{many.whole:.2f}", f"{many.whole / few.whole:.2f}"]


async def _measured(rows: int) -> dict[str, Cost]:
    with tempfile.TemporaryDirectory(prefix="autoforge-bench-") as name:
        given: dict[str, Any] = {"samples": False, "sign_in": False, "requests_per_minute": 0, "log_level": "error"}
        settings = load_settings(data=Path(name), **given)
        async with open_services(settings) as services:
            owner = services.owner
        began = time.monotonic()
        growing.fill(Path(name) / "autoforge.db", rows, owner.workspace_id, owner.user_id)
        print(f"Filled with {rows:,} rows a table in {time.monotonic() - began:.0f} s.", flush=True)
        app = create(settings.model_copy(update={"jobs": settings.jobs.model_copy(update={"executor": "none"})}))
        async with app.router.lifespan_context(app):
            return {path: await _cost(app, path) for path in dict.fromkeys((*_lists(app), *_MORE))}


def _lists(app: FastAPI) -> Iterator[str]:
    """The addresses of everything that takes a ``limit``."""
    for path, operations in app.openapi()["paths"].items():
        parameters = operations.get("get", {}).get("parameters", ())
        if path not in _NO_PAGE_OF_ROWS and any(one["name"] == "limit" for one in parameters):
            query = _QUERIES.get(path)
            yield path.format_map(_PATHS) + (f"?{query}" if query else "")


async def _cost(app: FastAPI, path: str) -> Cost:
    database, statements, cache = [], 0, app.state.services.cache
    status = await _ask(app, path)
    busy = time.process_time()
    for _ in range(REPEATS):
        cache.near.clear()
        with count_statements() as counted:
            await _ask(app, path)
        statements = counted.count
        database.append(counted.seconds * 1e3)
    whole = (time.process_time() - busy) / REPEATS * 1e3
    return Cost(whole, statistics.quantiles(database)[0], statements, status)


async def _ask(app: FastAPI, path: str) -> int:
    """The status of the answer; the request goes to the application itself, no socket between."""
    address, _, query = path.partition("?")
    scope: dict[str, Any] = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET"}
    scope |= {"scheme": "http", "path": address, "raw_path": address.encode(), "query_string": query.encode()}
    scope |= {"root_path": "", "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1)}
    scope |= {"server": ("127.0.0.1", 80)}
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]
