"""The indexes that there are, those that the models declare, and how they differ."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, Index, inspect
from sqlalchemy.schema import CreateIndex

from autoforge.db.models import Base

_CAST = re.compile(r"::[a-z ]+(?:\(\d+\))?")
_BRACKETS = re.compile(r"[()]")


@dataclass(frozen=True, slots=True)
class TableIndex:
    """``where`` is made comparable: without brackets, casts and repeated blanks. ``kept`` belongs to a constraint."""

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
    dialect = connection.dialect.name
    for table in sorted(set(inspector.get_table_names()) & set(Base.metadata.tables)):
        key = inspector.get_pk_constraint(table)
        found.append(
            TableIndex(table, key["name"] or "primary key", tuple(key["constrained_columns"]), True, kept=True)
        )
        constraints = {one["name"]: one["column_names"] for one in inspector.get_unique_constraints(table)}
        found += [
            TableIndex(table, str(name), tuple(columns), True, kept=True) for name, columns in constraints.items()
        ]
        for one in inspector.get_indexes(table):
            if one["name"] in constraints or one.get("duplicates_constraint"):
                continue
            where = one.get("dialect_options", {}).get(f"{dialect}_where")
            columns = tuple(str(name) for name in one["column_names"])
            found.append(TableIndex(table, str(one["name"]), columns, bool(one["unique"]), comparable(where)))
    return found


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
