"""``{{name}}`` and nothing else: spaces, and dotted paths into objects and lists, are fine.

What stands between the braces and is no name stays as it is, so code samples survive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from autoforge.errors import FieldError, pointer_to
from autoforge.llm.budget import Budget
from autoforge.llm.faults import all_of, missing
from autoforge.llm.plain import as_text

_NAME = r"(?!(?:if|not|and|or|in|is|else)\b)[\w-]+(?: (?!(?:if|and|or|in|is|not|else)\b)[\w-]+)*(?:\.[\w-]+)*"
PLACEHOLDER = re.compile(r"\{\{\s*(" + _NAME + r")\s*\}\}")


def find(template: str) -> list[str]:
    """The names in order of first use; of a dotted path, the first part."""
    return list(dict.fromkeys(path.split(".")[0] for path in PLACEHOLDER.findall(template)))


def fill(template: str, variables: Mapping[str, Any], budget: Budget) -> str:
    """All placeholders at once, so that values are never searched for placeholders in their turn.

    Raises BadInput for all that are missing at once, BudgetSpent or OutputTooLong.
    """
    budget.look()
    faults: dict[FieldError, None] = {}
    known: dict[str, str] = {}
    pieces = PLACEHOLDER.split(template)  # text and paths in turn
    for position in range(1, len(pieces), 2):
        path = pieces[position]
        if path not in known:
            value, fault = _look_up(path, variables)
            known[path], fault = ("", fault) if fault else _written(path, value)
            if fault:
                faults[fault] = None
        pieces[position] = known[path]
        budget.put(len(known[path]))
    if faults:
        raise all_of(faults)
    budget.put(sum(map(len, pieces[::2])))
    return "".join(pieces)


def _look_up(path: str, variables: Mapping[str, Any]) -> tuple[Any, FieldError | None]:
    """A value by its whole name first (a CSV column may be called ``user.name``), else step by step."""
    if path in variables:
        return variables[path], None
    name, *steps = path.split(".")
    if name not in variables:
        return None, missing(name)
    value = variables[name]
    for depth, step in enumerate(steps):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list | tuple) and step.isdecimal() and int(step[:9]) < len(value):
            value = value[int(step[:9])]
        else:
            pointer = pointer_to("variables", name, *steps[: depth + 1])
            owner = ".".join([name, *steps[:depth]])
            return None, FieldError(pointer, f"The variable {owner!r} has no {step!r}.")
    return value, None


def _written(path: str, value: Any) -> tuple[str, FieldError | None]:
    try:
        return as_text(value), None
    except (RecursionError, ValueError):  # nested without end, or an integer of thousands of digits
        pointer = pointer_to("variables", *path.split("."))
        return "", FieldError(pointer, f"The variable {path!r} cannot be written as text.")
