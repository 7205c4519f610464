"""`equals-number`: is the number in the output the number that is expected?

Not a type of promptfoo. The number is taken out of text as people and models write it: thousands commas, a currency
sign, a percent sign, a closing period, a typographic minus. The same is done to the value, so "$65,960." equals
65960. Numbers are compared exactly as decimals, or within `tolerance` (absolute). `extract: last` (default) or
`first` says which number counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from autoforge.errors import BadInput
from autoforge.evaluations.assertions.kinds import (
    Kind,
    Settings,
    Subject,
    Verdict,
    number_of,
    wrong_value,
    yes_or_no,
)
from autoforge.evaluations.json_text import as_text
from autoforge.evaluations.patterns import shorten

# A sign counts only where no word or digit precedes it, so that the 3 in "16-3" stays positive.
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w.)\]])[-+\u2212]\s?)?(?:[$\u20ac\u00a3\u00a5]\s?(?P<inner>-)?)?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?P<exponent>[eE][-+]?\d{1,4}(?!\w))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class _Wanted:
    number: Decimal
    which: Literal["last", "first"]
    tolerance: Decimal


def _prepare(value: Any, settings: Settings) -> _Wanted:
    which = settings.get("extract", "last")
    if which not in ("last", "first"):
        raise BadInput.at("/extract", "extract must be last or first")
    tolerance = number_of(settings.get("tolerance", 0))
    if tolerance is None or tolerance < 0:
        raise BadInput.at("/tolerance", "tolerance must be a number of 0 or more")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise wrong_value("the value must be a number, or a text with a number in it")
    number = extract_number(as_text(value), which)
    if number is None:
        raise wrong_value(f"there is no number in the value {shorten(as_text(value))}")
    return _Wanted(number, which, Decimal(repr(tolerance)))


def extract_number(text: str, which: Literal["last", "first"]) -> Decimal | None:
    """The last or first number in a text as an exact decimal, None without one."""
    found = None
    if which == "first":
        found = _NUMBER.search(text)
    else:
        for found in _NUMBER.finditer(text):  # noqa: B007 (the last one is what is wanted)
            pass
    if found is None:
        return None
    sign, inner, digits, exponent = found.group("sign", "inner", "digits", "exponent")
    number = Decimal(digits.replace(",", "") + (exponent or ""))
    negative = (sign is not None and sign[0] != "+") != (inner is not None)
    return -number if negative else number


def _check(wanted: _Wanted, subject: Subject, _threshold: float | None) -> Verdict:
    number = extract_number(subject.text, wanted.which)
    if number is None:
        return yes_or_no(False, f"there is no number in the output {shorten(subject.text)}")
    passed = number == wanted.number
    if not passed and wanted.tolerance:
        passed = abs(number - wanted.number) <= wanted.tolerance
    relation = "equals" if passed else "does not equal"
    within = f" within {wanted.tolerance}" if wanted.tolerance else ""
    return yes_or_no(passed, f"the number {_plain(number)} {relation} {_plain(wanted.number)}{within}")


def _plain(number: Decimal) -> str:
    text = str(number)
    return text if len(text) <= 40 else f"{text[:37]}..."


KINDS = (Kind("equals-number", _check, _prepare, settings=frozenset(("extract", "tolerance"))),)
