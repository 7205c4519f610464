"""How well this process answers, counted by the minute: what the service levels are judged by.

Each minute has, for each kind of request, how many there were, how many failed, and how long those that did not fail
took, in buckets. The objectives lie exactly on bounds of buckets, so the share of requests that kept them is exact,
and the counts of several processes and hosts can simply be added up. Whoever stores them calls :meth:`Levels.take` now
and then, and :meth:`Levels.put_back` when they could not be stored.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable

BOUNDS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000)
"""Upper bounds of the buckets in milliseconds; there is one more bucket for what took longer."""
KINDS = ("api", "page", "stream", "beside")
"""``stream``: answers that last as long as what they tell of. ``beside``: static files, health and metrics, which no
objective is about."""
MINUTE = 60
MOST_KEPT = 4_000
"""Counts (of one kind in one minute) that wait to be stored at most; then the oldest are lost."""

_SECONDS = tuple(bound / 1_000 for bound in BOUNDS)
_WIDTH = 2 + len(BOUNDS) + 1
_BESIDE = ("/static/", "/api/v1/health", "/api/v1/ready", "/metrics", "/api/v1/metrics")

Counts = list[int]
"""Requests, failed ones, then those that did not fail by bucket."""
Minutes = dict[tuple[int, str], Counts]
"""By the minute (its first second since 1970) and the kind."""


def kind_of(path: str, lasting: bool) -> str:
    """The kind of a request; ``lasting`` says that its answer is a stream."""
    if path.startswith(_BESIDE):
        return "beside"
    if lasting:
        return "stream"
    return "api" if path.startswith("/api/") else "page"


class Levels:
    """The counts of one process. ``clock`` tells the seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._ends = 0.0
        self._now: dict[str, Counts] = {}
        self._minutes: Minutes = {}

    def request_finished(self, kind: str, status: int, seconds: float) -> None:
        """One request was answered. Statuses from 500 on are failures; their time counts for nothing."""
        if (now := self._clock()) >= self._ends or now < self._ends - MINUTE:
            self._turn(int(now) // MINUTE * MINUTE)
        counts = self._now.get(kind)
        if counts is None:
            counts = self._now[kind] = self._minutes.setdefault((int(self._ends) - MINUTE, kind), [0] * _WIDTH)
        counts[0] += 1
        if status >= 500:
            counts[1] += 1
        else:
            counts[2 + bisect_left(_SECONDS, seconds)] += 1

    def _turn(self, minute: int) -> None:
        self._ends = float(minute + MINUTE)
        self._now = {}
        while len(self._minutes) > MOST_KEPT:
            del self._minutes[next(iter(self._minutes))]

    def take(self) -> Minutes:
        """All that has been counted since the last time; it is the caller's now."""
        taken, self._minutes = self._minutes, {}
        self._now = {}
        return taken

    def put_back(self, minutes: Minutes) -> None:
        """They could not be stored: keep them for the next time."""
        for place, counts in minutes.items():
            kept = self._minutes.setdefault(place, [0] * _WIDTH)
            kept[:] = [one + other for one, other in zip(kept, counts, strict=True)]

    def waiting(self) -> Minutes:
        """What :meth:`take` would give, copied and left where it is."""
        return {place: list(counts) for place, counts in self._minutes.items()}


LEVELS = Levels()
request_finished = LEVELS.request_finished


def added(every: Iterable[Counts]) -> Counts:
    """The sum of several counts."""
    total = [0] * _WIDTH
    for counts in every:
        total = [one + other for one, other in zip(total, counts, strict=True)]
    return total


def within(counts: Counts, milliseconds: int) -> int:
    """How many of the requests that did not fail took at most so long; exact for the :data:`BOUNDS`."""
    return sum(counts[2 : 2 + bisect_left(BOUNDS, milliseconds + 1)])


def quantile(counts: Counts, share: float) -> float | None:
    """The time in milliseconds that ``share`` of the requests kept, None without requests.

    Inside of a bucket it is interpolated; in the last one, which has no end, it is where the bucket begins.
    """
    total = sum(counts[2:])
    if not total:
        return None
    wanted, below = share * total, 0
    for place, number in enumerate(counts[2:]):
        if number and below + number >= wanted:
            if place == len(BOUNDS):
                return float(BOUNDS[-1])
            low = BOUNDS[place - 1] if place else 0
            return low + (BOUNDS[place] - low) * max(0.0, wanted - below) / number
        below += number
    return float(BOUNDS[-1])
