"""Statements grouped by shape: what is counted, what is forgotten, and what never shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoforge.telemetry import slow
from autoforge.telemetry.slow import SlowStatements
from autoforge.telemetry.work import Work


@dataclass
class Ran:
    """One statement that ran."""

    sql: str
    seconds: float = 0.001
    rows: int = 1
    bound: Any = ("a secret",)
    error: str | None = None
    name: str = "things.page"
    dialect: str = "sqlite"


def test_a_shape_is_the_text_without_what_changes() -> None:
    seen = SlowStatements(clock=lambda: 7.0)
    work = Work("GET /things")
    for number in (1, 2, 3):
        seen.record(
            Ran(f"SELECT a\n FROM t WHERE id IN ({', '.join('?' * number)})", 0.001 * number, rows=number), work
        )
    seen.record(Ran("", 0.5, -1, error="DatabaseTimeout"), Work("job nightly"))
    by_text = {one["sql"]: one for one in seen.told()}
    assert set(by_text) == {"SELECT a FROM t WHERE id IN (?)", "SELECT a FROM t WHERE id IN (...)"}
    several = by_text["SELECT a FROM t WHERE id IN (...)"]
    assert (several["count"], several["errors"], several["rows"], several["slowest"]) == (3, 1, 5, 0.5)
    assert several["routes"] == {"GET /things": 2, "job nightly": 1}
    assert several["last_seen"] == 7.0
    assert "secret" not in repr(seen.told())


@pytest.mark.parametrize(
    ("sql", "shape"),
    [
        ("INSERT INTO t (a, b) VALUES (?, ?), (?, ?)", "INSERT INTO t (a, b) VALUES (...)"),
        ("SELECT f($1::UUID, $2::UUID) FROM t", "SELECT f(...) FROM t"),
        ("SELECT a, b FROM t WHERE (x, y) > (?, ?)", "SELECT a, b FROM t WHERE (x, y) > (...)"),
    ],
)
def test_lists_of_parameters_are_as_long_as_one(sql: str, shape: str) -> None:
    assert slow.plain(sql) == shape


def test_what_took_the_least_time_is_forgotten_first() -> None:
    seen = SlowStatements(most=20)
    for number in range(100):
        for _ in range(2):
            seen.record(Ran(f"SELECT {number}", 1.0 if number % 10 == 0 else 0.001, name=f"n{number}"), None)
    kept = {one["sql"] for one in seen.told()}
    assert {f"SELECT {number}" for number in range(0, 100, 10)} <= kept
    assert len(kept) <= 20
    assert seen.forgotten == 100 - len(kept)


def test_what_is_remembered_of_parameters_is_small() -> None:
    seen = SlowStatements()
    shape = seen.record(Ran("SELECT ?", bound=("x" * 1_000_000,)), None)
    assert shape.bound is None
    assert seen.record(Ran("SELECT ?", bound=("x",)), None).bound == ("x",)


@given(st.lists(st.floats(1e-5, 100.0), min_size=1, max_size=300), st.floats(0.01, 1.0))
def test_a_quantile_is_off_by_no_more_than_a_quarter(times: list[float], share: float) -> None:
    seen = SlowStatements()
    for seconds in times:
        seen.record(Ran("SELECT 1", seconds), None)
    (told,) = seen.told()
    exact = sorted(times)[max(0, -int(-share * len(times) // 1) - 1)]
    assert exact / 1.26 <= slow.quantile(told["buckets"], share) <= exact * 1.26


def test_processes_are_added_up() -> None:
    one, other = SlowStatements(), SlowStatements()
    for seen, seconds in ((one, 0.001), (other, 0.1), (other, 0.2)):
        seen.record(Ran("SELECT 1", seconds), Work("GET /"))
    (sum_of_both,) = slow.merged([one.told(), other.told()])
    assert (sum_of_both["count"], sum_of_both["slowest"], sum_of_both["routes"]) == (3, 0.2, {"GET /": 3})
    assert 0.08 < slow.quantile(sum_of_both["buckets"], 0.5) < 0.13
    assert one.told()[0]["count"] == 1
