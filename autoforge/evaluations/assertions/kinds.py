"""What an assertion type is made of: how its value is prepared, and how it judges an output.

Each type is one `Kind`: a name, a `prepare` that turns the written value into what the check needs (and refuses
what makes no sense, with a pointer), and a `check` that returns a Verdict. The reason of a verdict states a fact
about the output ("the output contains ..."), never an expectation, so that it reads right for the negated type as
well. Whatever makes a verdict impossible is raised as BadInput and becomes the outcome *error*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from autoforge.errors import BadInput, escaped
from autoforge.evaluations.cases import Case, Output
from autoforge.evaluations.near_words import near_word
from autoforge.evaluations.scope import Scope

Settings = Mapping[str, Any]


@dataclass(slots=True)
class Subject:
    """What is judged: the output's value after transforms, its text form, and where it comes from."""

    value: Any
    text: str
    case: Case
    output: Output
    scope: Scope


@dataclass(slots=True)
class Verdict:
    """``score`` is 0..1; with ``keeps_score`` (a score that the user computed) a negation inverts ``passed`` only."""

    passed: bool
    score: float
    reason: str
    keeps_score: bool = False


class Limit(Enum):
    """What the threshold of a type means."""

    NONE = "none"
    SCORE = "score"
    AMOUNT = "amount"
    ANY = "any"


Prepare = Callable[[Any, Settings], Any]
Check = Callable[[Any, Subject, float | None], Verdict]


@dataclass(frozen=True, slots=True)
class Kind:
    """``settings`` are the keys that it reads beside those of all types, None when it does not care.

    ``wants_text``: a variable that is true or a number stands for its text, as promptfoo renders it.
    """

    name: str
    check: Check
    prepare: Prepare
    limit: Limit = Limit.NONE
    reads_output: bool = True
    needs_value: bool = False
    settings: frozenset[str] | None = frozenset()
    wants_text: bool = False


def yes_or_no(passed: bool, reason: str) -> Verdict:
    return Verdict(passed, 1.0 if passed else 0.0, reason)


def graded(name: str, score: float, threshold: float) -> Verdict:
    """A similarity: passes at or above the threshold, and the score is the similarity itself."""
    score = min(max(score, 0.0), 1.0)
    passed = score >= threshold
    relation = "at least" if passed else "below"
    return Verdict(passed, score, f"{name} is {score:.4f}, {relation} the threshold {threshold:g}")


def no_value(_value: Any, _settings: Settings) -> None:
    """For types that take no value; one that is given is ignored, as promptfoo does."""


def wrong_value(message: str) -> BadInput:
    return BadInput.at("/value", message)


def number_of(raw: Any) -> float | None:
    """A finite number, written as a number or as text; None when it is not one."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


@dataclass(frozen=True, slots=True)
class Range:
    """How often something may occur, both ends included; ``most`` None means without end."""

    least: float
    most: float | None

    def holds(self, count: float) -> bool:
        return self.least <= count and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        if self.most is None:
            return f"at least {self.least:g}"
        if self.least == self.most:
            return f"exactly {self.least:g}"
        return f"at most {self.most:g}" if self.least == 0 else f"{self.least:g} to {self.most:g}"


RANGE = frozenset(("min", "max", "count"))
"""What :func:`range_of` reads."""


def check_keys(raw: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Refuses a key that means nothing, because what it asks for would not be checked. Errors point below ``where``."""
    known = list(known)
    for key in raw:
        if key not in known and key != "$comment":
            near = near_word(str(key), known)
            hint = f"did you mean {near}?" if near else f"known are {', '.join(known)}"
            raise BadInput.at(f"{where}/{escaped(str(key))}", f"there is no key {key}; {hint}")


def range_of(raw: Mapping[str, Any], where: str) -> Range | None:
    """The range that `min`, `max` or `count` of a mapping give, None without them. Errors point below ``where``."""
    given = {name: raw[name] for name in sorted(RANGE) if raw.get(name) is not None}
    if not given:
        return None
    numbers: dict[str, float] = {}
    for name, value in given.items():
        number = number_of(value)
        if number is None or number < 0:
            raise BadInput.at(f"{where}/{name}", f"{name} must be a number of 0 or more")
        numbers[name] = number
    if "count" in numbers:
        return Range(numbers["count"], numbers["count"])
    low, high = numbers.get("min", 0.0), numbers.get("max")
    if high is not None and low > high:
        raise BadInput.at(f"{where}/min", f"min ({low:g}) must not be larger than max ({high:g})")
    return Range(low, high)
