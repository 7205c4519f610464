"""The near cache's store: values in this process, bounded in number and in bytes, least recently used first out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autoforge.cache.stamps import Mark

ABSENT = object()
"""No value; None is one."""

_LOOKED_AT = 200
"""How many parts of a value are weighed; what has more is taken to be alike throughout."""


@dataclass(slots=True)
class Entry:
    """A value with what it depends on. ``expires`` and ``certain`` are moments of ``time.monotonic``.

    Until ``certain`` it may be used although Redis is silent. ``asked`` says whether anybody did use it, ``used`` when
    it was last put behind all others.
    """

    value: Any
    mark: Mark
    expires: float
    certain: float
    weight: int
    asked: bool = False
    used: float = 0.0


class Near:
    """``entries`` bounds the number of values, ``size`` their bytes in all.

    The dictionary is open to the reader, for whom a call would cost as much as the look-up: the last is the one that
    was used last, give or take half a second.
    """

    def __init__(self, entries: int, size: int) -> None:
        self.entries: dict[str, Entry] = {}
        self.most_bytes = size
        self._most_entries = entries
        self.bytes = 0
        self.evicted = 0
        """How many values had to make room so far."""

    def __len__(self) -> int:
        return len(self.entries)

    def put(self, key: str, entry: Entry) -> None:
        self.drop(key)
        self.entries[key] = entry
        self.bytes += entry.weight
        while len(self.entries) > self._most_entries or self.bytes > self.most_bytes:
            self.drop(next(iter(self.entries)))
            self.evicted += 1

    def drop(self, key: str) -> None:
        if (entry := self.entries.pop(key, None)) is not None:
            self.bytes -= entry.weight

    def clear(self) -> None:
        self.entries.clear()
        self.bytes = 0


def weight_of(key: str, value: object) -> int:
    """About how many bytes a value takes, its key and entry included."""
    return 400 + len(key) + _weight(value, [_LOOKED_AT])


def _weight(value: object, left: list[int]) -> int:
    left[0] -= 1
    if isinstance(value, bytes | str):
        return 50 + len(value)
    if isinstance(value, dict):
        return 64 + _sum((part for pair in value.items() for part in pair), 2 * len(value), left)
    if isinstance(value, list | tuple | set | frozenset):
        return 56 + _sum(iter(value), len(value), left)
    return 32 if value is None or isinstance(value, bool | int | float) else 200


def _sum(parts: Any, count: int, left: list[int]) -> int:
    seen = weight = 0
    for part in parts:
        if left[0] <= 0:
            break
        seen += 1
        weight += 8 + _weight(part, left)
    return weight * count // seen if seen else 64 * count
