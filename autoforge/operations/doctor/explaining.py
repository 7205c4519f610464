"""The plan of a statement, asked for without running it: its lines, what is wrong with it, which indexes it uses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg

from autoforge.db import plans as of_database
from autoforge.db.plans import Finding as Fault
from autoforge.operations.doctor.catalogue import Known

# PostgreSQL sorts and scans what is small whatever indexes there are: it is asked for the plan that many rows get.
AVOIDED = ("seqscan", "sort", "incremental_sort", "hashjoin", "mergejoin", "bitmapscan", "hashagg")
_SQLITE_INDEX = re.compile(r"USING (?:COVERING )?INDEX (\S+)")
_HOLDER = re.compile(r"\$(\d+)")
_LISTED = re.compile(r"__\[POSTCOMPILE_[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Plan:
    """``text`` for people; ``faults`` are full scans and temporary sorts."""

    text: str
    faults: tuple[Fault, ...]
    indexes: frozenset[str]


def sql_of(known: Known, dialect: Dialect) -> str:
    """As the driver gets it; a list of values counts as one."""
    return known.sql if known.statement is None else _compiled(known, dialect.name)


@lru_cache(1024)
def _compiled(known: Known, name: str) -> str:
    dialect = sqlite.dialect() if name == "sqlite" else asyncpg.dialect()  # type: ignore[no-untyped-call]
    sql = str(known.statement.compile(dialect=dialect))  # type: ignore[union-attr]
    if name == "sqlite":
        return _LISTED.sub("?", sql)
    last = max((int(number) for number in _HOLDER.findall(sql)), default=0)
    numbers = count(last + 1)
    return _LISTED.sub(lambda _: f"${next(numbers)}", sql)


def explain(connection: Connection, known: Known) -> Plan:
    """For any values. SQLAlchemyError when it cannot be explained, for example because a table is missing."""
    sql = sql_of(known, connection.dialect)
    if connection.dialect.name == "sqlite":
        holders = (None,) * sql.count("?")
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", holders or None).all()
        return _of_sqlite(known.name, [(int(row[0]), int(row[1]), str(row[3])) for row in rows])
    plan = _on_postgresql(connection, sql)
    return _of_postgresql(known.name, (json.loads(plan) if isinstance(plan, str | bytes) else plan)[0]["Plan"])


def _on_postgresql(connection: Connection, sql: str) -> Any:
    numbers = {int(number) for number in _HOLDER.findall(sql)}
    if not numbers:
        return connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}").scalar()
    connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
    connection.exec_driver_sql(f"PREPARE autoforge_doctor AS {sql}")
    nothing = ", ".join(["NULL"] * max(numbers))
    try:
        with connection.begin_nested():  # what fails would end the transaction, and with it the way to deallocate
            return connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) EXECUTE autoforge_doctor({nothing})").scalar()
    finally:
        connection.exec_driver_sql("DEALLOCATE autoforge_doctor")


def _of_sqlite(name: str, rows: list[tuple[int, int, str]]) -> Plan:
    details = [detail for _, _, detail in rows]
    depth: dict[int, int] = {0: -1}
    lines = []
    for key, parent, detail in rows:
        depth[key] = depth.get(parent, -1) + 1
        lines.append(f"{'  ' * depth[key]}{detail}")
    used = frozenset(found[1] for detail in details if (found := _SQLITE_INDEX.search(detail)))
    return Plan("\n".join(lines), tuple(of_database.of_sqlite(name, details)), used)


def _of_postgresql(name: str, root: Mapping[str, Any]) -> Plan:
    used = frozenset(str(node["Index Name"]) for _, node in _nodes(root) if "Index Name" in node)
    text = "\n".join(f"{'  ' * depth}{_line(node)}" for depth, node in _nodes(root))
    return Plan(text, tuple(of_database.of_postgresql(name, [{"Plan": root}])), used)


def _nodes(node: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[int, Mapping[str, Any]]]:
    yield depth, node
    for child in node.get("Plans", ()):
        yield from _nodes(child, depth + 1)


def _line(node: Mapping[str, Any]) -> str:
    line = str(node["Node Type"])
    if "Index Name" in node:
        line += f" using {node['Index Name']}"
    if "Relation Name" in node:
        line += f" on {node['Relation Name']}"
    if "Sort Key" in node:
        line += f" by {', '.join(node['Sort Key'])}"
    return f"{line} (about {node.get('Plan Rows')} rows)"
