"""Checking JSON values from outside, gathering every fault with its pointer before refusing them together."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import Any

from autoforge.errors import BadInput, FieldError, escaped

MAX_DEPTH = 60
MAX_FAULTS = 50
_LARGEST = 2**63


class Checker:
    """Methods answer with the value, made canonical, or note a fault and answer with something harmless."""

    def __init__(self) -> None:
        self.faults: list[FieldError] = []

    def fault(self, at: str, message: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            # A key that is no proper text would make the error itself impossible to send.
            at, message = (text.encode("utf-8", "backslashreplace").decode() for text in (at, message))
            self.faults.append(FieldError(at, message))

    def finish(self) -> None:
        """Raises BadInput when there was any fault; its detail is the first one, with its place."""
        if self.faults:
            first = self.faults[0]
            raise BadInput(f"{first.pointer}: {first.message}" if first.pointer else first.message, errors=self.faults)

    def object(self, data: Any, at: str, allowed: Sequence[str]) -> dict[str, Any]:
        """An object with no keys but the allowed ones; for an unknown one the nearest name is suggested."""
        if not isinstance(data, dict):
            self.fault(at, f"This must be an object, not {kind_of(data)}.")
            return {}
        for key in data:
            if key not in allowed:
                near = difflib.get_close_matches(str(key)[:100], allowed, 1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(allowed)}."
                self.fault(f"{at}/{escaped(str(key)[:100])}", f"There is no field {str(key)[:100]!r}. {hint}")
        return data

    def items(self, data: Any, at: str, most: int) -> list[tuple[Any, str]]:
        """The elements of a list, which may be absent, with their pointers."""
        if data is None:
            return []
        if not isinstance(data, list | tuple):
            self.fault(at, f"This must be a list, not {kind_of(data)}.")
            return []
        if len(data) > most:
            self.fault(at, f"There are {len(data):,} of these; {most:,} is the most.")
            return []
        return [(item, f"{at}/{index}") for index, item in enumerate(data)]

    def text(self, data: Any, at: str, *, default: str | None = None, most: int | None = None) -> str:
        if data is None and default is not None:
            return default
        if not isinstance(data, str):
            self.fault(at, f"This must be text, not {kind_of(data)}.")
            return ""
        problem = problem_of_text(data)
        if problem is None and most is not None and len(data) > most:
            problem = f"This has {len(data):,} characters; {most:,} is the most."
        if problem:
            self.fault(at, problem)
            return ""
        return data

    def flag(self, data: Any, at: str, *, default: bool) -> bool:
        if data is None:
            return default
        if not isinstance(data, bool):
            self.fault(at, f"This must be true or false, not {kind_of(data)}.")
            return default
        return data

    def json_object(self, data: Any, at: str) -> dict[str, Any]:
        """Any JSON object, with numbers made alike (``1.0`` becomes ``1``)."""
        if not isinstance(data, dict):
            self.fault(at, f"This must be an object, not {kind_of(data)}.")
            return {}
        value: dict[str, Any] = self.json(data, at)
        return value

    def json(self, data: Any, at: str, *, alike: bool = True, depth: int = 0) -> Any:
        """Any JSON value; ``alike`` writes equal numbers alike."""
        if depth > MAX_DEPTH:
            self.fault(at, f"This is nested deeper than {MAX_DEPTH} levels.")
        elif isinstance(data, dict):
            return {
                self.text(key, at): self.json(value, f"{at}/{escaped(str(key))}", alike=alike, depth=depth + 1)
                for key, value in data.items()
            }
        elif isinstance(data, list | tuple):
            return [self.json(v, f"{at}/{i}", alike=alike, depth=depth + 1) for i, v in enumerate(data)]
        elif isinstance(data, str):
            return self.text(data, at)
        elif data is None or isinstance(data, bool):
            return data
        elif isinstance(data, int | float):
            return self._number(data, at, alike)
        else:
            self.fault(at, f"A {type(data).__name__} is no JSON value.")
        return None

    def _number(self, number: int | float, at: str, alike: bool) -> int | float:
        if isinstance(number, float) and not math.isfinite(number):
            self.fault(at, "NaN and infinities cannot be stored.")
            return 0
        if isinstance(number, int) and not -_LARGEST <= number < 2 * _LARGEST:
            self.fault(at, "This integer has more than 64 bits.")
            return 0
        if alike and isinstance(number, float) and number.is_integer() and abs(number) <= 2**53:
            return int(number)
        return number


def problem_of_text(text: str) -> str | None:
    """Why a text cannot be stored on both databases, if so."""
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        return f"The text contains the character U+0000 (line {line}), which cannot be stored."
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        return f"The text contains half of a surrogate pair (line {line}), which is no character."
    return None


def kind_of(value: Any) -> str:
    """What a JSON value is, for a sentence."""
    if value is None:
        return "null"
    names = {bool: "true or false", str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
