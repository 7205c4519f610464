"""From a row of a recording to an Output: the text (or value), and what is known of its making.

A row that lacks the output, or says that the call failed, becomes an Output with an ``error``: no verdict is possible
on an answer that is not there. Costs are read in US dollars and kept in nano-dollars.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.cases import Output
from autoforge.evaluations.config.model import Fields
from autoforge.evaluations.scope import Scope
from autoforge.evaluations.tables import VALUE
from autoforge.evaluations.transforms import NOTHING, apply_transform
from autoforge.reading import Source
from autoforge.reading.paths import MISSING, follow

USUAL_NAMES = ("output", "response", "prediction", "completion", "generated_text", "answer", "text")
NO_OUTPUT = "no output was recorded for this case"

_MAX_NANO = 2**63 - 1


@dataclass(slots=True)
class Extractor:
    """Takes outputs out of the rows of one file. Without a path it takes the field with the first usual name."""

    fields: Fields
    source: Source
    scope: Scope
    _path: str | None = None

    def output_of(self, row: Any, line: int) -> Output:
        """The Output of a row. Raises BadInput when a figure in it is none, or a transform is at fault."""
        fields = self.fields
        failure = self._value(row, fields.error)
        if failure not in (None, "", False):
            return Output(error=failure if isinstance(failure, str) else "the recording says that the call failed")
        path = fields.output or self._path or self._guess(row)
        value = follow(row, path)
        if value is MISSING:
            return Output(error=f"the recorded row has no field {path!r}")
        if value is None:
            return Output(error=NO_OUTPUT)
        if fields.transform is not None:
            value = self._transformed(value, line)
        return Output(
            value=value,
            latency_ms=self._number(row, fields.latency_ms, line),
            cost_nano=nano_dollars(self._value(row, fields.cost_usd), self.source, line),
            tokens_in=self._count(row, fields.tokens_in, line),
            tokens_out=self._count(row, fields.tokens_out, line),
            finish_reason=self._word(row, fields.finish_reason),
        )

    def _guess(self, row: Any) -> str:
        if isinstance(row, str):
            self._path = "$"
        elif isinstance(row, dict):
            self._path = next((name for name in (*USUAL_NAMES, VALUE) if name in row), None)
        if self._path is None:
            raise self.source.bad("which field holds the output? Say so in the configuration: outputs: {output: PATH}")
        return self._path

    def _transformed(self, value: Any, line: int) -> Any:
        try:
            found = apply_transform(self.fields.transform or (), value, self.scope)
        except BadInput as problem:
            raise self.source.bad(problem.detail, line) from None
        return "" if found is NOTHING else found

    def _value(self, row: Any, path: str | None) -> Any:
        if path is None:
            return None
        found = follow(row, path)
        return None if found is MISSING or found == "" else found

    def _number(self, row: Any, path: str | None, line: int) -> float | None:
        return figure(self._value(row, path), self.source, line)

    def _count(self, row: Any, path: str | None, line: int) -> int | None:
        found = self._number(row, path, line)
        return None if found is None else int(found)

    def _word(self, row: Any, path: str | None) -> str | None:
        found = self._value(row, path)
        return found if isinstance(found, str) else None


def figure(value: Any, source: Source, line: int) -> float | None:
    """A figure that is not negative, also written as text; None stays None. Raises BadInput."""
    if value is None:
        return None
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            found = math.nan
        if 0 <= found < _MAX_NANO:
            return found
    raise source.bad(f"{str(value)[:60]!r} is not a figure of 0 or more", line)


def nano_dollars(value: Any, source: Source, line: int) -> int | None:
    """US dollars as whole nano-dollars. Raises BadInput for what is no amount."""
    if figure(value, source, line) is None:
        return None
    try:
        amount = int((Decimal(str(value)) * 1_000_000_000).to_integral_value())
    except (InvalidOperation, ValueError, OverflowError):
        amount = -1
    if not 0 <= amount <= _MAX_NANO:
        raise source.bad(f"{str(value)[:60]!r} is not an amount in US dollars", line)
    return amount
