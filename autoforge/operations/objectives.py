"""What the service promises, and whether it keeps it: error budgets and burn rates from counts of requests.

An objective says which share of requests has to be good. What may be bad over thirty days is its budget; the burn rate
of a window is how many times faster than evenly the budget goes there: at 1 it lasts exactly thirty days. Somebody has
to act when it goes fast in a long window and in a short one: the long one says that it matters, the short one that it
still goes on. The windows and thresholds are those of Google's "The Site Reliability Workbook", chapter 5.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoforge.telemetry.levels import Counts, Minutes, added, quantile, within

MINUTES = {"5m": 5, "30m": 30, "1h": 60, "6h": 360}
DAYS = {"3d": 3, "30d": 30}
SHOWN = ("5m", "1h", "6h", "3d")
"""The windows whose burn rates are shown."""
FEWEST = 5
"""So few bad requests in a window are chance."""
_DAY = 86_400
_FAST = (("1h", "5m", 14.4), ("6h", "30m", 6.0))
_SLOW = ("3d", "6h", 1.0)
_ALL = ("api", "page", "stream")

STATES = ("kept", "slow", "fast", "broken", "unknown")
"""``slow`` and ``fast`` say how the budget burns; ``broken``: nothing of it is left; ``unknown``: no requests."""


@dataclass(frozen=True, slots=True)
class Objective:
    """``target`` is the share of requests that has to be good: not failed, or answered within ``milliseconds``."""

    name: str
    target: float
    milliseconds: int | None = None
    kinds: Collection[str] = _ALL

    def bad_and_all(self, counts: Counts) -> tuple[int, int]:
        if self.milliseconds is None:
            return counts[1], counts[0]
        answered = counts[0] - counts[1]
        return answered - within(counts, self.milliseconds), answered


OBJECTIVES = (
    Objective("availability", 0.999),
    Objective("api_p50", 0.50, 20, ("api",)),
    Objective("api_p95", 0.95, 150, ("api",)),
    Objective("api_p99", 0.99, 200, ("api",)),
)


@dataclass(frozen=True, slots=True)
class History:
    """``minutes`` of the last six hours and ``hours`` of the last thirty days, as counted until ``now``."""

    minutes: Minutes
    hours: Minutes
    now: float

    def window(self, name: str, kinds: Collection[str] = _ALL) -> Counts:
        """All counts of a window: its whole minutes or hours, and the one that is going on."""
        if name in MINUTES:
            first, counted = int(self.now) // 60 * 60 - 60 * MINUTES[name], self.minutes
        else:
            first, counted = int(self.now) // 3_600 * 3_600 - _DAY * DAYS[name], self.hours
        return added(counts for (start, kind), counts in counted.items() if start >= first and kind in kinds)


def judged(history: History) -> list[dict[str, Any]]:
    """Each objective with its state, its budget over thirty days and the burn rates of all windows."""
    windows = {
        (name, kinds): history.window(name, kinds)
        for kinds in {tuple(one.kinds) for one in OBJECTIVES}
        for name in (*MINUTES, *DAYS)
    }
    return [
        _judged(one, {name: one.bad_and_all(windows[name, tuple(one.kinds)]) for name in (*MINUTES, *DAYS)})
        for one in OBJECTIVES
    ]


def _judged(objective: Objective, found: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    share = 1 - objective.target
    burn = {name: _rate(bad, total, share) for name, (bad, total) in found.items()}
    bad, total = found["30d"]
    bad_now, total_now = found["1h"]
    return {
        "name": objective.name,
        "target": objective.target,
        "milliseconds": objective.milliseconds,
        "state": _state(burn, found, share),
        "good_last_hour": None if not total_now else 1 - bad_now / total_now,
        "good_30d": None if not total else 1 - bad / total,
        "budget": {"requests": total, "allowed": share * total, "spent": bad, "left": _left(bad, total, share)},
        "burn": {name: burn[name] for name in SHOWN},
    }


def _rate(bad: int, total: int, share: float) -> float | None:
    return None if not total else bad / total / share


def _left(bad: int, total: int, share: float) -> float:
    """The share of the budget that is left; below zero when more was spent."""
    return 1.0 if not total else 1 - bad / (share * total)


def _state(burn: Mapping[str, float | None], found: Mapping[str, tuple[int, int]], share: float) -> str:
    most = 0.72 / share  # a wide budget cannot burn 14 times as fast: its alarm is when most requests are bad

    def burns(long: str, short: str, limit: float) -> bool:
        wanted = min(limit, most)
        return found[short][0] >= FEWEST and all((burn[name] or 0) >= wanted for name in (long, short))

    if not found["30d"][1]:
        return "unknown"
    if any(burns(*one) for one in _FAST):
        return "fast"
    if found["30d"][0] >= FEWEST and (burn["30d"] or 0) >= 1:
        return "broken"
    return "slow" if burns(*_SLOW) else "kept"


# --- over time --------------------------------------------------------------------------------------------------------

RANGES = {"6h": (300, 72), "3d": (3_600, 72), "30d": (43_200, 60)}
"""Seconds per point, and how many points."""


def over_time(history: History, name: str, kinds: Sequence[str] = _ALL) -> list[dict[str, Any]]:
    """The points of a range, oldest first: ``at`` (seconds since 1970), requests per second, errors, quantiles of the
    API in milliseconds. What has no requests has None."""
    span, number = RANGES[name]
    counted = history.minutes if span < 3_600 else history.hours
    last = int(history.now) // span * span
    by_point: dict[int, dict[str, list[Counts]]] = {}
    for (start, kind), counts in counted.items():
        by_point.setdefault(start // span * span, {}).setdefault(kind, []).append(counts)
    return [
        _point(at, min(span, max(1.0, history.now - at)), by_point.get(at, {}), kinds)
        for at in range(last - span * (number - 1), last + 1, span)
    ]


def _point(at: int, seconds: float, by_kind: Mapping[str, list[Counts]], kinds: Sequence[str]) -> dict[str, Any]:
    every = added(counts for kind in kinds for counts in by_kind.get(kind, ()))
    return {
        "at": at,
        "requests_per_second": every[0] / seconds,
        "error_rate": every[1] / every[0] if every[0] else None,
        **quantiles(added(by_kind.get("api", ()))),
    }


def quantiles(counts: Counts) -> dict[str, float | None]:
    return {f"p{round(share * 100)}": quantile(counts, share) for share in (0.5, 0.95, 0.99)}
