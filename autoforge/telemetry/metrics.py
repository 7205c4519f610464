"""Counting: what the rooms call when something has happened. Each call costs well under a microsecond.

A series finds its place once; afterwards counting is a look-up in a dictionary and an addition in memory
(:mod:`autoforge.telemetry.cells`). Call from the thread of the event loop. What somebody else counts already (the
cache, the pools) is taken over now and then with :func:`total` and :func:`gauge`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

from autoforge.telemetry import families as f
from autoforge.telemetry.cells import Cells, Series
from autoforge.telemetry.families import FAMILIES, REQUEST_BUCKETS, STATEMENT_BUCKETS, Family

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"
"""The route of a request that has none."""
GONE = 499
"""The status of a request whose client went away before there was an answer."""

_cells = Cells()
_values = _cells.values
_requests: dict[tuple[str, str, int], tuple[int, int]] = {}
_statements: dict[tuple[str, str, bool], tuple[int, int]] = {}
_places: dict[Series, int] = {}
_totals: dict[Series, float] = {}
_in_flight = -1


@contextmanager
def counting_in(cells: Cells) -> Iterator[None]:
    """Counts in these cells until the block ends. What a process before this one found to be the case is forgotten."""
    before = _cells
    for series, place in cells.places.items():
        if series[0] in FAMILIES and FAMILIES[series[0]].kind == "gauge":
            cells.values[place] = 0.0
    _use(cells)
    try:
        yield
    finally:
        _use(before)


def _use(cells: Cells) -> None:
    global _cells, _values, _in_flight
    for known in (_requests, _statements, _places, _totals):
        known.clear()
    _cells, _values = cells, cells.values
    _in_flight = _place(f.IN_FLIGHT)


def current() -> Cells:
    """What this process counts in."""
    return _cells


def _place(family: Family, *labels: str) -> int:
    return _cells.place((family.name, *labels), family.width)


# --- requests ---------------------------------------------------------------------------------------------------------


def request_began() -> None:
    """One more request is in flight, until :func:`request_ended`."""
    _values[_in_flight] += 1.0


def request_ended() -> None:
    _values[_in_flight] -= 1.0


def request_finished(method: str, route: str, status: int, seconds: float | None) -> None:
    """A request was answered. ``route`` is the template of its address; ``seconds`` is None of a stream of events."""
    try:
        count, spent = _requests[method, route, status]
    except KeyError:
        count, spent = _new_request(method, route, status)
    values = _values
    values[count] += 1.0
    if seconds is not None:
        values[spent] += seconds
        values[spent + 1 + bisect_left(REQUEST_BUCKETS, seconds)] += 1.0


def _new_request(method: str, route: str, status: int) -> tuple[int, int]:
    known = method if method in METHODS else "other"
    found = _place(f.REQUESTS, known, route, str(status or GONE)), _place(f.REQUEST_SECONDS, known, route)
    if known == method and all(found):  # what a client invents is not kept
        _requests[method, route, status] = found
    return found


# --- statements -------------------------------------------------------------------------------------------------------


def statement_ran(operation: str, table: str, seconds: float, *, failed: bool = False) -> None:
    """A statement ran, ``operation`` and ``table`` out of few."""
    try:
        count, spent = _statements[operation, table, failed]
    except KeyError:
        status = "error" if failed else "ok"
        count, spent = _place(f.STATEMENTS, operation, table, status), _place(f.STATEMENT_SECONDS, operation, table)
        if count and spent:
            _statements[operation, table, failed] = count, spent
    values = _values
    values[count] += 1.0
    values[spent] += seconds
    values[spent + 1 + bisect_left(STATEMENT_BUCKETS, seconds)] += 1.0


# --- anything ---------------------------------------------------------------------------------------------------------


def _found(family: Family, labels: tuple[str, ...]) -> int:
    series = (family.name, *labels)
    place = _places.get(series)
    if place is None:
        place = _place(family, *labels)
        if place:
            _places[series] = place
    return place


def prepare(family: Family, *labels: str) -> None:
    """The series is there from now on, at zero: what has not happened yet can be told from what nobody counts."""
    _found(family, labels)


def add(family: Family, *labels: str, amount: float = 1.0) -> None:
    """Counts, or moves a gauge up or down."""
    _values[_found(family, labels)] += amount


def observe(family: Family, value: float, *labels: str) -> None:
    """Counts ``value`` in a histogram."""
    place = _found(family, labels)
    values = _values
    values[place] += value
    values[place + 1 + bisect_left(family.buckets, value)] += 1.0


def observed(family: Family, *labels: str) -> list[tuple[float, float]]:
    """What this process has in a histogram by now: the upper bound of each bucket, and how often it was met."""
    place = _found(family, labels) + 1
    bounds = (*family.buckets, float("inf"))
    return [(bound, _values[place + number]) for number, bound in enumerate(bounds) if _values[place + number]]


def gauge(family: Family, value: float, *labels: str) -> None:
    """This is how it is in this process now."""
    _values[_found(family, labels)] = value


def total(family: Family, value: float, *labels: str) -> None:
    """Somebody in this process has counted ``value`` by now: what is new of it is added."""
    series = (family.name, *labels)
    before = _totals.get(series, 0.0)
    _totals[series] = value
    new = value - before if value >= before else value  # who counts began anew
    if new:
        _values[_found(family, labels)] += new
    else:
        _found(family, labels)


_use(_cells)
