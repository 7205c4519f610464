"""JSON Schema for assertions: Draft 2020-12 unless the schema names another, no remote reference is ever fetched.

promptfoo reads draft-07. A schema that names no draft and uses what 2020-12 has no longer (a list under `items`,
`additionalItems`, `dependencies`) is read with these keywords added; `definitions` work in both. `format` is asserted,
as ajv-formats does.

Compiled validators are cached by the text of the schema. Patterns are searched with the time limit of patterns.py:
`pattern` by our own keyword, `patternProperties` by trying the keys first, because several keywords of the library
search them again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.assertions.formats import format_checker
from autoforge.evaluations.json_text import TOO_DEEP
from autoforge.evaluations.near_words import near_word
from autoforge.evaluations.patterns import compile_pattern, first_match, shorten
from autoforge.evaluations.scope import Scope

_OLDER = ("items", "additionalItems", "dependencies")
_BY_NAME = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"))
_DATA = frozenset(("enum", "const", "default", "examples", "example", "required", "dependentRequired"))
_NAMES = """
$id id $schema $ref $anchor $dynamicRef $dynamicAnchor $recursiveRef $recursiveAnchor $vocabulary $comment $defs allOf
anyOf oneOf not if then else properties patternProperties additionalProperties propertyNames items prefixItems contains
unevaluatedItems unevaluatedProperties additionalItems dependencies dependentSchemas dependentRequired definitions type
enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern maxItems minItems
uniqueItems maxContains minContains maxProperties minProperties required format contentEncoding contentMediaType
contentSchema title description default deprecated readOnly writeOnly examples example nullable strict name optional
"""
_KEYWORDS = tuple(_NAMES.split())

Conforms = Callable[[Any, Scope], str | None]

# The keywords of the library are functions without a place for our scope.
_current: ContextVar[Scope] = ContextVar("scope")


def compile_schema(schema: Any, *, formats: bool = True) -> Conforms:
    """A function that returns None when an instance is valid, else one sentence about the first error.

    BadInput when the schema is not valid. Without ``formats`` the `format` keyword is not asserted.
    """
    try:
        return _compiled(json.dumps(schema, sort_keys=True), formats)
    except (TypeError, ValueError) as problem:
        raise BadInput(f"the schema is not JSON: {problem}") from problem
    except RecursionError as problem:
        raise BadInput(TOO_DEEP) from problem


@lru_cache(maxsize=512)
def _compiled(text: str, formats: bool) -> Conforms:
    import jsonschema
    from referencing import Registry

    schema = json.loads(text)
    if not isinstance(schema, dict | bool):
        raise BadInput("a JSON schema is an object, or true or false")
    base = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    older = isinstance(schema, dict) and "$schema" not in schema and _is_older(schema)
    try:
        (jsonschema.Draft7Validator if older else base).check_schema(schema)  # type: ignore[arg-type]  # true and false
    except jsonschema.SchemaError as problem:
        place = "/".join(str(part) for part in problem.absolute_path)
        raise BadInput(f"the JSON schema is not valid at {place or 'its top'}: {problem.message[:300]}") from problem
    guarded = sorted(_key_patterns(schema))
    for pattern in guarded:
        compile_pattern(pattern)
    registry: Registry[Any] = Registry()
    checker = format_checker() if formats else None
    validator = _extended(base, older)(schema, registry=registry, format_checker=checker)
    return lambda instance, scope: _first_error(validator, instance, guarded, scope)


def _extended(base: Any, older: bool) -> Any:
    """The validator class with a `pattern` keyword that keeps the time limit of the scope.

    ``older`` adds the keywords of draft-07 to it, so that nothing else of the schema is read any other way.
    """
    from jsonschema import Draft7Validator, ValidationError, validators

    def pattern(_validator: Any, wanted: str, instance: Any, _schema: Any) -> Iterator[Any]:
        if isinstance(instance, str) and first_match(wanted, instance, _current.get()) is None:
            yield ValidationError(f"{shorten(instance)} does not match {shorten(wanted)}")

    added = {name: Draft7Validator.VALIDATORS[name] for name in _OLDER} if older else {}
    return validators.extend(base, {**added, "pattern": pattern})  # type: ignore[no-untyped-call]


def _is_older(schema: Any) -> bool:
    return any(
        isinstance(part.get("items"), list) or "additionalItems" in part or "dependencies" in part
        for _, part in _subschemas(schema)
    )


def slips(schema: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where a schema has a keyword that looks like a slip of a known one, and which one was probably meant."""
    for place, part in _subschemas(schema):
        for key in part:
            near = None if key in _KEYWORDS else near_word(str(key), _KEYWORDS)
            if near:
                yield (*place, str(key)), near


def _subschemas(schema: Any) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Every schema in a schema with its place; names of properties and data are passed over."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), schema)]
    while waiting:
        place, part = waiting.pop()
        if isinstance(part, list):
            waiting.extend(((*place, index), item) for index, item in enumerate(part))
        elif isinstance(part, Mapping):
            yield place, part
            for key, value in part.items():
                if key in _BY_NAME and isinstance(value, Mapping):
                    waiting.extend(((*place, key, name), item) for name, item in value.items())
                elif key not in _DATA and key not in _BY_NAME:
                    waiting.append(((*place, str(key)), value))


def _first_error(validator: Any, instance: Any, guarded: list[str], scope: Scope) -> str | None:
    from referencing.exceptions import Unresolvable

    token = _current.set(scope)
    try:
        for pattern in guarded:
            for key in _keys(instance):
                first_match(pattern, key, scope)
        problem = next(validator.iter_errors(instance), None)
    except RecursionError as failure:
        raise BadInput(TOO_DEEP) from failure
    except Unresolvable as failure:
        raise BadInput(f"the JSON schema refers to {failure.ref}, which is not part of it") from failure
    finally:
        _current.reset(token)
    if problem is None:
        return None
    place = "/".join(str(part) for part in problem.absolute_path)
    message = problem.message if len(problem.message) <= 200 else f"{problem.message[:197]}..."
    return f"{message} (at {place})" if place else message


def _key_patterns(schema: Any) -> set[str]:
    """The patterns of all patternProperties anywhere in the schema."""
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            patterns = item.get("patternProperties")
            if isinstance(patterns, Mapping):
                found.update(patterns)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return found


def _keys(instance: Any) -> set[str]:
    """The names of all properties anywhere in the instance."""
    found: set[str] = set()
    waiting = [instance]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            found.update(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return found
