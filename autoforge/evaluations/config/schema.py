"""Checks a configuration against its JSON Schema and says in plain words what does not fit.

The schema (``schema.json`` beside this file) documents the shape. Its messages are made here and not by the library:
each names the place, what stands there and what may stand there. A key that nobody knows is an error when it looks
like a slip of a known one (``asert``), because what it holds would be lost in silence; other unknown keys of
promptfoo's own sections are reported and ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

from autoforge.errors import BadInput, FieldError, escaped, pointer_to
from autoforge.evaluations.config.spots import Notice, Spot
from autoforge.evaluations.near_words import near_word

ValidationError = Any  # jsonschema's, whose attributes may each be "unset" for its types; the library is loaded late

MAX_SHOWN = 20

_PLAIN_TEST = {"vars", "assert", "description"}
_PLAIN_ASSERTION = {"type", "value", "metric", "weight", "threshold"}
_TEST = re.compile(r"/tests/(\d+)")
_NAMES = {
    "string": "a text",
    "object": "a mapping",
    "array": "a list",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "nothing",
}


@lru_cache(maxsize=1)
def config_schema() -> dict[str, Any]:
    """The JSON Schema of configurations, as shipped."""
    text = files("autoforge.evaluations.config").joinpath("schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def check(value: Any, spot: Spot) -> None:
    """Raises BadInput with a pointer and a sentence for everything that does not fit the schema.

    Validating a test takes longer than all else that is done with it, so those that are as plain as most are left out.
    """
    places: list[int] | None = None
    if isinstance(value, dict) and isinstance(tests := value.get("tests"), list):
        places = [place for place, test in enumerate(tests) if not is_plain(test)]
        value = {**value, "tests": [tests[place] for place in places]}
    problems = (_back_in_place(problem, places) for problem in _problems(value))
    found = sorted(problems, key=lambda problem: problem.pointer)
    unique = list(dict.fromkeys(found))[:MAX_SHOWN]
    if unique:
        raise spot.located(BadInput(unique[0].message, errors=unique))


def is_plain(test: Any) -> bool:
    """Whether a test has nothing but variables, assertions and a description, each of which fits the schema."""
    return (
        isinstance(test, dict)
        and test.keys() <= _PLAIN_TEST
        and isinstance(test.get("vars", {}), dict)
        and isinstance(test.get("description", ""), str)
        and isinstance(assertions := test.get("assert", []), list)
        and all(map(_is_plain_assertion, assertions))
    )


def _is_plain_assertion(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and one.keys() <= _PLAIN_ASSERTION
        and isinstance(one.get("type"), str)
        and isinstance(one.get("metric", ""), str)
        and type(one.get("weight", 1)) in (int, float)
        and type(one.get("threshold", 1)) in (int, float, str)
    )


def _back_in_place(problem: FieldError, places: Sequence[int] | None) -> FieldError:
    """The problem where it stands among all tests; it was found among those of ``places``."""
    found = _TEST.match(problem.pointer)
    if found is None or places is None:
        return problem
    return replace(problem, pointer=f"/tests/{places[int(found[1])]}{problem.pointer[found.end() :]}")


@lru_cache
def known_keys(definition: str) -> frozenset[str]:
    """The keys that a part of a configuration may have (``test``, ``assertion``), or the top level (``""``)."""
    schema = config_schema()
    return frozenset((schema["$defs"][definition] if definition else schema)["properties"])


def unknown_keys(raw: Mapping[str, Any], definition: str, spot: Spot) -> Iterator[Notice]:
    """Notices for keys without meaning here. Raises BadInput for one that looks like a slip of a known key."""
    known = known_keys(definition)
    for key in raw:
        if key in known:
            continue
        if near := near_word(key, known):
            raise spot.child(key).bad(f"there is no key {key!r}; did you mean {near!r}?")
        yield spot.child(key).notice(f"the key {key!r} is not known and was ignored")


@lru_cache(maxsize=1)
def _validator() -> Any:
    import jsonschema

    return jsonschema.Draft202012Validator(config_schema())


def _problems(value: Any) -> Iterator[FieldError]:
    for error in _validator().iter_errors(value):
        yield from _explained(error)


def _explained(error: ValidationError) -> Iterator[FieldError]:
    pointer = pointer_to(*error.absolute_path)
    instance: Any = error.instance
    match error.validator:
        case "anyOf":
            yield from _of_branches(error, pointer)
        case "additionalProperties":
            yield from _extra_keys(error, pointer)
        case "type":
            yield FieldError(pointer, f"must be {_expected(error.validator_value)}, not {_shown(instance)}")
        case "enum":
            allowed = ", ".join(map(str, error.validator_value))
            yield FieldError(pointer, f"must be one of {allowed}, not {_shown(instance)}")
        case "required":
            missing = [name for name in error.validator_value if name not in instance]
            yield FieldError(pointer, f"the key {missing[0]!r} is missing")
        case "minProperties":
            yield FieldError(pointer, "must not be empty")
        case _:
            yield FieldError(pointer, f"does not fit: {error.message[:200]}")


def _of_branches(error: ValidationError, pointer: str) -> Iterator[FieldError]:
    """The problems of the one alternative that was meant, or else what may stand here."""
    branches: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.schema_path[0], []).append(inner)
    if all(inner.validator == "required" for found in branches.values() for inner in found):
        names = [name for found in branches.values() for inner in found for name in inner.validator_value]
        yield FieldError(pointer, f"one of the keys {' and '.join(map(repr, names))} is needed")
        return
    meant = [found for found in branches.values() if not any(_is_other_kind(inner) for inner in found)]
    if len(meant) >= 1:
        for inner in min(meant, key=len):
            yield from _explained(inner)
        return
    titles = " or ".join(_title(branch) for branch in error.validator_value)
    yield FieldError(pointer, f"must be {titles}, not {_shown(error.instance)}")


def _is_other_kind(error: ValidationError) -> bool:
    return error.validator == "type" and not error.path


def _extra_keys(error: ValidationError, pointer: str) -> Iterator[FieldError]:
    known = list(error.schema.get("properties", ())) if isinstance(error.schema, dict) else []
    instance: Any = error.instance
    for key in instance:
        if key not in known:
            near = near_word(key, known)
            hint = f"did you mean {near!r}?" if near else f"known are {', '.join(known)}"
            yield FieldError(f"{pointer}/{escaped(key)}", f"there is no key {key!r}; {hint}")


def _title(branch: dict[str, Any]) -> str:
    if "$ref" in branch:
        branch = config_schema()["$defs"][branch["$ref"].rpartition("/")[2]]
    return str(branch.get("title") or _expected(branch.get("type", "another value")))


def _expected(types: Any) -> str:
    return " or ".join(_NAMES.get(name, name) for name in ([types] if isinstance(types, str) else types))


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
