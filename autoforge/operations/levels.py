"""The counts of the service levels in the database: added up over processes and hosts, by the minute and by the hour.

Minutes are kept for a day, hours for 35 days. Whatever is asked reads a bounded number of rows of one table by its
primary key: six hours of minutes, thirty days of hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Insert, Table, bindparam, delete, inspect, select
from sqlalchemy.dialects import postgresql, sqlite

from autoforge.db import ReadSession, WriteSession, clock, named
from autoforge.db import models as m
from autoforge.db.models.operations import BUCKETS
from autoforge.db.types import Instant
from autoforge.telemetry.levels import KINDS, MINUTE, Counts, Minutes, added

HOUR = 3_600
KEPT = {MINUTE: timedelta(days=1), HOUR: timedelta(days=35)}
READ = {MINUTE: timedelta(hours=6, minutes=10), HOUR: timedelta(days=30, hours=1)}
"""How far back :func:`history` looks."""

_TABLE: Table = inspect(m.ServiceLevel).local_table  # type: ignore[assignment]
_COUNTED = ("requests", "failed", *BUCKETS)


def _adding(insert: Any) -> Insert:
    """Adds to the row that is there."""
    statement: postgresql.Insert = insert(_TABLE)
    sums = {name: _TABLE.c[name] + statement.excluded[name] for name in _COUNTED}
    return named("levels.add", statement.on_conflict_do_update(index_elements=["span", "starts_at", "kind"], set_=sums))


_ADD = {"sqlite": _adding(sqlite.insert), "postgresql": _adding(postgresql.insert)}
_SINCE = named(
    "levels.since",
    select(_TABLE.c.starts_at, _TABLE.c.kind, *(_TABLE.c[name] for name in _COUNTED)).where(
        _TABLE.c.span == bindparam("span"), _TABLE.c.starts_at >= bindparam("since", type_=Instant)
    ),
)
_FORGET = named(
    "levels.forget",
    delete(_TABLE).where(
        _TABLE.c.span == bindparam("of_span"), _TABLE.c.starts_at < bindparam("before", type_=Instant)
    ),
)


def in_spans(minutes: Minutes, span: int) -> Minutes:
    """The same counts in longer spans, each named by its first second."""
    parts: dict[tuple[int, str], list[Counts]] = {}
    for (start, kind), counts in minutes.items():
        parts.setdefault((start // span * span, kind), []).append(counts)
    return {place: added(some) for place, some in parts.items()}


async def store(session: WriteSession, minutes: Minutes) -> None:
    """Adds what one process has counted since it last did."""
    rows = [row for span in (MINUTE, HOUR) for row in _rows(span, in_spans(minutes, span))]
    if rows:  # sorted, so that two processes lock the same rows in the same order
        rows.sort(key=lambda row: (row["span"], row["starts_at"], row["kind"]))
        await session.execute(_ADD[session.dialect], rows)


def _rows(span: int, minutes: Minutes) -> Iterable[dict[str, Any]]:
    for (start, kind), counts in minutes.items():
        place = {"span": span, "starts_at": datetime.fromtimestamp(start, UTC), "kind": kind}
        yield place | dict(zip(_COUNTED, counts, strict=True))


async def history(session: ReadSession) -> tuple[Minutes, Minutes]:
    """Minutes and hours as far back as anything is judged by; two statements."""
    return await _since(session, MINUTE), await _since(session, HOUR)


async def _since(session: ReadSession, span: int) -> Minutes:
    rows = await session.all(_SINCE, {"span": span, "since": clock.now() - READ[span]})
    return {(int(row[0].timestamp()), row[1]): list(row[2:]) for row in rows if row[1] in KINDS}


async def forget_old(session: WriteSession) -> int:
    """Removes what is older than it is kept; returns how many rows."""
    now = clock.now()
    gone = [await session.execute(_FORGET, {"of_span": span, "before": now - kept}) for span, kept in KEPT.items()]
    return sum(one.rowcount for one in gone)
