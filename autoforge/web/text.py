"""Text that people send: bounded, and without what a database cannot keep or a terminal should not see."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, JsonValue, StringConstraints

from autoforge.errors import BadInput


def storable(value: str) -> str:
    """For ``AfterValidator``: the text itself, or ValueError when no database of ours could keep it."""
    if "\x00" in value:
        raise ValueError("the character U+0000 cannot be stored; remove it")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("half of a surrogate pair cannot be stored; send the whole character")
    return value


def check_storable(value: str, at: str) -> str:
    """The text itself, or BadInput that points ``at`` it when no database of ours could keep it."""
    try:
        return storable(value)
    except ValueError as error:
        said = str(error)
        raise BadInput.at(at, f"{said[:1].upper()}{said[1:]}.") from None


def storable_json(value: Any) -> Any:
    """For ``AfterValidator``: the JSON itself, or ValueError for a text in it, a key included, that is not storable, or
    a number that JSON does not have."""
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            storable(item)
        elif isinstance(item, float) and not math.isfinite(item):
            raise ValueError("NaN and infinity are not JSON")
        elif isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item
    return value


JsonObject = Annotated[dict[str, JsonValue], AfterValidator(storable_json)]
MAX_LINE = 200
MAX_PROSE = 20_000
Line = Annotated[str, StringConstraints(max_length=MAX_LINE), AfterValidator(storable)]
Prose = Annotated[str, StringConstraints(max_length=MAX_PROSE), AfterValidator(storable)]
