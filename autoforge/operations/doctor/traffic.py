"""What the running processes noticed: slow statements, repeated statements, pools, cache.

Each server and worker writes it down every few seconds, in a file in the data directory (see
:mod:`autoforge.operations.noticed`); nobody has to be asked, and no credential is needed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoforge.operations import noticed
from autoforge.operations.doctor.catalogue import Known
from autoforge.telemetry import n_plus_one, slow

_SELECT = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Traffic:
    """``statements`` are shapes (count, seconds, buckets, sql) and ``repeated`` N+1 findings, of all processes."""

    processes: Sequence[Mapping[str, Any]] = ()
    statements: Sequence[Mapping[str, Any]] = ()
    repeated: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @staticmethod
    def of(processes: Sequence[Mapping[str, Any]]) -> Traffic:
        """From what each process wrote."""
        shapes = slow.merged(one["statements"]["shapes"] for one in processes)
        return Traffic(processes, shapes, n_plus_one.merged([one["n_plus_one"]["findings"] for one in processes]))

    @staticmethod
    def read(data: Path) -> Traffic | None:
        """Of the processes of a data directory that are alive; None when there are none. Leaves the files alone."""
        found = noticed.read(data)
        return Traffic.of(found) if found else None

    def shapes(self, dialect: str, known: Collection[str]) -> list[Known]:
        """Selects that have no name that the catalogue knows, as the driver got them."""
        found = []
        for one in self.statements:
            sql = str(one.get("example") or one["sql"])
            if one["dialect"] == dialect and one["name"] not in known and _SELECT.match(sql) and "(...)" not in sql:
                found.append(Known(str(one["name"]), None, sql))
        return found

    @property
    def pools(self) -> list[Mapping[str, Any]]:
        return [one["pools"] for one in self.processes]

    def kinds(self) -> dict[str, dict[str, float]]:
        """The counts of the cache by kind of value."""
        found: dict[str, dict[str, float]] = {}
        for process in self.processes:
            for kind, counts in process["cache"]["kinds"].items():
                known = found.setdefault(kind, {})
                for name, number in counts.items():
                    known[name] = known.get(name, 0) + number
        return found


def waited(waits: Sequence[Sequence[float | None]], longer: float) -> tuple[int, int]:
    """Of a histogram of waits as it is told: how many there were, and how many were longer than ``longer`` seconds."""
    every = sum(int(count or 0) for _, count in waits)
    return every, sum(int(count or 0) for bound, count in waits if bound is None or bound > longer)
