"""What lasts is said once, and what was left out is counted."""

from __future__ import annotations

import logging

import pytest

from autoforge.errors import DatabaseTimeout, DatabaseUnavailable
from autoforge.telemetry.lasting import AGAIN, Outage, Seldom


class At:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_of_a_kind_is_said_and_the_others_are_counted() -> None:
    at = At()
    seldom = Seldom(at)
    assert [seldom.left_out("full") for _ in range(3)] == [0, None, None]
    assert seldom.left_out("away") == 0
    at.now += AGAIN
    assert [seldom.left_out("full"), seldom.left_out("full")] == [2, None]
    at.now += AGAIN
    assert [seldom.left_out("full"), seldom.left_out("away")] == [1, 0]


def test_kinds_without_end_take_no_memory_without_end() -> None:
    seldom = Seldom(At())
    assert {seldom.left_out(f"kind {number}") for number in range(1_000)} == {0}
    assert len(seldom._said) < 100


def test_an_outage_is_a_line_at_its_begin_and_one_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(logging.getLogger("autoforge.test"), "nothing is done", "it is done again")
    outage.over()
    for error in (DatabaseUnavailable("refused"), DatabaseUnavailable("starting up"), DatabaseTimeout("slow")):
        outage.failed(error)
    outage.over()
    outage.over()
    first, last = [record.getMessage() for record in caplog.records]
    assert first == "nothing is done; trying again until it succeeds: refused"
    assert last.startswith("it is done again, after ")
    assert not any(record.exc_info for record in caplog.records)


def test_a_fault_of_ours_has_its_traceback_each_time(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(logging.getLogger("autoforge.test"), "nothing is done", "it is done again")
    for _ in range(2):
        outage.failed(ValueError("a fault"))
    outage.over()
    assert [bool(record.exc_info) for record in caplog.records] == [True, True]
