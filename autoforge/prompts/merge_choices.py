"""Merging with what somebody chose for the conflicts: each choice decides one; what is wrong with it is told there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoforge.errors import BadInput, FieldError, escaped
from autoforge.prompts.content import PromptContent
from autoforge.prompts.merge import MergeResult, merge

_SIDES = ("base", "ours", "theirs")


def decided(base: PromptContent, ours: PromptContent, theirs: PromptContent, choices: Mapping[str, Any]) -> MergeResult:
    """The three-way merge with these choices; what they leave open are its ``conflicts``.

    Raises BadInput, at the choice, for one that is for no conflict, and for a value that cannot stand there.
    """
    result, left = merge(base, ours, theirs), dict(choices)
    try:
        # A choice may bring up another conflict: both sides' removals leave a prompt without a message.
        while usable := {conflict.key: left.pop(conflict.key) for conflict in result.conflicts if conflict.key in left}:
            result = merge(base, ours, theirs, {**result.choices, **usable})
    except BadInput as error:
        found = [FieldError(_place(one.pointer, choices), one.message) for one in error.errors]
        raise BadInput(error.detail, errors=found) from None
    no_choices(left)
    return result


def no_choices(choices: Mapping[str, Any]) -> None:
    """BadInput unless there are none: nothing is in conflict where these were chosen."""
    if choices:
        errors = [FieldError(_pointer(key), f"There is no conflict {key!r}.") for key in choices]
        raise BadInput(errors[0].message, errors=errors)


def _pointer(key: str) -> str:
    return f"/choices/{escaped(key)}"


def _place(pointer: str, choices: Mapping[str, Any]) -> str:
    """The choice that a fault of the merged content comes from: a value of one's own there, the nearest."""
    own = {key: key.partition("#")[0] for key, choice in choices.items() if choice not in _SIDES}
    near = [key for key, place in own.items() if _within(pointer, place) or _within(place, pointer)]
    # Of several in one text it is one that is no text.
    near.sort(key=lambda key: (-len(own[key]), isinstance(choices[key], str)))
    if not near and len(own) == 1:  # messages have other numbers in the merge than in the base
        near = list(own)
    return _pointer(near[0]) if near else "/choices"


def _within(pointer: str, place: str) -> bool:
    return pointer == place or pointer.startswith(f"{place}/")
