"""Where the time in the database goes: all statements of the process, grouped by their shape, in bounded memory.

A shape is the text of a statement without what changes from one call to the next: its parameters are no part of it,
and lists of them count as one. There are at most :data:`MOST` shapes; when there are more, those go that took the
least time in all. A shape's times are kept as a histogram whose buckets grow by a quarter to a fifth, so a quantile
is off by no more than that, whatever the number of calls.

The parameters of a recent call are kept to explain the statement with, in memory only, and no large ones. They may be
anything, secrets included, so nothing here shows them.
"""

from __future__ import annotations

import hashlib
import re
import time
from array import array
from collections.abc import Callable, Iterable, Mapping
from math import frexp
from typing import Any, Protocol

from autoforge.telemetry.work import Work

MOST = 200
MOST_ROUTES = 8
LONGEST_SQL = 4_000
_MOST_TEXTS = 1_000
_MOST_BOUND = 10_000
_LOWEST = -17  # 2**-17 s are 8 microseconds
_BUCKETS = 4 * 28  # four to an octave, up to some thousand seconds
_REPEATED = re.compile(r"\((?:\s*(?:\?|\$\d+(?:::[\w ]+)?)\s*,){1,}\s*(?:\?|\$\d+(?:::[\w ]+)?)\s*\)")
_REPEATED_ROWS = re.compile(r"\(\.\.\.\)(?:\s*,\s*\(\.\.\.\))+")


class Ran(Protocol):
    """A statement that ran, as :mod:`autoforge.db.trace` tells of it."""

    @property
    def name(self) -> str: ...
    @property
    def dialect(self) -> str: ...
    @property
    def sql(self) -> str: ...
    @property
    def bound(self) -> Any: ...
    @property
    def seconds(self) -> float: ...
    @property
    def rows(self) -> int: ...
    @property
    def error(self) -> str | None: ...


class Shape:
    """One kind of statement. Times in seconds; ``routes`` says how often it came from where."""

    __slots__ = (
        "bound", "buckets", "count", "dialect", "errors", "key", "last", "name", "routes", "rows", "seconds", "slowest",
        "sql", "text",
    )  # fmt: skip

    def __init__(self, key: str, name: str, text: str, ran: Ran) -> None:
        self.key, self.name, self.text, self.dialect = key, name, text, ran.dialect
        self.sql, self.bound = ran.sql, None
        self.count = self.errors = self.rows = 0
        self.seconds = self.slowest = self.last = 0.0
        self.buckets = array("I", bytes(4 * _BUCKETS))
        self.routes: dict[str, int] = {}

    def told(self) -> dict[str, Any]:
        """All of it but the parameters; JSON."""
        return {
            "key": self.key,
            "name": self.name,
            "sql": self.text[:LONGEST_SQL],
            "example": self.sql[:LONGEST_SQL] if self.sql != self.text else "",
            "dialect": self.dialect,
            "count": self.count,
            "errors": self.errors,
            "seconds": self.seconds,
            "slowest": self.slowest,
            "rows": self.rows,
            "last_seen": self.last,
            "routes": dict(self.routes),
            "buckets": {str(place): number for place, number in enumerate(self.buckets) if number},
        }


