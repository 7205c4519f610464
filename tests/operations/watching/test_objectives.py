"""Error budgets and burn rates, from counts that are made up."""

from __future__ import annotations

from typing import Any

import pytest

from autoforge.operations import objectives
from autoforge.operations.levels import in_spans
from autoforge.operations.objectives import History
from autoforge.operations.service_pages import charts
from autoforge.telemetry.levels import BOUNDS, Counts, Minutes

NOW = 1_700_000_000 // 3_600 * 3_600 + 3_600.0
HOUR = 3_600


def counts(requests: int, failed: int = 0, slow: int = 0) -> Counts:
    """``slow`` of them took a second, the others a millisecond."""
    buckets = [0] * (len(BOUNDS) + 1)
    buckets[0] = requests - failed - slow
    buckets[BOUNDS.index(1_000)] = slow
    return [requests, failed, *buckets]


def history(minutes_ago: dict[int, Counts], hours_ago: dict[int, Counts] | None = None) -> History:
    minutes: Minutes = {(int(NOW) - 60 * ago, "api"): one for ago, one in minutes_ago.items()}
    hours = in_spans(minutes, HOUR)
    hours |= {(int(NOW) - HOUR * ago, "api"): one for ago, one in (hours_ago or {}).items()}
    return History(minutes, hours, NOW)


def judged(seen: History, name: str = "availability") -> dict[str, Any]:
    return next(one for one in objectives.judged(seen) if one["name"] == name)


def test_nothing_is_known_without_requests() -> None:
    found = judged(history({}))
    assert (found["state"], found["good_30d"], found["budget"]["left"]) == ("unknown", None, 1.0)
    assert set(found["burn"].values()) == {None}


def test_the_budget_of_thirty_days() -> None:
    found = judged(history({}, {24 * 20: counts(1_000_000, 600), 24 * 31: counts(10, 10)}))
    assert found["budget"] == {
        "requests": 1_000_000,
        "allowed": pytest.approx(1_000),
        "spent": 600,
        "left": pytest.approx(0.4),
    }
    assert found["state"] == "kept"


@pytest.mark.parametrize(
    ("minutes", "hours", "state"),
    [
        ({1: counts(1_000, 20), 30: counts(1_000, 20)}, {48: counts(1_000_000)}, "fast"),
        ({45: counts(1_000, 200)}, {48: counts(1_000_000)}, "kept"),  # it was bad and is over
        ({10: counts(10_000, 70), 200: counts(10_000, 70)}, {48: counts(10_000_000)}, "fast"),
        ({200: counts(10_000, 20)}, {60: counts(10_000, 20), 24 * 20: counts(1_000_000)}, "slow"),
        ({}, {24 * 9: counts(10_000, 20)}, "broken"),
        ({1: counts(3, 3)}, {24 * 9: counts(1_000_000)}, "kept"),  # so few are chance
    ],
)
def test_somebody_has_to_act_when_it_matters_and_still_goes_on(
    minutes: dict[int, Counts], hours: dict[int, Counts], state: str
) -> None:
    assert judged(history(minutes, hours))["state"] == state


def test_times_are_judged_over_what_was_answered() -> None:
    found = judged(history({1: counts(1_000, 100, slow=90)}), "api_p95")
    assert (found["good_last_hour"], found["milliseconds"]) == (pytest.approx(0.9), 150)
    assert found["burn"]["5m"] == pytest.approx(2.0)


def test_points_over_time_are_complete() -> None:
    points = objectives.over_time(history({1: counts(600, 6), 350: counts(300)}), "6h")
    assert len(points) == 72
    assert [point["requests_per_second"] for point in points if point["requests_per_second"]] == [1.0, 2.0]
    assert [point["error_rate"] for point in points if point["error_rate"] is not None] == [0.0, 0.01]
    assert points[-1]["at"] == int(NOW)


def test_charts_show_the_whole_range() -> None:
    points = objectives.over_time(history({1: counts(600, 6)}), "6h")
    drawn = charts(points, "6h")
    assert {len(one["x"]) for one in drawn} == {72}
