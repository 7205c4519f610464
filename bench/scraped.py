"""The server's own counters, as Prometheus would read them from ``/metrics``."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from urllib.request import urlopen

_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_STATEMENTS = "autoforge_db_statement_duration_seconds"
Series = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Statements:
    """Of a while: how many, their mean and the least bucket's limit that 99 % stayed under, in milliseconds."""

    count: int
    mean: float
    p99: float


class Counters:
    """What all series stood at, at one moment."""

    def __init__(self, port: int) -> None:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        self._values: dict[Series, float] = {
            (name, tuple(_LABEL.findall(labels))): float(value) for name, labels, value in _LINE.findall(text)
        }

    def since(self, before: Counters, name: str, **labels: str) -> float:
        """How much the series of this name grew together, those with these labels."""
        return sum(
            value - before._values.get(series, 0.0)
            for series, value in self._values.items()
            if series[0] == name and set(labels.items()) <= set(series[1])
        )

    def hit_rate(self, before: Counters, **labels: str) -> float | None:
        """Of all reads through the cache, in memory or in Redis; None when there were none."""
        hits = self.since(before, "autoforge_cache_hits_total", **labels)
        near = self.since(before, "autoforge_cache_hits_total", tier="near", **labels)
        asked = near + self.since(before, "autoforge_cache_misses_total", **labels)
        return hits / asked if asked else None

    def kinds(self, before: Counters) -> dict[str, float]:
        """The hit rate of each kind that was asked for."""
        names = {dict(labels)["kind"] for name, labels in self._values if name == "autoforge_cache_misses_total"}
        found = {name: self.hit_rate(before, kind=name) for name in sorted(names)}
        return {name: rate for name, rate in found.items() if rate is not None}

    def statements(self, before: Counters) -> Statements:
        count = self.since(before, f"{_STATEMENTS}_count")
        spent = self.since(before, f"{_STATEMENTS}_sum")
        buckets: defaultdict[float, float] = defaultdict(float)
        for (name, labels), value in self._values.items():
            if name == f"{_STATEMENTS}_bucket":
                buckets[float(dict(labels)["le"])] += value - before._values.get((name, labels), 0.0)
        under = min((limit for limit, seen in buckets.items() if seen >= count * 0.99), default=0.0)
        return Statements(int(count), spent / count * 1e3 if count else 0.0, under * 1e3)
