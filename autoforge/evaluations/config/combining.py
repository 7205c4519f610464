"""From drafts to cases: defaults first, then scenarios, then one case per combination of listed values.

The rules are promptfoo's. ``defaultTest`` gives variables, options and metadata that a test overrides, and assertions
that come before its own. A scenario runs every test with every entry of its ``config``. A variable that is a list of
texts stands for one case per text, all combinations, unless ``disableVarExpansion`` is set; other lists are values. A
variable may refer to another by ``{{name}}``.
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
from autoforge.reading.documents import read_document
from autoforge.reading.paths import MISSING

MAX_COMBINATIONS = 100_000
_MAX_HOPS = 5
_REFERENCE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def read_cases(context: Context, tests: Any) -> tuple[list[Case], dict[int, Any]]:
    """All cases of ``tests`` and ``scenarios``, and the outputs that tests bring along, by case index."""
    defaults = _defaults(context)
    cases: list[Case] = []
    given: dict[int, Any] = {}
    drafts = itertools.chain(read_tests(tests, context.spot.child("tests"), context), _scenarios(context))
    for draft in drafts:
        merged = draft if defaults is None else _merged(defaults, draft)
        for name, variables in _combinations(merged):
            if merged.given is not MISSING:
                given[len(cases)] = merged.given
            cases.append(_case(merged, name or f"#{len(cases) + 1}", variables))
        if len(cases) > MAX_CASES:
            raise draft.spot.bad(f"there are more than {MAX_CASES:,} cases")
    return cases, given


def _case(draft: Draft, name: str, variables: dict[str, Any]) -> Case:
    return Case(
        name=name,
        variables=resolve(variables),
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
    scenarios = context.root.get("scenarios") or []
    for index, raw in enumerate(scenarios):
        spot = context.spot.child("scenarios", index)
        if isinstance(raw, str):
            for path in context.find(raw, spot, None):
                source = context.source(path)
                document = read_document(source)
                listed = document.value if isinstance(document.value, list) else [document.value]
                for position, scenario in enumerate(listed):
                    inside = Spot(source.name, "", document)
                    yield from _scenario(
                        scenario, inside.child(position) if document.value is listed else inside, context
                    )
        else:
            yield from _scenario(raw, spot, context)


def _scenario(raw: Any, spot: Spot, context: Context) -> Iterator[Draft]:
    entries = raw.get("config", [{}]) if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(entries, list):
        raise spot.bad("a scenario is a mapping with a list under config, and tests")
    drafts = [read_draft(entry, spot.child("config", index), context) for index, entry in enumerate(entries)]
    tests = list(read_tests(raw.get("tests") or [{}], spot.child("tests"), context))
    for entry, test in itertools.product(drafts, tests):
        yield _merged(entry, test)


def _combinations(draft: Draft) -> Iterator[tuple[str, dict[str, Any]]]:
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
        yield _described(draft.description or "", draft.variables), dict(draft.variables)
        return
    for chosen in itertools.product(*lists.values()):
        variables = {**draft.variables, **dict(zip(lists, chosen, strict=True))}
        words = ", ".join(value if len(value) <= 40 else f"{value[:39]}…" for value in chosen)
        name = _described(draft.description, variables) if draft.description else ""
        yield f"{name} ({words})" if name else "", variables


def _expands(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _described(description: str, variables: Mapping[str, Any]) -> str:
    """The description with simple references filled in."""
    return _filled(description, variables) if "{{" in description else description


def resolve(variables: dict[str, Any]) -> dict[str, Any]:
    """The variables with ``{{name}}`` of other variables filled in, as promptfoo does before it renders a prompt."""
    for _ in range(_MAX_HOPS):
        changed = False
        for name, value in variables.items():
            if isinstance(value, str) and "{{" in value:
                text = _filled(value, {key: other for key, other in variables.items() if key != name})
                changed = changed or text != value
                variables = {**variables, name: text}
        if not changed:
            break
    return variables


def _filled(text: str, variables: Mapping[str, Any]) -> str:
    def replacement(match: re.Match[str]) -> str:
        value = variables.get(match[1])
        return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else match[0]

    return _REFERENCE.sub(replacement, text)
