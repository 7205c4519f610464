"""Which case the row of a recording belongs to, and what became of the rows that belong to none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from autoforge.evaluations.cases import Case
from autoforge.evaluations.config.model import Join
from autoforge.evaluations.config.spots import Notice
from autoforge.evaluations.near_words import near_word
from autoforge.evaluations.tables import KEY
from autoforge.reading import Source
from autoforge.reading.paths import MISSING, follow

_SHOWN_LINES = 5
_SHOWN_FIELDS = 10


class Unplaced(Enum):
    """Why a row belongs to no case."""

    NO_CASE = auto()
    ANSWERED = auto()
    """There is a case, and a row before has answered it."""


@dataclass(slots=True)
class LeftOut:
    """The rows of one file that belong to no case: their lines, by reason."""

    lines: dict[Unplaced, list[int]] = field(default_factory=lambda: {reason: [] for reason in Unplaced})

    def add(self, reason: Unplaced, line: int) -> None:
        self.lines[reason].append(line)

    def notices(self, source: Source) -> list[Notice]:
        """A sentence for each reason that there was."""
        told = {
            Unplaced.NO_CASE: "{} match no test case and were left out",
            Unplaced.ANSWERED: "{} are further outputs of cases that have one already; the first counts",
        }
        found = []
        for reason, sentence in told.items():
            if lines := self.lines[reason]:
                shown = ", ".join(map(str, lines[:_SHOWN_LINES])) + (", ..." if len(lines) > _SHOWN_LINES else "")
                found.append(
                    Notice(f"{sentence.format(f'{len(lines)} rows')} (rows {shown})", source.name, line=lines[0])
                )
        return found


@dataclass(slots=True)
class Places:
    """Which case a row belongs to: given beforehand, by a field, or by position."""

    count: int
    alignment: Sequence[int | None] | None
    join: Join | None
    by_key: Mapping[str, Sequence[int]]
    _joinable: bool = False
    _first: Any = MISSING

    def of(self, row: Any, nth: int, seen: Counter[str]) -> int | Unplaced:
        """The index of the row's case. ``nth`` counts the rows of a model, ``seen`` its keys so far."""
        if self.alignment is not None:
            place = self.alignment[nth] if nth < len(self.alignment) else None
            return Unplaced.NO_CASE if place is None else place
        if self.join is None:
            return nth if nth < self.count else Unplaced.NO_CASE
        found = self._found(row, self.join)
        self._joinable = self._joinable or found is not MISSING
        self._first = row if self._first is MISSING else self._first
        key = join_key(found)
        places = self.by_key.get(key, ()) if key is not None else ()
        used = seen[key or ""]
        seen[key or ""] += 1
        if used < len(places):
            return places[used]
        return Unplaced.ANSWERED if places else Unplaced.NO_CASE

    def _found(self, row: Any, join: Join) -> Any:
        """What a row is joined by. Where it has only a key, that is the field."""
        found = follow(row, join.output)
        if found is MISSING and join.output == join.case and isinstance(row, dict):
            return row.get(KEY, MISSING)
        return found

    def check(self, source: Source) -> None:
        """Raises BadInput when the rows are over and none had the field to join by: that is a slip in its name."""
        if self.join is None or self._joinable or self._first is MISSING:
            return
        name, fields = self.join.output, list(self._first) if isinstance(self._first, dict) else []
        raise source.bad(f"cannot be joined: no row has a field {name!r}{_others(name, fields)}")


def _others(name: str, fields: Sequence[str]) -> str:
    """What there is instead of a field."""
    if not fields:
        return ""
    if near := near_word(name, fields):
        return f"; did you mean {near!r}?"
    shown = [*fields[:_SHOWN_FIELDS], *(["..."] if len(fields) > _SHOWN_FIELDS else [])]
    return f"; there are {', '.join(shown)}"


def cases_by_key(cases: Sequence[Case], join: Join | None, source: Source) -> Mapping[str, Sequence[int]]:
    """The indexes of the cases by what they are joined by. Raises BadInput when no case has the field."""
    if join is None:
        return {}
    found: dict[str, list[int]] = {}
    for index, case in enumerate(cases):
        key = join_key(_case_field(case, join.case))
        if key is not None:
            found.setdefault(key, []).append(index)
    if not found:
        fields = [*cases[0].variables, *cases[0].metadata] if cases else []
        raise source.bad(f"cannot be joined: no test case has a field {join.case!r}{_others(join.case, fields)}")
    return found


def _case_field(case: Case, path: str) -> Any:
    """A field of a case for joining: a variable, else metadata, else its name or what is expected."""
    for place in (case.variables, case.metadata, {"name": case.name, "expected": case.expected}):
        found = follow(place, path)
        if found is not MISSING:
            return found
    return MISSING


def join_key(value: Any) -> str | None:
    """What two fields must share: their text. A number in JSON equals its text in a CSV, and 1.0 is 1."""
    if value is MISSING or value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
