"""Filling values of a row into what the configuration says about all rows.

``{{ name.path | filter }}`` is replaced when ``name`` is one of the names that are offered here (``row``, ``index``,
``args``, ``each``); every other ``{{...}}`` is left for the prompt and for scoring. A text that is nothing but one
reference becomes the value itself, so lists and numbers stay what they are. What is filled in is data and never read as
a template again.

Filters: ``strip``, ``lower``, ``upper``, ``regex`` (escapes the text for use in a regular expression).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from autoforge.errors import BadInput
from autoforge.reading.paths import MISSING, follow

# After the name comes either a path (with the white space behind it) or white space: both would try every division.
_REFERENCE = re.compile(r"\{\{-?\s*([^\W\d]\w*)(?:((?:\.|\[)[^{}|]*)|\s*)((?:\|\s*\w+\s*)*)-?\}\}")
_TEMPLATE_MARKS = re.compile(r"\{\{|\{%|\{#")

_FILTERS: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "lower": str.lower,
    "upper": str.upper,
    "regex": re.escape,
}


def fill(template: Any, values: Mapping[str, Any], *, literal: bool = True) -> Any:
    """The template with its references replaced, all through it. Raises BadInput for one that leads nowhere.

    ``literal`` protects what is filled into texts from being read as a template when scoring renders them.
    """
    if isinstance(template, str):
        return _text(template, values, literal) if "{{" in template else template
    if isinstance(template, list):
        return [fill(item, values, literal=literal) for item in template]
    if isinstance(template, dict):
        return {key: fill(item, values, literal=literal) for key, item in template.items()}
    return template


def protect(value: Any) -> Any:
    """Data that must not be read as a template: marks are wrapped so that rendering gives the data back."""
    if isinstance(value, str):
        return f"{{% raw %}}{value}{{% endraw %}}" if _TEMPLATE_MARKS.search(value) else value
    if isinstance(value, list):
        return [protect(item) for item in value]
    if isinstance(value, dict):
        return {key: protect(item) for key, item in value.items()}
    return value


def _text(template: str, values: Mapping[str, Any], literal: bool) -> Any:
    whole = _REFERENCE.fullmatch(template.strip())
    if whole and whole[1] in values:
        found = _value(whole, values)
        return protect(found) if literal else found

    def replace(match: re.Match[str]) -> str:
        if match[1] not in values:
            return match[0]
        text = _as_text(_value(match, values))
        return protect(text) if literal else text

    return _REFERENCE.sub(replace, template)


def _value(match: re.Match[str], values: Mapping[str, Any]) -> Any:
    name, path, filters = match[1], match[2] or "", match[3]
    if not filters:
        path = path.removesuffix("-")  # of ``-}}``
    path = path.removeprefix(".").rstrip()
    found = follow(values[name], path) if path else values[name]
    if found is MISSING:
        raise BadInput(f"{match[0]} leads nowhere: there is no {path!r}")
    for word in (part.strip() for part in filters.split("|")):
        if word:
            found = _filtered(found, word, match[0])
    return found


def _filtered(value: Any, word: str, reference: str) -> str:
    if word not in _FILTERS:
        raise BadInput(f"{reference}: there is no filter {word!r} here; there are {', '.join(_FILTERS)}")
    return _FILTERS[word](_as_text(value))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
