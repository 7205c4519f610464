"""Which index would serve a statement: from the columns that it compares and the order that it wants.

Columns compared for equality come first, then the order, or else the first range; conditions such as ``deleted_at IS
NULL`` become the condition of the index. Whether the advice is right is not argued here but tried on a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import MetaData

_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Proposal:
    """An index that does not exist yet; ``columns`` are SQL (``name`` or ``name DESC``), ``where`` may be empty."""

    table: str
    columns: tuple[str, ...]
    where: str = ""

    @property
    def name(self) -> str:
        return f"ix_{self.table}_{'_'.join(one.partition(' ')[0] for one in self.columns)}"[:_LONGEST_NAME]

    def ddl(self, *, concurrently: bool = False) -> str:
        how = "CREATE INDEX CONCURRENTLY" if concurrently else "CREATE INDEX"
        where = f" WHERE {self.where}" if self.where else ""
        return f"{how} {self.name} ON {self.table} ({', '.join(self.columns)}){where};"


def proposals(sql: str, dialect: str, tables: MetaData) -> list[Proposal]:
    """For each table of each part of the statement, in their order; none where the statement cannot be read."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(sql, read="postgres" if dialect == "postgresql" else "sqlite")
    except (SqlglotError, RecursionError):
        return []
    found: dict[Proposal, None] = {}
    for part in tree.find_all(exp.Select, exp.Update, exp.Delete):
        for alias, table in _tables(part):
            if table in tables.tables:
                known = frozenset(column.name for column in tables.tables[table].columns)
                found |= dict.fromkeys(_Reading(part, alias, known).proposals(table))
    return list(found)


def _tables(part: Any) -> Iterator[tuple[str, str]]:
    """Alias and name of what the part itself reads; its sub-selects are parts of their own."""
    from sqlglot import exp

    sources = [part.args.get("from_") or part.args.get("from"), *(part.args.get("joins") or ())]
    holders = [part.this] if isinstance(part, exp.Update | exp.Delete) else []
    for source in [*(one.this for one in sources if one is not None), *holders]:
        if isinstance(source, exp.Table):
            yield source.alias_or_name, source.name


class _Reading:
    """What one part of a statement asks of one of its tables.

    ``equal`` are the columns that are compared with something that is fixed while the part runs, ``joined`` those that
    are compared with a column of another of its tables.
    """

    def __init__(self, part: Any, alias: str, known: frozenset[str]) -> None:
        self._part, self._alias, self._known = part, alias, known
        self._beside = {name for name, _ in _tables(part)} - {alias}
        self.equal: dict[str, None] = {}
        self.joined: dict[str, None] = {}
        self.range: dict[str, None] = {}
        self.where: list[str] = []
        for condition in self._conditions():
            self._take(condition)

    def proposals(self, table: str) -> Iterator[Proposal]:
        """The table as the first one that is read, then as one that is looked up for rows of another."""
        rest = self._order() or list(self.range)[:1]
        for columns in (dict.fromkeys([*self.equal, *rest]), self.equal | self.joined if self.joined else {}):
            if columns:
                once = {one.partition(" ")[0]: one for one in reversed(columns)}
                yield Proposal(table, tuple(reversed(once.values())), " AND ".join(self.where))

    def _conditions(self) -> Iterator[Any]:
        from sqlglot import exp

        joins = (join.args.get("on") for join in self._part.args.get("joins") or ())
        where = self._part.args.get("where")
        for condition in [where.this if where is not None else None, *joins]:
            if condition is not None:
                plain = condition.unnest()
                yield from (one.unnest() for one in (plain.flatten() if isinstance(plain, exp.And) else [plain]))

    def _take(self, condition: Any) -> None:
        from sqlglot import exp

        if isinstance(condition, exp.And):
            for one in condition.flatten():
                self._take(one.unnest())
        elif isinstance(condition, exp.EQ):
            for one, other in ((condition.left, condition.right), (condition.right, condition.left)):
                if (name := self._column(one)) is not None and self._column(other) is None:
                    (self.joined if self._is_beside(other) else self.equal)[name] = None
        elif isinstance(condition, exp.In) and (name := self._column(condition.this)) is not None:
            self.equal[name] = None
        elif isinstance(condition, exp.Between | exp.GT | exp.GTE | exp.LT | exp.LTE):
            left = condition.this.unnest()
            first = left.expressions[0] if isinstance(left, exp.Tuple) else left
            if (name := self._column(first)) is not None:
                self.range[name] = None
        elif (told := self._is_null(condition)) is not None:
            self.where.append(told)

    def _is_beside(self, node: Any) -> bool:
        """A column of another table of this part; one of a part around it is fixed."""
        from sqlglot import exp

        return isinstance(node, exp.Column) and node.table in self._beside

    def _is_null(self, condition: Any) -> str | None:
        """``column IS NULL`` or ``column IS NOT NULL``, which can be the condition of an index."""
        from sqlglot import exp

        is_not = isinstance(condition, exp.Not)
        plain = condition.this.unnest() if is_not else condition
        if isinstance(plain, exp.Is) and isinstance(plain.expression, exp.Null):
            name = self._column(plain.this)
            return None if name is None else f"{name} IS {'NOT ' if is_not else ''}NULL"
        return None

    def _order(self) -> list[str]:
        """The columns of the order, all downwards being the same as all upwards; empty when others have a part."""
        ordered = self._part.args.get("order")
        if ordered is None:
            return []
        found = [(self._column(one.this), bool(one.args.get("desc"))) for one in ordered.expressions]
        if any(name is None for name, _ in found):
            return []
        one_way = len({downwards for _, downwards in found}) == 1
        return [str(name) if one_way or not downwards else f"{name} DESC" for name, downwards in found]

    def _column(self, node: Any) -> str | None:
        from sqlglot import exp

        while isinstance(node, exp.Paren | exp.Cast | exp.Collate):
            node = node.this
        if not isinstance(node, exp.Column) or node.name not in self._known:
            return None
        return node.name if node.table == self._alias or (not node.table and not self._beside) else None
