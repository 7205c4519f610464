"""The tools that models were given: promptfoo checks calls of tools against `providers[].config.tools` or `.functions`.

They are handed to the assertions that check calls and do not declare tools themselves, when all models that declare
any declare the same: an assertion is the same for all models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from autoforge.evaluations.config.files import is_reference
from autoforge.evaluations.config.spots import Spot
from autoforge.evaluations.json_text import same_json

if TYPE_CHECKING:
    from autoforge.evaluations.config.context import Context

_KEYS = ("tools", "functions")
# The key whose declarations a type of promptfoo reads first.
_FIRST = {
    "is-valid-openai-tools-call": "tools",
    "is-valid-openai-function-call": "functions",
    "is-valid-function-call": "functions",
}


class ProviderTools:
    """What the models of a configuration declare, by ``tools`` and ``functions``; ``differ`` holds keys in dispute."""

    def __init__(self, raw: Any, context: Context) -> None:
        self._found: dict[str, list[Any]] = {}
        self._differ: set[str] = set()
        for key in _KEYS:
            declared = list(_declared(raw, key, context))
            if declared and all(same_json(declared[0], other) for other in declared[1:]):
                self._found[key] = declared[0]
            elif declared:
                self._differ.add(key)

    def given_to(self, raw: dict[str, Any], spot: Spot, context: Context) -> dict[str, Any]:
        """The assertion as written, with the declared tools when it checks calls and names none itself."""
        first = _FIRST.get(str(raw.get("type")).removeprefix("not-"))
        if first is None or any(raw.get(key) is not None for key in ("value", *_KEYS)):
            return raw
        for key in (first, *_KEYS):
            if key in self._found:
                return {**raw, key: self._found[key]}
        if self._differ:
            context.note(
                spot.notice("the models declare different tools; give this check its own as value, or it is an error")
            )
        return raw


def _declared(raw: Any, key: str, context: Context) -> Iterator[list[Any]]:
    """The declarations under ``config.KEY`` of each model that has any; what is no function is left out."""
    entries = raw if isinstance(raw, list) else [raw]
    for index, entry in enumerate(entries):
        for name, settings in _settings(entry):
            spot = context.spot.child("providers", index, *name, "config", key)
            listed = _content(settings.get(key), spot, context)
            items = listed if isinstance(listed, list) else []
            functions = [item for part in items for item in _flat(part, spot, context) if _is_function(item)]
            if functions:
                yield functions


def _settings(entry: Any) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """The ``config`` of an entry ``{id, config}`` or ``{"openai:gpt-4": {config}}``, and the keys that lead there."""
    if not isinstance(entry, dict):
        return
    if isinstance(entry.get("config"), dict):
        yield (), entry["config"]
        return
    for name, value in entry.items():
        if isinstance(value, dict) and isinstance(value.get("config"), dict):
            yield (str(name),), value["config"]


def _content(value: Any, spot: Spot, context: Context) -> Any:
    if not is_reference(value):
        return value
    paths = context.find(value, spot, None)
    return context.content(paths[0]) if paths else None


def _flat(item: Any, spot: Spot, context: Context) -> list[Any]:
    """An item of the list, which may name a file that holds one or several."""
    found = _content(item, spot, context)
    return found if isinstance(found, list) else [found]


def _is_function(item: Any) -> bool:
    function = item.get("function", item) if isinstance(item, dict) else None
    return isinstance(function, dict) and isinstance(function.get("name"), str)
