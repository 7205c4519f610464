"""Rows as dictionaries of some of their columns, as lists show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Row

Values = Callable[[Any], tuple[Any, ...]]


def items(rows: Sequence[Row[Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Each row's columns of these names, in this order. KeyError for a column that they do not have."""
    if not rows:
        return []
    values_of = reader(rows[0]._fields, names)
    return [dict(zip(names, values_of(row), strict=True)) for row in rows]


@lru_cache(512)
def reader(columns: tuple[str, ...], names: tuple[str, ...]) -> Values:
    """Takes a row with ``columns`` and returns the values of ``names``: by place, several times as fast as by name."""
    at = {column: place for place, column in enumerate(columns)}
    places = [at[name] for name in names]
    first = places[0] if places else 0
    if places == list(range(first, first + len(places))):
        return itemgetter(slice(first, first + len(places)))
    return itemgetter(*places)
