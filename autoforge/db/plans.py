"""Does a statement use an index? The database is asked, not guessed.

A test collects what the suite issued (:class:`Collected`, as a trace hook) and has each explained on a filled database.
What reads a growing table from end to end, or sorts it in memory, is a finding; a finding that is meant to be stands in
an allow-list, by the statement's name and with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from autoforge.db.sessions import ReadSession
from autoforge.db.trace import Statement

EXPLAINABLE = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
_SQLITE_SCAN = re.compile(r"SCAN (?:TABLE )?([^\s(]+)(?: AS (\S+))?(.*)")
_SQLITE_NAMED = re.compile(r"(?:CO-ROUTINE|MATERIALIZE) (\S+)")


@dataclass(frozen=True, slots=True)
class Finding:
    """``what`` is "full scan" or "temporary sort"; ``table`` a table or its alias in the statement."""

    statement: str
    what: str
    table: str
    detail: str


@dataclass(slots=True)
class Collected:
    """A trace hook that keeps one example of each distinct SQL."""

    examples: dict[tuple[str, str], Statement] = field(default_factory=dict)

    def __call__(self, ran: Statement) -> None:
        if ran.error is None and EXPLAINABLE.match(ran.sql):
            self.examples.setdefault((ran.dialect, ran.sql), ran)


async def findings(session: ReadSession, name: str, sql: str, bound: Any) -> list[Finding]:
    """What is wrong with the plan of ``sql``, with the driver's parameters ``bound``, on this database."""
    if session.dialect == "sqlite":
        rows = await session.call(_fetch, session, f"EXPLAIN QUERY PLAN {sql}", bound)
        return list(of_sqlite(name, [str(row[3]) for row in rows]))
    rows = await session.call(_fetch, session, f"EXPLAIN (FORMAT JSON) {sql}", bound)
    return list(of_postgresql(name, rows[0][0]))


def unexpected(found: Iterable[Finding], allowed: Mapping[str, str]) -> list[Finding]:
    """The findings whose statement is not in ``allowed`` (name -> reason)."""
    return [finding for finding in found if finding.statement not in allowed]


def _fetch(session: ReadSession, sql: str, bound: Any) -> Any:
    parameters = tuple(bound) if isinstance(bound, list) else bound
    return session.connection.exec_driver_sql(sql, parameters or None).all()


def of_sqlite(name: str, details: list[str]) -> Iterator[Finding]:
    """The findings in the lines that ``EXPLAIN QUERY PLAN`` answered."""
    derived = {match[1] for detail in details if (match := _SQLITE_NAMED.search(detail))}
    for detail in details:
        if detail.startswith("USE TEMP B-TREE") and details != ["SCAN CONSTANT ROW"]:
            yield Finding(name, "temporary sort", "", detail)
        scan = _SQLITE_SCAN.match(detail)
        if scan is None or scan[1] in derived or scan[1] == "CONSTANT":
            continue
        if " USING " not in scan[3] and "VIRTUAL TABLE" not in scan[3]:
            yield Finding(name, "full scan", scan[1], detail)


def of_postgresql(name: str, explained: Any) -> Iterator[Finding]:
    """The findings in what ``EXPLAIN (FORMAT JSON)`` answered."""
    tree = json.loads(explained) if isinstance(explained, str) else explained
    return _of_postgresql(name, tree[0]["Plan"])


def _of_postgresql(name: str, node: Mapping[str, Any]) -> Iterator[Finding]:
    kind = node["Node Type"]
    rows = f"about {node.get('Plan Rows')} rows"
    if kind == "Seq Scan":
        yield Finding(name, "full scan", str(node["Relation Name"]), f"{kind} on {node['Relation Name']}, {rows}")
    elif kind in ("Sort", "Incremental Sort"):
        yield Finding(name, "temporary sort", "", f"{kind} by {', '.join(node.get('Sort Key', []))}, {rows}")
    for child in node.get("Plans", ()):
        yield from _of_postgresql(name, child)
