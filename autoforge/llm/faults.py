"""What is wrong with a template or its variables, as errors with JSON Pointers."""

from __future__ import annotations

from collections.abc import Iterable

from autoforge.errors import BadInput, FieldError


def escaped(key: str) -> str:
    """A key as a step of a JSON Pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def missing(name: str) -> FieldError:
    return FieldError(f"/variables/{escaped(name)}", f"The variable {name!r} is missing.")


def all_of(errors: Iterable[FieldError]) -> BadInput:
    """One error that says them all, each message once."""
    errors = list(errors)
    return BadInput(" ".join(dict.fromkeys(error.message for error in errors)), errors=errors)


def sentence(text: str) -> str:
    """A message of somebody else as ours end; half a surrogate pair, which a template can write, is spelled out."""
    text = text.strip().encode("utf-8", "backslashreplace").decode()
    return text if text.endswith((".", "?", "!")) else text + "."
