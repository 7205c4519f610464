"""What this process counts for Prometheus, and what one scrape answers for the whole service.

Each process counts on its own (:mod:`autoforge.telemetry.metrics`), in the data folder's ``metrics`` where the system
can share memory. What pools and the cache count themselves is taken over once a second. Whichever process is asked
adds up all of them, and finds out what is the same for all: the database, the disk, the jobs that wait.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from autoforge import __version__
from autoforge.cache import Kind
from autoforge.db import Database, ReadSession, named
from autoforge.db import models as m
from autoforge.db.connection import dbapi
from autoforge.db.embedded import EmbeddedDatabase
from autoforge.db.engines import log_of
from autoforge.db.trace import Hook, Statement, add_hook
from autoforge.errors import AutoforgeError
from autoforge.operations.opening import Opened
from autoforge.queue import REGISTRY
from autoforge.queue.backlog import backlogs
from autoforge.settings import Settings
from autoforge.telemetry import exposition, families, metrics, process, traces
from autoforge.telemetry.cells import Cells, Counted, Series, Slot, can_share
from autoforge.telemetry.families import Family

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a scrape waits for the database; then it answers without."""
_OPERATIONS = frozenset({"select", "insert", "update", "delete"})
_MOST_SHAPES = 2_000
_SIZE = named("metrics.database_size", select(func.pg_database_size(func.current_database())), bounded=True)


class Meter:
    """One process's; :meth:`scrape` answers for all processes of the data folder."""

    def __init__(self, services: Opened, slot: Slot | None) -> None:
        self._services, self._slot = services, slot
        self._lock = asyncio.Lock()
        self.process = str(slot.number if slot is not None else 1)

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """The text and its content type. Scrapes that come together wait for each other."""
        async with self._lock:
            self.take_over()
            asked = await self._asked()
            return await asyncio.to_thread(self._written, asked, accept)

    def _written(self, asked: dict[Series, float], accept: str) -> tuple[bytes, str]:
        counted = list(self._slot.all()) if self._slot is not None else [_own(metrics.current())]
        asked[families.PROCESSES.name,] = sum(one.alive for one in counted)
        figures = exposition.added_up(counted) | {series: [value] for series, value in asked.items()}
        return exposition.written(figures, accept)

    def take_over(self) -> None:
        """What others in this process count, as it is now."""
        _note_pools(self._services.database)
        _note_cache(self._services, self.process)
        process.note(self.process)

    async def _asked(self) -> dict[Series, float]:
        """What is the same for all processes."""
        settings, database = self._services.settings, self._services.database
        found: dict[Series, float] = {_build(database): 1.0, (families.DATABASE_UP.name,): 0.0}
        with suppress(OSError):
            disk = shutil.disk_usage(settings.data)
            found[families.DISK_FREE.name,], found[families.DISK_SIZE.name,] = disk.free, disk.total
        try:
            async with asyncio.timeout(PATIENCE), database.read() as session:
                found |= await _in_database(session, database)
        except (TimeoutError, AutoforgeError) as error:
            log.warning("the database does not answer for metrics: %s", error)
        return found


@asynccontextmanager
async def measured(services: Opened) -> AsyncIterator[Meter]:
    """Counts what this process does until the block ends."""
    slot = _slot(services.settings.data / "metrics")
    cells = slot.cells if slot is not None else Cells()
    with closing(slot or cells), metrics.counting_in(cells):
        meter = Meter(services, slot)
        _begin_at_zero()
        shapes = Shapes()
        with hooked(_counting(shapes)):
            async with process.watched(meter.process, meter.take_over), _traced(services.settings, shapes):
                yield meter


@asynccontextmanager
async def _traced(settings: Settings, shapes: Shapes) -> AsyncIterator[None]:
    """Sends traces, where somebody wants them."""
    if not settings.traces:
        yield
        return
    async with traces.sending(__version__):
        with hooked(_tracing(shapes)):
            yield


@contextmanager
def hooked(hook: Hook) -> Iterator[None]:
    """Tells ``hook`` of every statement until the block ends."""
    forget = add_hook(hook)
    try:
        yield
    finally:
        forget()


def _slot(folder: Path) -> Slot | None:
    if not can_share():
        return None
    try:
        return Slot(folder)
    except OSError as error:
        log.warning("this process counts for itself alone, since %s cannot be used: %s", folder, error)
        return None


def _own(cells: Cells) -> Counted:
    return Counted(1, True, dict(cells.places), cells.values)


def _begin_at_zero() -> None:
    """The first of a kind shows as an increase only where a zero was seen before it."""
    for task in REGISTRY:
        metrics.prepare(families.ENQUEUED, task.name)
        metrics.prepare(families.STARTED, task.name)
        for outcome in families.OUTCOMES:
            metrics.prepare(families.FINISHED, task.name, outcome)
        metrics.prepare(families.JOB_SECONDS, task.name)
        metrics.prepare(families.RUNNING, task.queue)
    metrics.prepare(families.SHED)
    for kind in Kind:
        metrics.prepare(families.CACHE_LOAD_SECONDS, kind.label)


