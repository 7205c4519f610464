"""Reading several columns of a row at once, by name, as lists do for every row that they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

Values = Callable[[Any], tuple[Any, ...]]


@lru_cache(512)
def getter(names: Sequence[str]) -> Values:
    """What reads these columns of a row, as a tuple in this order; ``names`` must be hashable."""
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda _: ()
    one = attrgetter(names[0])
    return lambda row: (one(row),)