class SlowStatements:
    """The shapes of one process. ``clock`` tells the seconds since 1970."""

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.time) -> None:
        self._most, self._clock = most, clock
        self.shapes: dict[str, Shape] = {}
        self.forgotten = 0
        self.since = clock()
        self._by_text: dict[str, Shape] = {}
        self._by_name: dict[str, Shape] = {}

    def record(self, ran: Ran, work: Work | None) -> Shape:
        """Counts a statement that ran; quick, because every statement comes by."""
        shape = self._by_text.get(ran.sql)
        if shape is None:
            shape = self._shape_of(ran)
        seconds = ran.seconds
        shape.count += 1
        shape.seconds += seconds
        if seconds > shape.slowest:
            shape.slowest = seconds
        fraction, exponent = frexp(seconds)
        place = 4 * (exponent - _LOWEST) + int(fraction * 8) - 4
        shape.buckets[0 if place < 0 else place if place < _BUCKETS else _BUCKETS - 1] += 1
        shape.last = self._clock()
        if ran.error is None:
            if ran.rows > 0:
                shape.rows += ran.rows
            if not shape.count & 15 or shape.bound is None:
                shape.bound = _small(ran.bound)
        else:
            shape.errors += 1
        if work is not None:
            routes, name = shape.routes, work.name or work.find_name()
            if name in routes or len(routes) < MOST_ROUTES:
                routes[name] = routes.get(name, 0) + 1
        return shape

    def _shape_of(self, ran: Ran) -> Shape:
        """Of a text that was not seen before. One that came to no text (it failed) belongs to others of its name."""
        name = ran.name
        if not ran.sql and name in self._by_name:
            return self._by_name[name]
        text = plain(ran.sql) or name
        key = hashlib.blake2b(f"{ran.dialect}\0{text}".encode("utf-8", "replace"), digest_size=8).hexdigest()
        shape = self.shapes.get(key)
        if shape is None:
            if len(self.shapes) >= self._most:
                self._make_room()
            shape = self.shapes[key] = Shape(key, name, text, ran)
        if not shape.sql:
            shape.sql = ran.sql
        if len(self._by_text) >= _MOST_TEXTS:
            self._by_text.clear()
        if ran.sql:
            self._by_text[ran.sql] = shape
        self._by_name[name] = shape
        return shape

    def _make_room(self) -> None:
        """A tenth of the shapes go at once, so that a flood of new ones does not sort them for each."""
        least = sorted(self.shapes.values(), key=lambda shape: shape.seconds)[: max(1, self._most // 10)]
        for shape in least:
            del self.shapes[shape.key]
        self.forgotten += len(least)
        gone = {id(shape) for shape in least}
        for known in (self._by_text, self._by_name):
            for text in [text for text, shape in known.items() if id(shape) in gone]:
                del known[text]

    def told(self) -> list[dict[str, Any]]:
        return [shape.told() for shape in self.shapes.values()]

    def clear(self) -> None:
        """Begins anew."""
        for known in (self.shapes, self._by_text, self._by_name):
            known.clear()
        self.forgotten, self.since = 0, self._clock()


SLOW = SlowStatements()


def _small(bound: Any) -> Any:
    """The parameters, or None when they would take much memory."""
    values = bound.values() if isinstance(bound, dict) else bound or ()
    return bound if sum(len(one) if isinstance(one, str | bytes) else 16 for one in values) < _MOST_BOUND else None


def plain(sql: str) -> str:
    """The text of a shape: white space does not count, and lists of parameters are as long as one."""
    text = _REPEATED.sub("(...)", " ".join(sql.split()))
    return _REPEATED_ROWS.sub("(...)", text)


def quantile(buckets: Mapping[str, int], share: float) -> float:
    """The seconds that ``share`` of the calls stayed within, from a histogram as it is told; 0 without calls."""
    total = sum(buckets.values())
    wanted, below = share * total, 0
    for place in sorted(map(int, buckets)):
        number = buckets[str(place)]
        if below + number >= wanted:
            low, high = _bound(place), _bound(place + 1)
            return low + (high - low) * max(0.0, wanted - below) / number
        below += number
    return 0.0


def _bound(place: int) -> float:
    """Where a bucket begins."""
    octave, quarter = divmod(place, 4)
    return float((4 + quarter) / 8 * 2.0 ** (octave + _LOWEST))


def merged(every: Iterable[Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What several processes told, as if it had been one."""
    found: dict[str, dict[str, Any]] = {}
    for told in every:
        for shape in told:
            known = found.get(shape["key"])
            found[shape["key"]] = _clone(shape) if known is None else _sum(known, shape)
    return list(found.values())


def _clone(shape: dict[str, Any]) -> dict[str, Any]:
    return {**shape, "routes": dict(shape["routes"]), "buckets": dict(shape["buckets"])}


def _sum(known: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    for name in ("count", "errors", "seconds", "rows"):
        known[name] += other[name]
    for name in ("slowest", "last_seen"):
        known[name] = max(known[name], other[name])
    for name in ("routes", "buckets"):
        for part, number in other[name].items():
            known[name][part] = known[name].get(part, 0) + number
    return known