# --- statements -------------------------------------------------------------------------------------------------------


class Shapes:
    """Operation and table of statements, found out once for each text that a driver got."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}
        self._tables = frozenset(m.Base.metadata.tables)

    def of(self, statement: Statement) -> tuple[str, str]:
        shape = self._known.get(statement.sql)
        if shape is None:
            shape = _shape(statement, self._tables)
            if statement.sql:
                if len(self._known) >= _MOST_SHAPES:
                    self._known.clear()
                self._known[statement.sql] = shape
        return shape


def _counting(shapes: Shapes) -> Hook:
    of, ran = shapes.of, metrics.statement_ran

    def count(statement: Statement) -> None:
        operation, table = of(statement)
        ran(operation, table, statement.seconds, failed=statement.error is not None)

    return count


def _tracing(shapes: Shapes) -> Hook:
    def trace(statement: Statement) -> None:
        operation, table = shapes.of(statement)
        known = "" if table == "none" else table
        traces.statement(statement.dialect, operation, known, statement.sql, statement.seconds, statement.error)

    return trace


def _shape(statement: Statement, known: frozenset[str]) -> tuple[str, str]:
    """Operation and table. Text that is no construct of ours is read for both; what is not known is other or none."""
    operation, table = statement.operation, statement.table
    if operation not in _OPERATIONS:
        words = statement.sql.replace('"', " ").replace("(", " ").lower().split(None, 20)
        operation = words[0] if words and words[0] in _OPERATIONS else "other"
        table = next((word for word in words if word in known), "")
    return operation, table if table in known else "none"


# --- what others count ------------------------------------------------------------------------------------------------


def _note_pools(database: Database) -> None:
    gate, pool = database.gate, database.pool
    metrics.gauge(families.POOL_SIZE, gate.places, pool)
    metrics.gauge(families.POOL_USED, gate.inside, pool)
    metrics.gauge(families.POOL_WAITING, gate.waiting, pool)
    metrics.total(families.POOL_REFUSED, gate.refused, pool)
    metrics.prepare(families.POOL_WAIT, pool)
    if isinstance(database, EmbeddedDatabase):
        writer = database.writer
        metrics.gauge(families.WRITER_WAITING, writer.waiting)
        metrics.gauge(families.WRITER_QUEUE, writer.most_waiting)
        metrics.total(families.WRITER_REFUSED, writer.refused)
        metrics.total(families.COMMITS, writer.commits)
        metrics.prepare(families.WRITER_WAIT)


def _note_cache(services: Opened, name: str) -> None:
    cache = services.cache
    for kind, counts in cache.counts.items():
        metrics.total(families.CACHE_HITS, counts.hits, kind.label, "near")
        metrics.total(families.CACHE_HITS, counts.far_hits, kind.label, "far")
        metrics.total(families.CACHE_MISSES, counts.misses, kind.label)
        metrics.total(families.CACHE_LOADS, counts.loads, kind.label)
        metrics.total(families.CACHE_SHARED, counts.shared, kind.label)
        metrics.total(families.CACHE_RENEWED, counts.renewed, kind.label)
        metrics.total(families.CACHE_STALE, counts.stale, kind.label)
    metrics.gauge(families.CACHE_ENTRIES, len(cache.near))
    metrics.gauge(families.CACHE_BYTES, cache.near.bytes)
    if cache.far is not None:
        metrics.gauge(families.FAR_UP, float(cache.far.link.up), name)
        metrics.total(families.FAR_FAILURES, cache.far.link.failures)


# --- what is the same for all -----------------------------------------------------------------------------------------


def _build(database: Database) -> Series:
    family = families.BUILD
    sqlite = ".".join(map(str, dbapi.sqlite_version_info))
    return (family.name, __version__, platform.python_version(), sqlite, database.dialect)


async def _in_database(session: ReadSession, database: Database) -> dict[Series, float]:
    found: dict[Series, float] = {}

    def put(family: Family, value: float, *labels: str) -> None:
        found[family.name, *labels] = value

    for one in await backlogs(session, REGISTRY.queues()):
        put(families.WAITING, one.waiting, one.queue)
        put(families.OLDEST, one.oldest_seconds, one.queue)
    put(families.DATABASE_BYTES, await _bytes_of(session, database))
    put(families.DATABASE_UP, 1.0)
    return found


async def _bytes_of(session: ReadSession, database: Database) -> float:
    if not isinstance(database, EmbeddedDatabase):
        size: Any = await session.scalar(_SIZE)
        return float(size or 0)
    files = (database.path, log_of(database.path))
    return float(sum(file.stat().st_size for file in files if file.is_file()))
