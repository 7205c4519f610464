"""What a run shows besides its totals: the score per named metric, and how slow the slowest answers were."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from autoforge.db import ReadSession
from autoforge.evaluations import queries

MOST_METRICS = 200
"""Metrics whose names hold a variable could be as many as the cases; further ones are not shown."""


class _Checked(msgspec.Struct):
    outcome: str
    score: float
    metric: str | None = None


_decoder = msgspec.json.Decoder(list[_Checked])


@dataclass(slots=True)
class Metric:
    """One metric of a run. ``score`` is the mean where it was measured; an error counts 0."""

    name: str
    cases: int = 0
    passed: int = 0
    total: float = 0.0

    @property
    def score(self) -> float:
        return self.total / self.cases


@dataclass(slots=True)
class Breakdown:
    """Collects one run's results as they stream by; holds a number per metric and per measured latency."""

    found: dict[str, Metric] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    def add(self, assertions: str, latency_ms: float | None) -> None:
        if latency_ms is not None:
            self.latencies.append(latency_ms)
        if '"metric":"' not in assertions:
            return
        for one in _decoder.decode(assertions):
            if one.metric is not None and (one.metric in self.found or len(self.found) < MOST_METRICS):
                self._count(self.found.setdefault(one.metric, Metric(one.metric)), one)

    def _count(self, metric: Metric, one: _Checked) -> None:
        metric.cases += 1
        metric.passed += one.outcome == "pass"
        metric.total += 0.0 if one.outcome == "error" else one.score

    def summary(self) -> dict[str, Any]:
        metrics = [
            {"name": one.name, "cases": one.cases, "passed": one.passed, "score": one.score}
            for one in sorted(self.found.values(), key=lambda one: one.name)
        ]
        return {"metrics": metrics, "latency_p95_ms": percentile(self.latencies, 0.95)}


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of them do not exceed (nearest rank); None without values."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


async def breakdown(session: ReadSession, evaluation_id: UUID, cases: int) -> dict[str, Any]:
    """``metrics`` and ``latency_p95_ms`` of a run of so many cases. The caller has found it in its workspace."""
    collected = Breakdown()
    async for some in queries.measured(session, evaluation_id, cases):
        for assertions, latency_ms in some:
            collected.add(assertions, latency_ms)
    return collected.summary()
