"""Text that people send: bounded, and without what a database cannot keep or a terminal should not see."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints


def storable(value: str) -> str:
    """For ``AfterValidator``: the text itself, or ValueError when no database of ours could keep it."""
    if "\x00" in value:
        raise ValueError("the character U+0000 cannot be stored; remove it")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("half of a surrogate pair cannot be stored; send the whole character")
    return value


MAX_LINE = 200
MAX_PROSE = 20_000
Line = Annotated[str, StringConstraints(max_length=MAX_LINE), AfterValidator(storable)]
Prose = Annotated[str, StringConstraints(max_length=MAX_PROSE), AfterValidator(storable)]
