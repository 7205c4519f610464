"""From drafts to cases: defaults first, then scenarios, then one case per combination of listed values.

The rules are promptfoo's. ``defaultTest`` gives variables, options and metadata that a test overrides, and assertions
that come before its own. A scenario runs every test with every entry of its ``config``. A variable that is a list whose
first item is a text stands for one case per item, all combinations, unless ``disableVarExpansion`` is set; other lists
are values. A variable may refer to another by ``{{name}}``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from autoforge.evaluations.cases import Case
from autoforge.evaluations.config.context import MAX_CASES, Context
from autoforge.evaluations.config.drafts import Draft, read_draft
from autoforge.evaluations.config.spots import Spot
from autoforge.evaluations.config.test_files import read_tests
from autoforge.evaluations.json_text import as_text
from autoforge.reading.documents import read_document
from autoforge.reading.paths import MISSING

MAX_COMBINATIONS = 100_000
MAX_FILLED = 64 * 1024 * 1024
_MAX_HOPS = 5
_REFERENCE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def read_cases(context: Context, tests: Any) -> tuple[list[Case], dict[int, Any]]:
    """All cases of ``tests`` and ``scenarios``, and the outputs that tests bring along, by case index."""
    defaults = _defaults(context)
    cases: list[Case] = []
    given: dict[int, Any] = {}
    room = _Room(context.spot)
    drafts = itertools.chain(read_tests(tests, context.spot.child("tests"), context), _scenarios(context))
    for draft in drafts:
        room.spot = draft.spot
        merged = draft if defaults is None else _merged(defaults, draft)
        for name, variables in _combinations(merged, room):
            if merged.given is not MISSING:
                given[len(cases)] = merged.given
            cases.append(_case(merged, name or f"#{len(cases) + 1}", resolve(variables, room)))
        if len(cases) > MAX_CASES:
            raise draft.spot.bad(f"there are more than {MAX_CASES:,} cases")
    return cases, given


def _case(draft: Draft, name: str, variables: dict[str, Any]) -> Case:
    return Case(
        name=name,
        variables=variables,
        assertions=draft.assertions,
        threshold=draft.threshold,
        transform=draft.transform,
        metadata=draft.metadata,
    )


def _defaults(context: Context) -> Draft | None:
    """What ``defaultTest`` says, None where it says nothing."""
    raw, spot = context.root.get("defaultTest"), context.spot.child("defaultTest")
    if isinstance(raw, str):
        return next(read_tests(raw, spot, context), None)
    return None if raw is None else read_draft(raw, spot, context)


def _merged(outer: Draft, inner: Draft) -> Draft:
    """The inner draft on top of the outer one."""
    outer_assertions = outer.assertions if inner.takes_default_assertions else ()
    return replace(
        inner,
        description=inner.description or outer.description,
        variables={**outer.variables, **inner.variables},
        assertions=(*outer_assertions, *inner.assertions),
        threshold=outer.threshold if inner.threshold is None else inner.threshold,
        transform=outer.transform if inner.transform is None else inner.transform,
        metadata={**outer.metadata, **inner.metadata},
        given=outer.given if inner.given is MISSING else inner.given,
        expands=outer.expands if inner.expands is None else inner.expands,
    )


def _scenarios(context: Context) -> Iterator[Draft]:
    """Every test of every scenario with every entry; counted before they are made."""
    total, scenarios = 0, []
    for raw, spot in _listed_scenarios(context):
        entries, tests = _scenario(raw, spot, context)
        total += len(entries) * len(tests)
        if total > MAX_CASES:
            raise spot.bad(f"there are more than {MAX_CASES:,} cases")
        scenarios.append((entries, tests))
    for entries, tests in scenarios:
        for entry, test in itertools.product(entries, tests):
            yield _merged(entry, test)


def _listed_scenarios(context: Context) -> Iterator[tuple[Any, Spot]]:
    for index, raw in enumerate(context.root.get("scenarios") or []):
        spot = context.spot.child("scenarios", index)
        if isinstance(raw, str):
            for path in context.find(raw, spot, None):
                source = context.source(path)
                document = read_document(source)
                listed = document.value if isinstance(document.value, list) else [document.value]
                for position, scenario in enumerate(listed):
                    inside = Spot(source.name, "", document)
                    yield scenario, inside.child(position) if document.value is listed else inside
        else:
            yield raw, spot


def _scenario(raw: Any, spot: Spot, context: Context) -> tuple[list[Draft], list[Draft]]:
    """The entries of its config, and its tests. Raises BadInput."""
    entries = raw.get("config", [{}]) if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(entries, list):
        raise spot.bad("a scenario is a mapping with a list under config, and tests")
    drafts = [read_draft(entry, spot.child("config", index), context) for index, entry in enumerate(entries)]
    return drafts, list(read_tests(raw.get("tests") or [{}], spot.child("tests"), context))


def _combinations(draft: Draft, room: _Room) -> Iterator[tuple[str, dict[str, Any]]]:
    """A name and the variables of each case; the name is empty when the test has no description."""
    lists = (
        {name: value for name, value in draft.variables.items() if _expands(value)}
        if draft.expands is not False
        else {}
    )
    total = 1
    for values in lists.values():
        total *= len(values)
    if total > MAX_COMBINATIONS:
        raise draft.spot.bad(f"the lists of variables make {total:,} combinations; {MAX_COMBINATIONS:,} is the most")
    if not lists:
        yield _described(draft.description or "", draft.variables, room), dict(draft.variables)
        return
    for chosen in itertools.product(*lists.values()):
        variables = {**draft.variables, **dict(zip(lists, chosen, strict=True))}
        words = ", ".join(text if len(text) <= 40 else f"{text[:39]}…" for text in map(as_text, chosen))
        name = _described(draft.description, variables, room) if draft.description else ""
        yield f"{name} ({words})" if name else "", variables


def _expands(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], str)


def _described(description: str, variables: Mapping[str, Any], room: _Room) -> str:
    """The description with simple references filled in."""
    return _filled(description, variables, room) if "{{" in description else description


class _Room:
    """How many characters may still be filled in: variables of variables double with every step."""

    def __init__(self, spot: Spot) -> None:
        self.left = MAX_FILLED
        self.spot = spot

    def take(self, text: str) -> str:
        """The text. Raises BadInput at the test that asks for too much."""
        self.left -= len(text)
        if self.left < 0:
            raise self.spot.bad(f"variables that refer to variables make more than {MAX_FILLED:,} characters")
        return text


def resolve(variables: Mapping[str, Any], room: _Room) -> dict[str, Any]:
    """The variables with ``{{name}}`` of other variables filled in, as promptfoo does before it renders a prompt.

    Raises BadInput when they would become too long.
    """
    resolved = dict(variables)
    for _ in range(_MAX_HOPS):
        changed = False
        for name, value in resolved.items():
            if isinstance(value, str) and "{{" in value:
                resolved[name] = _filled(value, resolved, room, but=name)
                changed = changed or resolved[name] != value
        if not changed:
            break
    return resolved


def _filled(text: str, variables: Mapping[str, Any], room: _Room, but: str | None = None) -> str:
    def replacement(match: re.Match[str]) -> str:
        value = None if match[1] == but else variables.get(match[1])
        known = isinstance(value, str | int | float) and not isinstance(value, bool)
        return room.take(str(value)) if known else match[0]

    return _REFERENCE.sub(replacement, text)
