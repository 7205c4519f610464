"""Tables and files: how large, how fast they grow, what in them is dead, and whether the planner knows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, inspect, select, text

from autoforge.db import ReadSession, clock
from autoforge.db.engines import log_of
from autoforge.db.models import Base
from autoforge.db.types import Id, to_microseconds
from autoforge.operations.doctor import remedies
from autoforge.operations.doctor.finding import Finding, Severity, examples
from autoforge.operations.doctor.patient import Patient

_MB = 1024 * 1024
_WEEK = timedelta(days=7)
_HORIZON = 30.0  # days
_LEAST_GROWTH = 10 * _MB  # a day, below which nobody has to worry
_TABLES = text(
    "SELECT s.relname AS name, greatest(n_live_tup, c.reltuples::bigint, 0) AS live, n_dead_tup AS dead,"
    " n_mod_since_analyze AS changed, coalesce(last_analyze, last_autoanalyze) AS analysed,"
    " coalesce((SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),"
    " pg_postmaster_start_time()) AS began, coalesce(last_vacuum, last_autovacuum) AS vacuumed,"
    " pg_total_relation_size(relid) AS bytes"
    " FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid WHERE schemaname = current_schema()"
)


async def sizes(patient: Patient) -> AsyncIterator[Finding]:
    """Counts rows (PostgreSQL: estimates) for the checks that follow, and of this week; finds a disk that fills."""
    async with patient.read() as session:
        patient.rows.update(await _rows(session))
        total = await _bytes(patient, session)
        fresh: dict[str, int] = {}
        for table in Base.metadata.sorted_tables:
            if patient.rows.get(table.name, 0) > patient.limits.large_table:
                patient.progress = f"growth of {len(fresh)} tables"
                fresh[table.name] = await _of_this_week(session, table)
    rows = sum(patient.rows.values())
    daily = total * sum(fresh.values()) / max(rows, 1) / _WEEK.days
    if daily > _LEAST_GROWTH and patient.host.disk_free < daily * _HORIZON:
        largest = sorted(fresh, key=lambda name: fresh[name], reverse=True)
        lines = [f"{name}: {fresh[name]:,} of {patient.rows[name]:,} rows are of this week" for name in largest]
        yield Finding(
            "disk-fills",
            Severity.HIGH,
            f"The disk is full in about {patient.host.disk_free / daily:.0f} days",
            (f"{total // _MB:,} MB grow by about {daily / _MB:,.0f} MB a day.", *examples(lines[:3], len(lines[:3]))),
            "Make room, or keep less: ended jobs are kept AUTOFORGE_JOBS_KEEP_DAYS days.",
        )


async def _rows(session: ReadSession) -> dict[str, int]:
    if session.dialect == "postgresql":
        return {row.name: int(row.live) for row in await session.all(_TABLES)}
    there = await session.call(lambda: set(inspect(session.connection).get_table_names()))
    found = {}
    for table in Base.metadata.sorted_tables:
        if table.name in there:  # an older database lacks some, which is a finding of its own
            found[table.name] = int(await session.scalar(select(func.count()).select_from(table)) or 0)
    return found


async def _bytes(patient: Patient, session: ReadSession) -> int:
    if session.dialect == "postgresql":
        return int(await session.scalar(text("SELECT pg_database_size(current_database())")))
    return patient.path.stat().st_size


async def _of_this_week(session: ReadSession, table: Any) -> int:
    """By the time in the key (UUIDv7), or in that of what the row belongs to; 0 for tables with other keys."""
    key = next(iter(table.primary_key))
    if not isinstance(key.type, Id):
        return 0
    milliseconds = to_microseconds(clock.now() - _WEEK) // 1000
    since = UUID(bytes=milliseconds.to_bytes(6) + b"\x70" + bytes(9))
    return int(await session.scalar(select(func.count()).select_from(table).where(key >= since)) or 0)


async def free_pages(patient: Patient) -> AsyncIterator[Finding]:
    if not patient.is_sqlite:
        return
    async with patient.read() as session:
        free, pages, size = [
            int(await session.scalar(text(f"PRAGMA {name}"))) for name in ("freelist_count", "page_count", "page_size")
        ]
    share = free / max(pages, 1)
    if free * size >= patient.limits.free_bytes and share >= patient.limits.free_share:
        yield Finding(
            "file-fragmented",
            Severity.LOW,
            f"{share:.0%} of the database file is empty ({free * size // _MB:,} MB)",
            (f"{free:,} of {pages:,} pages are on the free list; new rows use them, but backups carry them along.",),
            "Rewrite the file while the server is stopped (it needs as much free space again).",
            remedies.on_file(patient, "VACUUM"),
        )


async def log_file(patient: Patient) -> AsyncIterator[Finding]:
    if not patient.is_sqlite:
        return
    log = log_of(patient.path)
    size = log.stat().st_size if log.exists() else 0
    if size > patient.limits.wal_bytes:
        yield Finding(
            "wal-huge",
            Severity.MEDIUM,
            f"SQLite's log has grown to {size // _MB:,} MB",
            ("It shrinks when it is written back, which a reader that never ends prevents; reads get slower with it.",),
            "Find the reader that does not end (an export, a backup, an open sqlite3 shell), end it, and write the "
            "log back.",
            remedies.on_file(patient, "PRAGMA wal_checkpoint(TRUNCATE)"),
        )


async def dead_rows(patient: Patient) -> AsyncIterator[Finding]:
    if patient.is_sqlite:
        return
    limits = patient.limits
    async with patient.read() as session:
        for row in await session.all(_TABLES):
            if row.dead >= limits.dead_rows and row.dead >= limits.dead_share * (row.live + row.dead):
                yield Finding(
                    "table-bloated",
                    Severity.MEDIUM,
                    f"{row.name} holds {row.dead:,} dead rows beside {row.live:,} live ones",
                    (f"{row.bytes // _MB:,} MB; last vacuumed: {row.vacuumed or 'never'}.",),
                    "Vacuum it now, and see why autovacuum does not: it may be off for the table, or a transaction "
                    "that never ends keeps the rows alive.",
                    f"VACUUM (ANALYZE) {row.name};\nSELECT pid, state, xact_start, query FROM pg_stat_activity "
                    "WHERE xact_start < now() - interval '10 minutes';",
                )


async def statistics(patient: Patient) -> AsyncIterator[Finding]:
    """Tables that the planner knows old things about.

    On SQLite no statistics are fine: the product's statements are made, and tested, to be planned without. It is old
    ones, of somebody's ANALYZE, that lead the planner astray.
    """
    least = patient.limits.unanalysed_rows
    async with patient.read() as session:
        if patient.is_sqlite:
            lines, commands = await _outgrown(session, patient.rows, least), "ANALYZE;"
        else:
            due = clock.now() - patient.limits.analysed_within  # autovacuum needs a moment after an import
            rows = [
                row
                for row in await session.all(_TABLES)
                if row.changed >= least and row.changed > row.live / 2 and (row.analysed or row.began) <= due
            ]
            lines = [
                f"{row.name}: {row.changed:,} changes since {row.analysed or 'the beginning'}, {row.live:,} rows"
                for row in rows
            ]
            commands = "\n".join(f"ANALYZE {row.name};" for row in rows)
    if lines:
        yield Finding(
            "statistics-stale",
            Severity.MEDIUM,
            "The planner's statistics are not of the rows that there are",
            examples(lines, len(lines)),
            "Let the database look at its tables; it takes seconds and stops nobody.",
            commands,
        )


async def _outgrown(session: ReadSession, rows: dict[str, int], least: int) -> list[str]:
    """Tables of which sqlite_stat1 says that they are a tenth of their size, or ten times."""
    if not await session.scalar(text("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'")):
        return []
    found = {}
    asked = text("SELECT tbl, max(CAST(stat AS INTEGER)) AS told FROM sqlite_stat1 GROUP BY tbl")
    for table, told in await session.all(asked):
        now = rows.get(table, 0)
        if max(now, told) >= least and not told / 10 <= now <= told * 10:
            found[table] = f"{table}: {now:,} rows, {told:,} when it was last looked at"
    return list(found.values())


CHECKS = (sizes, free_pages, log_file, dead_rows, statistics)
