"""What single steps cost: a statement by key and a list of 50 through our door, beside the bare driver, bare
SQLAlchemy Core and aiosqlite; rendering a template; reading and writing JSON. One caller at a time, in the process.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, create_engine, insert, select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

from autoforge.db import clock, named
from autoforge.db import models as m
from autoforge.db.connection import dbapi
from autoforge.db.ids import new_id
from autoforge.llm.rendering import render_messages
from autoforge.operations.opening import Opened, open_services
from autoforge.prompts import queries
from autoforge.prompts.content import parse_content
from autoforge.prompts.queries import Listing
from autoforge.prompts.schemas import PromptIn
from autoforge.settings import load_settings
from autoforge.web.responses import json_response
from bench.filling import add_prompts
from bench.peers.installing import cache_folder
from bench.table import Table

AIOSQLITE = "aiosqlite==0.22.1"
_COLUMNS = (m.Prompt.id, m.Prompt.name, m.Prompt.title, m.Prompt.status, m.Prompt.created_at, m.Prompt.updated_at)
_BY_KEY = named("bench.by_key", select(*_COLUMNS).where(m.Prompt.id == bindparam("this")), bounded=True)
_NEWEST = named(
    "bench.newest",
    select(*_COLUMNS)
    .where(m.Prompt.workspace_id == bindparam("workspace_id"), m.Prompt.deleted_at.is_(None))
    .order_by(m.Prompt.created_at.desc(), m.Prompt.id.desc())
    .limit(50),
    bounded=True,
)
_ADD = insert(m.ImportFault)
Measured = dict[str, tuple[float, float, float]]
"""By path: microseconds of a row by key, of 50 rows, and of a row written and synced."""


async def _each(work: Callable[[], Awaitable[object]], count: int, rounds: int = 7) -> float:
    """Microseconds of one, median of the rounds."""
    await work()
    spent = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(count):
            await work()
        spent.append((time.perf_counter() - began) / count * 1e6)
    return statistics.median(spent)


def _row(job: UUID) -> dict[str, Any]:
    return {"id": new_id(), "job_id": job, "line": 1, "message": "written by the measurement"}


async def _of_door(services: Opened, this: UUID, job: UUID) -> tuple[float, float, float]:
    async def one() -> None:
        async with services.database.read() as session:
            await session.first(_BY_KEY, {"this": this})

    async def many() -> None:
        async with services.database.read() as session:
            await session.all(_NEWEST, {"workspace_id": services.owner.workspace_id})

    async def write() -> None:
        async with services.database.write() as session:
            await session.execute(_ADD, _row(job))

    return await _each(one, 500), await _each(many, 200), await _each(write, 50)


async def _of_core(path: Path, workspace: UUID, this: UUID, job: UUID) -> tuple[float, float, float]:
    """SQLAlchemy Core on one open connection, synchronously: what our door cannot be cheaper than."""
    engine = create_engine(f"sqlite:///{path}", module=dbapi, poolclass=StaticPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA synchronous=FULL")

        async def one() -> None:
            connection.execute(_BY_KEY, {"this": this}).first()

        async def many() -> None:
            connection.execute(_NEWEST, {"workspace_id": workspace}).all()

        async def write() -> None:
            connection.execute(_ADD, _row(job))
            connection.commit()

        found = await _each(one, 500), await _each(many, 200)
        connection.rollback()
        return *found, await _each(write, 50)


async def _of_driver(path: Path, workspace: UUID, this: UUID, job: UUID) -> tuple[float, float, float]:
    """The driver alone, synchronously, without turning ids and times into Python's."""
    connection = dbapi.connect(str(path))
    connection.execute("PRAGMA synchronous=FULL")
    sql = {name: str(one.compile(dialect=create_engine("sqlite://", module=dbapi).dialect)) for name, one in
           (("one", _BY_KEY), ("many", _NEWEST))}  # fmt: skip

    async def one() -> None:
        connection.execute(sql["one"], (this.bytes,)).fetchone()

    async def many() -> None:
        connection.execute(sql["many"], (workspace.bytes, 50, 0)).fetchall()

    async def write() -> None:
        insertion = "INSERT INTO import_faults (id, job_id, line, message) VALUES (?, ?, 1, 'written')"
        connection.execute(insertion, (new_id().bytes, job.bytes))
        connection.commit()

    try:
        return await _each(one, 500), await _each(many, 200), await _each(write, 50)
    finally:
        connection.close()


