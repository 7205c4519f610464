"""Latencies in buckets that grow by two per cent: any number of them in constant memory, any quantile within 2 %."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_STEP = 1 / math.log(1.02)
_BUCKETS = 1_050
"""From a microsecond to a thousand seconds."""


@dataclass(slots=True)
class Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * _BUCKETS)
    total: int = 0
    worst: float = 0.0

    def add(self, seconds: float) -> None:
        self.total += 1
        if seconds > self.worst:
            self.worst = seconds
        self.counts[int(math.log(seconds * 1e6) * _STEP) if seconds > 1e-6 else 0] += 1

    def merge(self, other: Histogram) -> None:
        self.total += other.total
        self.worst = max(self.worst, other.worst)
        self.counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]

    def at(self, share: float) -> float:
        """The milliseconds that so large a share stayed under; 0 when nothing was counted."""
        wanted, seen = math.ceil(self.total * share), 0
        for place, count in enumerate(self.counts):
            seen += count
            if seen >= wanted and seen:
                return min(math.exp((place + 1) / _STEP) / 1e3, self.worst * 1e3)
        return 0.0

    def summary(self) -> dict[str, float]:
        """Milliseconds."""
        return {
            "count": self.total,
            "p50": self.at(0.5),
            "p95": self.at(0.95),
            "p99": self.at(0.99),
            "max": self.worst * 1e3,
        }
