"""The indexes that there are, those that the models declare, and how they differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Index, inspect
from sqlalchemy.schema import CreateIndex

from autoforge.db.models import Base

_CAST = re.compile(r"::[a-z ]+(?:\(\d+\))?")
_BRACKETS = re.compile(r"[()]")
_WHERE = re.compile(r"^\s*WHERE\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TableIndex:
    """``columns`` are SQL: ``name``, ``name DESC`` or an expression. ``kept`` belongs to a constraint.

    ``where`` and expressions are made comparable: without brackets, casts and repeated blanks.
    """

    table: str
    name: str
    columns: tuple[str, ...]
    unique: bool = False
    where: str = ""
    kept: bool = False


def comparable(where: object) -> str:
    plain = "" if where is None else str(where)
    return " ".join(_BRACKETS.sub(" ", _CAST.sub("", plain)).lower().split())


def existing(connection: Connection) -> list[TableIndex]:
    """All indexes of the tables that the models have, those of keys and constraints included."""
    inspector, found = inspect(connection), []
    of_table = _of_file if connection.dialect.name == "sqlite" else _of_server
    for table in sorted(set(inspector.get_table_names()) & set(Base.metadata.tables)):
        key = inspector.get_pk_constraint(table)
        columns = tuple(key["constrained_columns"])
        found.append(TableIndex(table, key["name"] or "primary key", columns, True, kept=True))
        found += of_table(connection, table)
    return found


def _of_server(connection: Connection, table: str) -> Iterator[TableIndex]:
    inspector = inspect(connection)
    constraints = {str(one["name"]): one["column_names"] for one in inspector.get_unique_constraints(table)}
    yield from (TableIndex(table, name, tuple(names), True, kept=True) for name, names in constraints.items())
    for one in inspector.get_indexes(table):
        if one["name"] not in constraints and not one.get("duplicates_constraint"):
            where = comparable(one.get("dialect_options", {}).get("postgresql_where"))
            yield TableIndex(table, str(one["name"]), tuple(_sorted(one)), bool(one["unique"]), where)


def _sorted(one: Mapping[str, Any]) -> Iterator[str]:
    """The columns or expressions of an index with their directions, as far as these are not the usual ones."""
    directions: Mapping[str, Sequence[str]] = one.get("column_sorting", {})
    for name in one.get("expressions") or one["column_names"]:
        told = name if name in one["column_names"] else comparable(name)
        yield " ".join([told, *(word.replace("_", " ").upper() for word in directions.get(name, ()))])


_LISTED = (
    'SELECT l.name, l."unique" AS is_unique, s.sql FROM pragma_index_list(?) AS l'
    " JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = l.name WHERE l.origin <> 'pk'"
)
_COLUMNS = 'SELECT name, "desc" AS downwards, coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno'


def _of_file(connection: Connection, table: str) -> Iterator[TableIndex]:
    """From SQLite itself: SQLAlchemy tells neither directions nor expressions, and leaves indexes with these out."""
    for one in connection.exec_driver_sql(_LISTED, (table,)).all():
        rows = connection.exec_driver_sql(_COLUMNS, (one.name,)).all()
        parts, where = ([""] * len(rows), "") if one.sql is None else _read(one.sql)
        columns = tuple(_column(row, part) for row, part in zip(rows, parts, strict=False))
        yield TableIndex(table, one.name, columns, bool(one.is_unique), comparable(where), kept=one.sql is None)


def _column(row: Any, part: str) -> str:
    if row.name is None:
        return comparable(part)
    collated = f" COLLATE {row.coll}" if row.coll != "BINARY" else ""
    return f"{row.name}{collated}{' DESC' if row.downwards else ''}"


def _read(sql: str) -> tuple[list[str], str]:
    """What stands between the outer brackets of a CREATE INDEX, at its commas, and behind its WHERE."""
    parts, depth, start = [], 0, 0
    for place, char in enumerate(sql):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "(" and depth == 1:
            start = place + 1
        elif (char == "," and depth == 1) or (char == ")" and depth == 0):
            parts.append(sql[start:place])
            start = place + 1
            if depth == 0:
                break
    return parts, _WHERE.sub("", sql[start:])


def declared(dialect: str) -> dict[str, tuple[TableIndex, Index]]:
    """The indexes of the models, by name."""
    found = {}
    for table in Base.metadata.sorted_tables:
        for index in table.indexes:
            where = index.dialect_options[dialect].get("where")
            columns = tuple(column.name for column in index.columns)
            told = TableIndex(table.name, str(index.name), columns, bool(index.unique), comparable(where))
            found[told.name] = (told, index)
    return found


def ddl(connection: Connection, index: Index, *, concurrently: bool) -> str:
    """What makes it, in one line."""
    made = " ".join(str(CreateIndex(index).compile(dialect=connection.dialect)).split())
    return f"{made.replace(' INDEX ', ' INDEX CONCURRENTLY ', 1) if concurrently else made};"
