"""What the service levels are judged by: counted exactly, by the minute, and never without bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoforge.telemetry import levels
from autoforge.telemetry.levels import BOUNDS, Levels


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_040.0

    def __call__(self) -> float:
        return self.seconds


def test_each_minute_and_kind_is_counted_apart() -> None:
    hand = Hand()
    counted = Levels(hand)
    for kind, status, seconds in (("api", 200, 0.004), ("api", 503, 9.0), ("page", 404, 0.02)):
        counted.request_finished(kind, status, seconds)
    hand.seconds += 60
    counted.request_finished("api", 200, 7.0)
    hand.seconds -= 60  # the clock of the machine was set back
    counted.request_finished("api", 200, 0.02)
    taken = counted.take()
    first, second = 1_700_000_040, 1_700_000_100
    assert set(taken) == {(first, "api"), (first, "page"), (second, "api")}
    assert taken[first, "api"][:2] == [3, 1]
    assert levels.within(taken[first, "api"], 20) == 2
    assert levels.within(taken[second, "api"], 5_000) == 0
    assert counted.take() == {}


def test_what_could_not_be_stored_is_added_to_what_came_since() -> None:
    counted = Levels(Hand())
    counted.request_finished("api", 200, 0.1)
    taken = counted.take()
    counted.request_finished("api", 500, 0.1)
    counted.put_back(taken)
    counted.request_finished("api", 200, 0.3)
    (kept,) = counted.take().values()
    assert (kept[:2], sum(kept[2:])) == ([3, 1], 2)


def test_what_waits_is_bounded() -> None:
    hand = Hand()
    counted = Levels(hand)
    for _ in range(levels.MOST_KEPT + 50):
        counted.request_finished("api", 200, 0.1)
        hand.seconds += 60
    assert len(counted.take()) <= levels.MOST_KEPT + 1


@given(st.lists(st.floats(0, 8_000), min_size=1, max_size=200), st.floats(0.01, 0.999))
def test_shares_are_exact_on_bounds_and_quantiles_lie_in_their_bucket(times: list[float], share: float) -> None:
    counted = Levels(Hand())
    for milliseconds in times:
        counted.request_finished("api", 200, milliseconds / 1_000)
    (counts,) = counted.take().values()
    for bound in BOUNDS:
        assert levels.within(counts, bound) == sum(one / 1_000 <= bound / 1_000 for one in times)
    found = levels.quantile(counts, share)
    assert found is not None
    at_most = sum(one <= found for one in times if found < BOUNDS[-1])
    upper = next((bound for bound in BOUNDS if found <= bound), BOUNDS[-1])
    reached = levels.within(counts, upper)
    assert found == BOUNDS[-1] or reached >= share * len(times) - 1e-9
    assert at_most <= reached


def test_kinds() -> None:
    asked = ("/api/v1/prompts", "/w/main", "/static/app.js", "/api/v1/health", "/api/v1/ready")
    assert [levels.kind_of(path, False) for path in asked] == ["api", "page", "beside", "beside", "beside"]
    assert levels.kind_of("/api/v1/prompts/export", True) == "stream"
