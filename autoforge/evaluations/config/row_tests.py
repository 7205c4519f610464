"""Cases from the rows of any file: which fields are variables, what is expected, what is asserted.

The section ``tests: {file, rows, name, vars, expected, metadata, assert, assertions_from, ...}`` maps columns to cases,
so that a data set is used as it was published. Without ``file`` the rows of the outputs file are the cases too. Values
come as they are: nothing in them is read as a template.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from autoforge.errors import BadInput
from autoforge.evaluations.cases import Assertion, Case
from autoforge.evaluations.config.context import MAX_CASES, Context
from autoforge.evaluations.config.drafts import threshold
from autoforge.evaluations.config.filling import fill
from autoforge.evaluations.config.named_assertions import NamedAssertions
from autoforge.evaluations.config.parameters import plain_name, substitute
from autoforge.evaluations.config.spots import Spot
from autoforge.evaluations.tables import iterate_rows
from autoforge.evaluations.transforms import NOTHING, apply_transform
from autoforge.reading import Source
from autoforge.reading.paths import MISSING, Parts, follow, parse_path

ROW_KEYS = frozenset(
    ("file", "format", "rows", "name", "vars", "expected", "metadata", "assertions_from", "first", "transform")
)


@dataclass(frozen=True, slots=True)
class ValueFrom:
    """A value of a row: what a path leads to, transformed (``default`` where that is nothing); or a fixed value."""

    path: str
    parts: Parts
    transform: Any = None
    fixed: Any = MISSING
    default: Any = MISSING


@dataclass(slots=True)
class RowTests:
    """The section, understood. ``variables`` None means: every field."""

    spot: Spot
    context: Context
    name: str | None
    variables: Mapping[str, ValueFrom] | None
    expected: ValueFrom | None
    metadata: Mapping[str, ValueFrom]
    assertions: tuple[Assertion, ...]
    named: NamedAssertions | None
    transform: Any
    threshold: float | None
    first: int | None
    file_format: str | None
    rows: str | None
    lost: int = 0
    dropped: int = 0
    _lost_line: str = field(default="")

    def cases(self, source: Source, model_field: str | None = None) -> list[tuple[Case | None, Any]]:
        """The case of every row of a file (None for a row that became none), and what ``model_field`` holds in it.

        Raises BadInput.
        """
        rows = islice(iterate_rows(source, self.file_format, self.rows), self.first)
        found: list[tuple[Case | None, Any]] = []
        for index, (line, row) in enumerate(rows):
            if index >= MAX_CASES:
                raise source.bad(f"there are more than {MAX_CASES:,} rows")
            found.append((self._case(row, index + 1, source, line), model_field and follow(row, model_field)))
        return found

    def _case(self, row: Any, index: int, source: Source, line: int) -> Case | None:
        assertions = self.assertions
        try:
            if self.named is not None:
                assertions = (*assertions, *self.named.of(row))
                if not assertions and self.named.drops:
                    self.dropped += 1
                    return None
            return Case(
                name=self._name(row, index, source),
                variables=self._variables(row),
                expected=self._expected(row, line),
                assertions=assertions,
                threshold=self.threshold,
                transform=self.transform,
                metadata={name: self._value(row, wanted) for name, wanted in self.metadata.items()},
            )
        except BadInput as problem:
            raise source.bad(problem.detail, line) from None

    def _name(self, row: Any, index: int, source: Source) -> str:
        if self.name is None:
            return f"#{index}"
        text = self.name
        if "${" in text:
            names = {**self.context.parameters, "outputs_name": plain_name(source.name)}
            text = substitute(text, names, self.spot.child("name"))
        filled = fill(text, {"row": row, "index": index}, literal=False)
        return filled if isinstance(filled, str) else str(filled)

    def _variables(self, row: Any) -> Mapping[str, Any]:
        if self.variables is None:
            return row if isinstance(row, dict) else {"row": row}
        return {name: self._value(row, wanted) for name, wanted in self.variables.items()}

    def _value(self, row: Any, wanted: ValueFrom) -> Any:
        found = self._found(row, wanted)
        if wanted.default is not MISSING and (found is MISSING or found is NOTHING or found is None):
            return wanted.default
        if found is MISSING:
            hint = f"{{path: {wanted.path}, default: ...}}"
            raise BadInput(f"the row has no field {wanted.path!r}; where rows may lack it, write {hint}")
        return None if found is NOTHING else found

    def _found(self, row: Any, wanted: ValueFrom) -> Any:
        if wanted.fixed is not MISSING:
            return wanted.fixed
        value = follow(row, wanted.path)
        if value is MISSING or wanted.transform is None:
            return value
        return apply_transform(wanted.transform, value, self.context.scope)

    def _expected(self, row: Any, line: int) -> Any:
        if self.expected is None:
            return None
        value = self._value(row, self.expected)
        if value is None:
            self.lost += 1
            self._lost_line = self._lost_line or f"line {line}"
        return value

    def report(self, source: Source) -> None:
        """Notices about rows that gave less than was asked of them."""
        if self.lost:
            message = f"{self.lost} rows of {source.name} have no expected value (first: {self._lost_line})"
            self.context.note(self.spot.child("expected").notice(message))
        if self.named is not None and self.named.unknown:
            names = ", ".join(sorted(self.named.unknown))
            message = f"{self.named.unknown.total()} assertions were left out, their names have no template: {names}"
            self.context.note(self.spot.child("assertions_from").notice(message))
        if self.dropped:
            message = f"{self.dropped} rows of {source.name} were left without assertions and became no cases"
            self.context.note(self.spot.child("assertions_from").notice(message))
        self.lost = self.dropped = 0
        if self.named is not None:
            self.named.unknown.clear()


def read_row_tests(raw: Mapping[str, Any], spot: Spot, context: Context) -> RowTests:
    """The section. Raises BadInput for what makes no sense."""
    named = raw.get("assertions_from")
    return RowTests(
        spot=spot,
        context=context,
        name=raw.get("name"),
        variables=_mapping(raw.get("vars"), spot.child("vars"), context),
        expected=None if raw.get("expected") is None else _value_from(raw["expected"], spot.child("expected"), context),
        metadata=_mapping(raw.get("metadata") or {}, spot.child("metadata"), context) or {},
        assertions=context.assertions(raw.get("assert"), spot.child("assert")),
        named=None if named is None else NamedAssertions.read(named, spot.child("assertions_from"), context),
        transform=context.transform(raw.get("transform"), spot.child("transform"), tolerant=False),
        threshold=threshold(raw.get("threshold"), spot, "threshold"),
        first=raw.get("first"),
        file_format=raw.get("format"),
        rows=raw.get("rows"),
    )


def merge_cases(
    per_source: Sequence[Sequence[tuple[Case | None, Any]]],
) -> tuple[list[Case], dict[int, list[int | None]]]:
    """One list of cases for all rows, and which case each row is.

    Rows of different files or different models are the same case when name, variables and expectation are equal
    (several answers to the same question); rows of one file and model are always different cases.
    """
    merged: list[Case] = []
    alignment: dict[int, list[int | None]] = {}
    known: dict[bytes, list[int]] = {}
    used: Counter[tuple[int, str, bytes]] = Counter()
    alone = len(per_source) == 1 and all(model is None for _, model in per_source[0])
    for position, rows in enumerate(per_source):
        places = alignment[position] = []
        for case, model in rows:
            if case is None:
                places.append(None)
                continue
            key = b"" if alone else msgspec.json.encode([case.name, case.variables, case.expected])
            same = known.setdefault(key, [])
            nth = used[position, str(model), key]
            used[position, str(model), key] += 1
            if nth == len(same):
                same.append(len(merged))
                merged.append(case)
            places.append(same[nth])
    return merged, alignment


def _mapping(raw: Any, spot: Spot, context: Context) -> dict[str, ValueFrom] | None:
    if raw is None:
        return None
    if isinstance(raw, list):
        return {name: _value_from(name, spot.child(index), context) for index, name in enumerate(raw)}
    return {name: _value_from(value, spot.child(name), context) for name, value in raw.items()}


def _value_from(raw: Any, spot: Spot, context: Context) -> ValueFrom:
    wanted = {"path": raw} if isinstance(raw, str) else raw
    path = wanted.get("path", "$")
    try:
        parts = parse_path(path)
    except BadInput as problem:
        raise spot.located(problem) from None
    transform = context.transform(wanted.get("transform"), spot.child("transform"), tolerant=False)
    return ValueFrom(path, parts, transform, wanted.get("value", MISSING), wanted.get("default", MISSING))
