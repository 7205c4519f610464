"""The plan of one statement, as the database would run it now, for people to read.

PostgreSQL writes the values that it plans for into the plan. They may be secrets, so whatever looks like a value is
left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from autoforge.db.plans import EXPLAINABLE, Finding, findings, of_postgresql
from autoforge.db.sessions import ReadSession

_QUOTED = re.compile(r"E?'(?:[^']|'')*'")
_VALUE = re.compile(r"E?'(?:[^']|'')*'|(?<![\w.$\"])-?\d+(?:\.\d+)?\b")


@dataclass(frozen=True, slots=True)
class Plan:
    """``lines`` as the database writes them, indented; ``findings`` what is wrong with it; ``note`` why there is none,
    or that it was made without parameters."""

    lines: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    note: str = ""


async def explained(session: ReadSession, name: str, sql: str, bound: Any) -> Plan:
    """Explains; nothing is run. Without ``bound`` the plan is the one that does for any parameters."""
    if not EXPLAINABLE.match(sql):
        return Plan(note="Only selects, inserts, updates and deletes have a plan.")
    try:
        if bound is None and _placeholders(session.dialect, sql):
            return await _of_any(session, name, sql)
        if session.dialect == "sqlite":
            return Plan(await session.call(_on_sqlite, session, sql, bound), await findings(session, name, sql, bound))
        lines = await session.call(_texts, session.connection, f"EXPLAIN {sql}", bound)
        found = await findings(session, name, sql, bound)
        return Plan(lines, [replace(one, detail=_QUOTED.sub("…", one.detail)) for one in found])
    except DBAPIError as error:  # such as a table that a migration has removed meanwhile
        return Plan(note=f"The database cannot explain it: {str(error.orig).splitlines()[0]}")


def _placeholders(dialect: str, sql: str) -> int:
    if dialect == "sqlite":
        return sql.count("?")
    number = 0
    while f"${number + 1}" in sql:
        number += 1
    return number


async def _of_any(session: ReadSession, name: str, sql: str) -> Plan:
    number, note = _placeholders(session.dialect, sql), "Made without the parameters of a call."
    if session.dialect == "sqlite":
        nothing = (None,) * number
        return Plan(
            await session.call(_on_sqlite, session, sql, nothing), await findings(session, name, sql, nothing), note
        )
    lines, tree = await session.call(_generic, session.connection, sql, number)
    return Plan(lines, list(of_postgresql(name, tree)), note)


def _generic(connection: Connection, sql: str, number: int) -> tuple[list[str], Any]:
    """PostgreSQL plans a prepared statement for any parameters when it is told to."""
    nothing = f"({', '.join(['NULL'] * number)})"
    connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
    connection.exec_driver_sql(f"PREPARE autoforge_explained AS {sql}")
    try:
        lines = _texts(connection, f"EXPLAIN EXECUTE autoforge_explained{nothing}", None)
        tree = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) EXECUTE autoforge_explained{nothing}").all()
    finally:
        connection.exec_driver_sql("DEALLOCATE autoforge_explained")
    return lines, tree[0][0]


def _texts(connection: Connection, sql: str, bound: Any) -> list[str]:
    parameters = tuple(bound) if isinstance(bound, list) else bound
    return [_without_values(str(row[0])) for row in connection.exec_driver_sql(sql, parameters or None)]


def _without_values(line: str) -> str:
    """Conditions and keys without their values; what tells of a node has costs and rows only."""
    return line if "(cost=" in line else _VALUE.sub("…", line)


def _on_sqlite(session: ReadSession, sql: str, bound: Any) -> list[str]:
    parameters = tuple(bound) if isinstance(bound, list) else bound
    rows = session.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters or None).all()
    depth: dict[int, int] = {}
    for number, parent, *_ in rows:
        depth[number] = depth.get(parent, -1) + 1
    return [f"{'  ' * depth[row[0]]}{row[3]}" for row in rows]
