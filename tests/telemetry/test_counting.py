"""What the rooms call to count, and that it lands in the right series."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from autoforge.db.admission import Gate, connection_line
from autoforge.errors import Overloaded
from autoforge.settings import DatabaseSettings
from autoforge.telemetry import families, metrics
from autoforge.telemetry.cells import Cells
from autoforge.telemetry.families import Family


@pytest.fixture
def cells() -> Iterator[Cells]:
    cells = Cells()
    with metrics.counting_in(cells):
        yield cells
    cells.close()


def numbers(cells: Cells, family: Family, *labels: str) -> list[float]:
    place = cells.places[family.name, *labels]
    return list(cells.values[place : place + family.width])


def test_requests_are_counted_by_method_template_and_status(cells: Cells) -> None:
    for status, seconds in ((200, 0.004), (200, 0.15), (404, 9.0), (200, None)):
        metrics.request_finished("GET", "/api/v1/prompts", status, seconds)
    assert numbers(cells, families.REQUESTS, "GET", "/api/v1/prompts", "200") == [3]
    assert numbers(cells, families.REQUESTS, "GET", "/api/v1/prompts", "404") == [1]
    total, *buckets = numbers(cells, families.REQUEST_SECONDS, "GET", "/api/v1/prompts")
    assert total == pytest.approx(9.154)
    assert buckets == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]  # a bucket's bound belongs to it; a stream is in none


def test_what_clients_invent_makes_no_series(cells: Cells) -> None:
    for number in range(10):
        metrics.request_finished(f"INVENTED{number}", metrics.UNMATCHED, 405, 0.001)
    metrics.request_finished("GET", metrics.UNMATCHED, 0, 0.001)
    assert numbers(cells, families.REQUESTS, "other", "unmatched", "405") == [10]
    assert numbers(cells, families.REQUESTS, "GET", "unmatched", "499") == [1]
    assert sum(series[0] == families.REQUESTS.name for series in cells.places) == 2


def test_requests_in_flight(cells: Cells) -> None:
    metrics.request_began()
    metrics.request_began()
    metrics.request_ended()
    assert numbers(cells, families.IN_FLIGHT) == [1]


def test_statements_are_counted_with_their_errors(cells: Cells) -> None:
    metrics.statement_ran("select", "prompts", 0.002)
    metrics.statement_ran("select", "prompts", 0.02, failed=True)
    assert numbers(cells, families.STATEMENTS, "select", "prompts", "ok") == [1]
    assert numbers(cells, families.STATEMENTS, "select", "prompts", "error") == [1]
    assert numbers(cells, families.STATEMENT_SECONDS, "select", "prompts")[0] == pytest.approx(0.022)


def test_totals_that_others_count_are_taken_over(cells: Cells) -> None:
    for value in (0, 5, 5, 8):
        metrics.total(families.CACHE_LOADS, value, "items")
    assert numbers(cells, families.CACHE_LOADS, "items") == [8]
    metrics.total(families.CACHE_LOADS, 2, "items")  # another cache, which has counted 2
    assert numbers(cells, families.CACHE_LOADS, "items") == [10]


def test_a_successor_takes_over_what_happened_and_not_what_was_the_case(cells: Cells) -> None:
    metrics.add(families.ENQUEUED, "a")
    metrics.gauge(families.CACHE_ENTRIES, 7)
    with metrics.counting_in(cells):
        assert numbers(cells, families.ENQUEUED, "a") == [1]
        assert numbers(cells, families.CACHE_ENTRIES) == [0]
        metrics.add(families.ENQUEUED, "a")
    assert numbers(cells, families.ENQUEUED, "a") == [2]


def test_names_are_those_of_prometheus() -> None:
    for family in families.FAMILIES.values():
        assert family.name.startswith("autoforge_")
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert family.meaning.endswith("."), family.name
        assert (family.kind == "histogram") == bool(family.buckets), family.name
        assert list(family.buckets) == sorted(family.buckets)
        assert not {"id", "path", "url", "user", "key"} & set(family.labels)


async def test_who_waits_for_a_place_is_counted_and_who_is_turned_away(cells: Cells) -> None:
    gate = Gate(connection_line(DatabaseSettings(pool_queue=1), "readers"), 1)
    await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await gate.enter()
    gate.leave()
    await waiting
    assert gate.refused == 1
    assert sum(numbers(cells, families.POOL_WAIT, "readers")[1:]) == 1
