"""Cases and assertions as JSON, in the shape in which people write them in configurations.

What a suite stores can so be read, compared and exported again as it was written; defaults are left out. Reading takes
back what writing gave and checks nothing beyond the types that the nouns need: checking is the configuration's part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.cases import Assertion, Case

_ASSERTION_KEYS = frozenset(("type", "value", "threshold", "weight", "metric", "transform", "assert"))


def case_to_json(case: Case) -> dict[str, Any]:
    """The case as JSON values."""
    raw: dict[str, Any] = {"name": case.name}
    if case.variables:
        raw["vars"] = dict(case.variables)
    if case.expected is not None:
        raw["expected"] = case.expected
    if case.assertions:
        raw["assert"] = [assertion_to_json(assertion) for assertion in case.assertions]
    if case.threshold is not None:
        raw["threshold"] = case.threshold
    if case.transform:
        raw["transform"] = _listed(case.transform)
    if case.metadata:
        raw["metadata"] = dict(case.metadata)
    return raw


def case_from_json(raw: Mapping[str, Any]) -> Case:
    """What ``case_to_json`` wrote. Raises BadInput for anything else."""
    try:
        return Case(
            name=raw["name"],
            variables=raw.get("vars", {}),
            expected=raw.get("expected"),
            assertions=tuple(assertion_from_json(item) for item in raw.get("assert", ())),
            threshold=raw.get("threshold"),
            transform=_joined(raw.get("transform")),
            metadata=raw.get("metadata", {}),
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise BadInput("this is not a stored test case") from problem


def assertion_to_json(assertion: Assertion) -> dict[str, Any]:
    """The assertion as JSON values."""
    raw: dict[str, Any] = {"type": assertion.label}
    if assertion.value is not None or assertion.type == "equals":
        raw["value"] = assertion.value
    if assertion.threshold is not None:
        raw["threshold"] = assertion.threshold
    if assertion.weight != 1.0:
        raw["weight"] = assertion.weight
    if assertion.metric is not None:
        raw["metric"] = assertion.metric
    if assertion.transform:
        raw["transform"] = _listed(assertion.transform)
    if assertion.parts:
        raw["assert"] = [assertion_to_json(part) for part in assertion.parts]
    return {**assertion.settings, **raw}


def assertion_from_json(raw: Mapping[str, Any]) -> Assertion:
    """What ``assertion_to_json`` wrote. Raises BadInput for anything else."""
    try:
        written: str = raw["type"]
        return Assertion(
            type=written.removeprefix("not-"),
            value=raw.get("value"),
            negated=written.startswith("not-"),
            threshold=raw.get("threshold"),
            weight=raw.get("weight", 1.0),
            metric=raw.get("metric"),
            transform=_joined(raw.get("transform")),
            parts=tuple(assertion_from_json(part) for part in raw.get("assert", ())),
            settings={key: value for key, value in raw.items() if key not in _ASSERTION_KEYS},
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise BadInput("this is not a stored assertion") from problem


def _listed(transform: str | tuple[str, ...]) -> str | list[str]:
    return transform if isinstance(transform, str) else list(transform)


def _joined(transform: Any) -> str | tuple[str, ...] | None:
    return tuple(transform) if isinstance(transform, list) else transform
