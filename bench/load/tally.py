"""What came back: latencies by kind of request, statuses, what was wrong, and how it went second by second."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.load.histogram import Histogram
from bench.load.mix import Kind

SLOT = 0.5
"""Seconds of one step of the timeline."""


@dataclass(slots=True)
class _Slot:
    answered: int = 0
    shed: int = 0
    failed: int = 0
    latency: Histogram = field(default_factory=Histogram)


class Tally:
    """Of one segment. ``latency`` counts from the intended moment, ``sent`` from the one at which it was sent."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = kinds
        self.latency = [Histogram() for _ in kinds]
        self.sent, self.late, self.refused = Histogram(), Histogram(), Histogram()
        self.statuses: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.slots: defaultdict[int, _Slot] = defaultdict(_Slot)
        self.shed = self.told_when = 0

    def answered(self, kind: int, answer: bytes, times: tuple[float, float, float]) -> None:
        """``times``: seconds since it was intended, since it was sent, and of the intended moment in the segment."""
        asked, status, slot = self._kinds[kind], answer[9:12], self.slots[int(times[2] / SLOT)]
        if status == asked.status and (not asked.marker or asked.marker in answer):
            self.latency[kind].add(times[0])
            self.sent.add(times[1])
            slot.answered += 1
            slot.latency.add(times[0])
        elif status == b"503":
            self.shed += 1
            self.told_when += b"retry-after:" in answer.lower()
            self.refused.add(times[1])
            slot.shed += 1
        else:
            what = f"{asked.name}: {'wrong body' if status == asked.status else status.decode(errors='replace')}"
            self.failed(what, times[2], answer)
        self.statuses[status.decode(errors="replace")] += 1

    def failed(self, what: str, at: float, answer: bytes = b"") -> None:
        self.wrong[what] += 1
        self.slots[int(at / SLOT)].failed += 1
        if what not in self.examples:
            self.examples[what] = answer[-300:].decode(errors="replace")

    def summary(self) -> dict[str, Any]:
        groups: dict[str, Histogram] = {}
        for kind, found in zip(self._kinds, self.latency, strict=True):
            groups.setdefault(kind.group, Histogram()).merge(found)
        every = Histogram()
        for found in groups.values():
            every.merge(found)
        return {
            "all": every.summary(),
            "groups": {name: found.summary() for name, found in groups.items()},
            "kinds": {kind.name: found.summary() for kind, found in zip(self._kinds, self.latency, strict=True)},
            "sent": self.sent.summary(),
            "late": self.late.summary(),
            "statuses": dict(self.statuses),
            "wrong": dict(self.wrong),
            "examples": self.examples,
            "shed": {"count": self.shed, "told_when": self.told_when, **_of(self.refused)},
            "slots": [
                [place * SLOT, slot.answered, slot.shed, slot.failed, slot.latency.at(0.99)]
                for place, slot in sorted(self.slots.items())
            ],
        }


def _of(found: Histogram) -> dict[str, float]:
    return {name: value for name, value in found.summary().items() if name != "count"}
