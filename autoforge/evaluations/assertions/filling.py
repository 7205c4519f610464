"""Variables in the values of assertions: `{{name}}`, `{{list.0}}`, and any Jinja2 as in prompts.

A value that is nothing but one variable becomes that variable with its own type, so that lists, schemas and numbers
can come from a case; text around it makes it text. Values without braces never touch the renderer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.cases import Case
from autoforge.evaluations.json_text import as_text
from autoforge.llm.rendering import render_text

_ONE_VARIABLE = re.compile(r"\s*\{\{\s*([^\W\d]\w*(?:\.\w+)*)\s*\}\}\s*")


def has_template(value: Any) -> bool:
    """Whether any text inside the value, however deep, asks for variables."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(has_template(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_template(item) for item in value)
    return False


def variables_of(case: Case) -> Mapping[str, Any]:
    """The variables of a case, and `expected` where the case has an expected answer."""
    if case.expected is None or "expected" in case.variables:
        return case.variables
    return {**case.variables, "expected": case.expected}


def fill(value: Any, variables: Mapping[str, Any]) -> Any:
    """The value with all variables filled in, the same object when there are none.

    BadInput names a missing variable.
    """
    if isinstance(value, str):
        return _fill_text(value, variables) if "{{" in value or "{%" in value else value
    if isinstance(value, Mapping):
        return {key: fill(item, variables) for key, item in value.items()} if has_template(value) else value
    if isinstance(value, list | tuple):
        return [fill(item, variables) for item in value] if has_template(value) else value
    return value


def with_texts(value: Any) -> Any:
    """A filled value for a check of texts: true, false and numbers as texts, also inside a list."""
    if isinstance(value, bool | int | float):
        return as_text(value)
    if isinstance(value, list | tuple):
        return [as_text(item) if isinstance(item, bool | int | float) else item for item in value]
    return value


def _fill_text(text: str, variables: Mapping[str, Any]) -> Any:
    single = _ONE_VARIABLE.fullmatch(text)
    if single is None:
        return render_text(text, variables)
    value: Any = variables
    for part in single[1].split("."):
        value = _step(value, part)
        if value is _MISSING:
            raise BadInput(f"the variable {single[1]} is missing")
    return value


_MISSING = object()


def _step(value: Any, part: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(part, _MISSING)
    if isinstance(value, list | tuple) and part.isdecimal() and int(part) < len(value):
        return value[int(part)]
    return _MISSING
