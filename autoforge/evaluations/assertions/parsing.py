"""From what people write to an Assertion, with errors that point at the place.

Two spellings are read: promptfoo's object ``{type, value, threshold, weight, metric, transform, ...}``, and its
short text for tables (`__expected` in CSV): ``icontains: hello``, ``levenshtein(5): text``, ``not-regex: ^a``, or
plain text, which means equality.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from autoforge.errors import BadInput, FieldError, escaped
from autoforge.evaluations.assertions.filling import has_template
from autoforge.evaluations.assertions.kinds import Kind, Limit
from autoforge.evaluations.assertions.registry import ASSERT_SET, KINDS, nearest
from autoforge.evaluations.cases import Assertion
from autoforge.evaluations.near_words import near_word
from autoforge.evaluations.scope import is_file_reference
from autoforge.evaluations.transforms import parse_transform

KEYS = ("type", "value", "threshold", "weight", "metric", "transform", "assert")
# What every assertion of promptfoo may have, whether or not its type reads it.
PROMPTFOO_KEYS = frozenset(("config", "provider", "rubricPrompt", "contextTransform", "$comment"))
DEEPEST_SET = 8
_SHORT = re.compile(r"(not-)?([a-z][a-z0-9:-]*?)(?:\((\d+(?:\.\d+)?)\))?(?::([\s\S]*))?")
_SHORT_PREFIXES = {
    "javascript:": "javascript",
    "fn:": "javascript",
    "eval:": "javascript",
    "python:": "python",
    "grade:": "llm-rubric",
    "llm-rubric:": "llm-rubric",
}


def parse_assertion(raw: object, pointer: str = "") -> Assertion:
    """Reads one assertion. BadInput with a pointer below ``pointer`` when it makes no sense."""
    return _parse(raw, pointer, depth=0)


def parse_assertions(raw: object, pointer: str = "") -> tuple[Assertion, ...]:
    """Reads the list under ``assert``; None is an empty list, a single object or text a list of one."""
    if raw is None:
        return ()
    if not isinstance(raw, list | tuple):
        return (parse_assertion(raw, pointer),)
    return tuple(parse_assertion(item, f"{pointer}/{index}") for index, item in enumerate(raw))


def _parse(raw: object, pointer: str, depth: int) -> Assertion:
    if isinstance(raw, str):
        raw = expand_short(raw)
    if not isinstance(raw, Mapping):
        raise BadInput.at(pointer, "an assertion is an object with a type, or a short text such as icontains: hello")
    name, negated = _type_of(raw, pointer)
    settings = {str(key): value for key, value in raw.items() if key not in KEYS}
    _check_keys(name, settings, pointer)
    kind = KINDS.get(name)
    threshold = _number(raw, "threshold", pointer)
    if kind is None and threshold is not None and not 0 <= threshold <= 1:
        raise BadInput.at(f"{pointer}/threshold", "the threshold of assert-set is a score from 0 to 1")
    if kind is not None:
        _check_threshold(kind, raw, threshold, pointer)
        _check_value(kind, raw, settings, pointer)
    return Assertion(
        type=name,
        value=raw.get("value"),
        negated=negated,
        threshold=threshold,
        weight=_weight(raw, pointer),
        metric=_metric(raw, pointer),
        transform=parse_transform(raw.get("transform"), f"{pointer}/transform"),
        parts=_parts(raw, pointer, depth) if kind is None else (),
        settings=settings,
    )


def _type_of(raw: Mapping[Any, Any], pointer: str) -> tuple[str, bool]:
    written = raw.get("type")
    if not isinstance(written, str):
        raise BadInput.at(f"{pointer}/type", "an assertion needs a type, such as contains")
    name = written.removeprefix("not-")
    negated = name != written
    if name == ASSERT_SET and not negated:
        return name, False
    if name in KINDS:
        return name, negated
    if name.startswith("promptfoo:redteam:"):
        return "llm-rubric", negated
    if name == ASSERT_SET:
        raise BadInput.at(f"{pointer}/type", "assert-set cannot be negated; negate the assertions inside it")
    guess = nearest(name)
    hint = f"; did you mean {'not-' if negated else ''}{guess}?" if guess else ""
    raise BadInput.at(f"{pointer}/type", f"{written[:80]} is not a known assertion type{hint}")


def _check_keys(name: str, settings: Mapping[str, Any], pointer: str) -> None:
    """Refuses a key that looks like a slip of a known one: what it says would be lost in silence."""
    known = known_settings(name)
    for key in settings:
        near = None if key in known else near_word(key, (*KEYS, *known))
        if near:
            raise BadInput.at(f"{pointer}/{escaped(key)}", f"{key} is not a key of {name}; did you mean {near}?")


def known_settings(name: str) -> frozenset[str]:
    """The keys that an assertion of a type may have beside KEYS: those of all types, and its own."""
    kind = KINDS.get(name)
    return PROMPTFOO_KEYS | (kind.settings or frozenset() if kind is not None else frozenset())


def ignored_settings(assertion: Assertion) -> list[str]:
    """The keys of an assertion that nothing reads, in order; none for a type that cannot be scored anyway."""
    kind = KINDS.get(assertion.type)
    if not assertion.settings or (kind is not None and kind.settings is None):
        return []
    known = known_settings(assertion.type)
    return [key for key in assertion.settings if key not in known]


def _number(raw: Mapping[Any, Any], key: str, pointer: str) -> float | None:
    value = raw.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput.at(f"{pointer}/{key}", f"{key} must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadInput.at(f"{pointer}/{key}", f"{key} must be a finite number")
    return number


def _weight(raw: Mapping[Any, Any], pointer: str) -> float:
    weight = _number(raw, "weight", pointer)
    if weight is not None and weight < 0:
        raise BadInput.at(f"{pointer}/weight", "weight must not be negative (0 makes the assertion a mere measurement)")
    return 1.0 if weight is None else weight


def _metric(raw: Mapping[Any, Any], pointer: str) -> str | None:
    metric = raw.get("metric")
    if metric is not None and not isinstance(metric, str):
        raise BadInput.at(f"{pointer}/metric", "metric must be a text")
    return metric or None


def _check_threshold(kind: Kind, raw: Mapping[Any, Any], threshold: float | None, pointer: str) -> None:
    place = f"{pointer}/threshold"
    if threshold is None:
        if kind.name == "latency":
            raise BadInput.at(place, "latency needs a threshold in milliseconds")
        if kind.name == "cost" and (not raw.get("metric") or str(raw["type"]).startswith("not-")):
            raise BadInput.at(place, "cost needs a threshold in USD, or a metric to record it under")
    elif kind.limit is Limit.SCORE and not 0 <= threshold <= 1:
        raise BadInput.at(place, f"the threshold of {kind.name} is a score from 0 to 1")
    elif kind.limit is Limit.AMOUNT and threshold < 0:
        raise BadInput.at(place, f"the threshold of {kind.name} must not be negative")


def _check_value(kind: Kind, raw: Mapping[Any, Any], settings: Mapping[str, Any], pointer: str) -> None:
    """Refuses a value of the wrong shape at once, unless it is known only when a case is scored."""
    if kind.needs_value and "value" not in raw:
        raise BadInput.at(f"{pointer}/value", f"{kind.name} needs a value")
    value = raw.get("value")
    try:
        if not (has_template(settings) or (kind.name != "python" and _known_later(value))):
            kind.prepare(value, settings)
    except RecursionError as problem:
        raise BadInput.at(f"{pointer}/value", "the value is nested too deeply") from problem
    except BadInput as problem:
        errors = problem.errors or (FieldError("/value", problem.detail),)
        placed = [FieldError(f"{pointer}{error.pointer}", f"{kind.name}: {error.message}") for error in errors]
        raise BadInput(f"{kind.name}: {problem.detail}", errors=placed) from problem


def _known_later(value: Any) -> bool:
    if isinstance(value, list) and any(map(is_file_reference, value)):
        return True
    return is_file_reference(value) or has_template(value)


def _parts(raw: Mapping[Any, Any], pointer: str, depth: int) -> tuple[Assertion, ...]:
    items = raw.get("assert")
    if not isinstance(items, list | tuple) or not items:
        raise BadInput.at(f"{pointer}/assert", "assert-set needs a list of assertions under assert")
    if depth >= DEEPEST_SET:
        raise BadInput.at(f"{pointer}/assert", f"assert-sets may be nested at most {DEEPEST_SET} deep")
    return tuple(_parse(item, f"{pointer}/assert/{index}", depth + 1) for index, item in enumerate(items))


def expand_short(text: str) -> dict[str, Any]:
    """The object form of promptfoo's short text. Text that names no type means equality."""
    for prefix, kind in _SHORT_PREFIXES.items():
        if text.startswith(prefix):
            return {"type": kind, "value": text.removeprefix(prefix).strip()}
    if text.startswith("file://") and (".py" in text or ".js" in text or ".ts" in text):
        return {"type": "python" if ".py" in text else "javascript", "value": text}
    match = _SHORT.fullmatch(text)
    if match is None or match[2] not in KINDS or (match[4] is None and not _stands_alone(match[2])):
        return {"type": "equals", "value": text}
    short: dict[str, Any] = {"type": f"{match[1] or ''}{match[2]}"}
    if match[4] is not None and (match[4].strip() or match[2] == "equals"):  # ``equals:`` expects silence
        short["value"] = match[4].strip()
    threshold = _short_threshold(match[2], match[3], short.get("value"))
    if threshold is not None:
        short["threshold"] = threshold
    return short


def _short_threshold(name: str, written: str | None, value: Any) -> float | None:
    if written is not None:
        return float(written)
    if name == "similar":
        return 0.8
    if name in ("latency", "cost") and value is not None:
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _stands_alone(name: str) -> bool:
    """Whether a type makes sense without a value, so that its bare name in a table is no expected text."""
    try:
        KINDS[name].prepare(None, {})
    except BadInput:
        return False
    return not KINDS[name].needs_value
