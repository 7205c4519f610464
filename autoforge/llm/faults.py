"""What is wrong with a template or its variables, as errors with JSON Pointers."""

from __future__ import annotations

from collections.abc import Iterable

from autoforge.errors import BadInput, FieldError, pointer_to


def missing(name: str) -> FieldError:
    return FieldError(pointer_to("variables", name), f"The variable {name!r} is missing.")


def all_of(errors: Iterable[FieldError]) -> BadInput:
    """One error that says them all, each message once."""
    errors = list(errors)
    return BadInput(" ".join(dict.fromkeys(error.message for error in errors)), errors=errors)


def sentence(text: str) -> str:
    """A message of somebody else as ours end; half a surrogate pair, which a template can write, is spelled out."""
    text = text.strip().encode("utf-8", "backslashreplace").decode()
    return text if text.endswith((".", "?", "!")) else text + "."
