"""What the running server has seen: slow statements, N+1, pools, cache. Read from its snapshot."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autoforge.operations.doctor.catalogue import Known

_SELECT = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the processes wrote down: ``statements`` by shape, most time in all first."""

    statements: Sequence[Mapping[str, Any]] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(statements: Sequence[Mapping[str, Any]]) -> Traffic:
        return Traffic(statements)

    def shapes(self, dialect: str, known: Collection[str]) -> list[Known]:
        """Selects that have no name that the catalogue knows, as the driver got them."""
        found = []
        for one in self.statements:
            sql = str(one.get("example") or one["sql"])
            if one["dialect"] == dialect and one["name"] not in known and _SELECT.match(sql) and "(...)" not in sql:
                found.append(Known(str(one["name"]), None, sql))
        return found