async def _of_aiosqlite(path: Path, workspace: UUID, this: UUID, job: UUID) -> tuple[float, float, float]:
    """SQLAlchemy's own asyncio dialect over aiosqlite, as its documentation uses it."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    async def one() -> None:
        async with engine.connect() as connection:
            (await connection.execute(_BY_KEY, {"this": this})).first()

    async def many() -> None:
        async with engine.connect() as connection:
            (await connection.execute(_NEWEST, {"workspace_id": workspace})).all()

    async def write() -> None:
        async with engine.begin() as connection:
            await connection.execute(_ADD, _row(job))

    try:
        return await _each(one, 300), await _each(many, 100), await _each(write, 50)
    finally:
        await engine.dispose()


def _aiosqlite() -> None:
    """Makes it importable, from a folder outside of the repository: it is no dependency of ours."""
    folder = cache_folder() / AIOSQLITE.replace("==", "-")
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--target", str(folder), AIOSQLITE]
        subprocess.run(pip, check=True)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        importlib.invalidate_caches()


async def _statements() -> tuple[Measured, list[tuple[str, float]]]:
    _aiosqlite()
    with tempfile.TemporaryDirectory(prefix="autoforge-bench-") as name:
        path = Path(name) / "autoforge.db"
        async with AsyncExitStack() as stack:
            services = await stack.enter_async_context(open_services(load_settings(data=Path(name), samples=False)))
            await add_prompts(services, 10_000)
            this, job = await _known(services)
            found = {"our door": await _of_door(services, this, job)}
            steps = [("list of 50 prompts as the API reads it", await _each(lambda: _listed(services), 100))]
        place = (path, services.owner.workspace_id, this, job)
        found["driver alone, synchronous"] = await _of_driver(*place)
        found["SQLAlchemy Core, synchronous"] = await _of_core(*place)
        found["SQLAlchemy asyncio + aiosqlite"] = await _of_aiosqlite(*place)
    return found, steps


async def _known(services: Opened) -> tuple[UUID, UUID]:
    """A prompt, and a job that written rows may belong to."""
    now = clock.now()
    job = {"id": new_id(), "task": "bench", "run_after": now, "turn_at": now, "created_at": now, "status": "completed"}
    async with services.database.write() as session:
        await session.execute(insert(m.Job), job | {"ended_at": now})
    async with services.database.read() as session:
        this = await session.scalar(select(m.Prompt.id).limit(1))
    assert this is not None
    return this, UUID(str(job["id"]))


async def _listed(services: Opened) -> list[dict[str, Any]]:
    async with services.database.read() as session:
        return (await queries.page(session, services.owner.workspace_id, Listing(), 50, None))[0]


def _plain_steps() -> list[tuple[str, float]]:
    """Rendering and JSON."""
    variables = {"name": "Ada", "orders": [{"number": n, "total": n * 10} for n in range(5)]}
    text = "Hello {{ name }}, {% for one in orders %}order {{ one.number }}: {{ one.total }}; {% endfor %}"
    content = parse_content({"messages": [{"role": "user", "content": text}]})
    plain = parse_content({"messages": [{"role": "user", "content": "Hello {{name}}"}]})
    body = json.dumps({"name": "a/b", "content": {"messages": [{"role": "user", "content": "x" * 1_000}]}})
    items = [{"id": new_id(), "name": f"prompt {n}", "created_at": clock.now(), "labels": []} for n in range(50)]
    return [
        ("render a prompt with one variable", _timed(lambda: render_messages(plain, {"name": "Ada"}))),
        ("render a prompt with a loop", _timed(lambda: render_messages(content, variables))),
        ("validate the body of a new prompt, 1 KB", _timed(lambda: PromptIn.model_validate_json(body))),
        ("write 50 rows as JSON", _timed(lambda: json_response(items))),
    ]


def _timed(work: Callable[[], object], count: int = 200, rounds: int = 7) -> float:
    work()
    spent = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(count):
            work()
        spent.append((time.perf_counter() - began) / count * 1e6)
    return statistics.median(spent)


def run() -> list[Table]:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found, steps = runner.run(_statements())
    limit, door = found["SQLAlchemy Core, synchronous"], found["our door"]
    rows = [(name, *(f"{value:,.0f}" for value in values)) for name, values in found.items()]
    rows.append(("our door against Core", *(f"{ours / least:.2f} x" for ours, least in zip(door, limit, strict=True))))
    columns = ["µs, one caller at a time", "row by key", "50 newest rows", "row written and synced"]
    note = "SQLite, 10,000 prompts, six columns, median of 7 rounds. Our door opens and ends a snapshot each time."
    plain = [(name, f"{value:,.1f}") for name, value in (*steps, *_plain_steps())]
    return [Table("Statements", columns, rows, note), Table("Steps", ["", "µs"], plain)]
