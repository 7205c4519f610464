"""Members are found and things are called as Jinja2 itself finds and calls them."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Any

import pytest
from jinja2 import Environment, StrictUndefined, UndefinedError, pass_context
from markupsafe import Markup

from autoforge.web.filling import QuickEnvironment


class Thing(StrEnum):
    ONE = "<one>"


class Row:
    name = "attribute"

    def __getitem__(self, name: str) -> str:
        return f"item {name}"

    def told(self, *given: Any, **named: Any) -> str:
        return f"{given} {named}"


@pass_context
def knowing(context: Any, name: str) -> str:
    return str(context[name])


VALUES: dict[str, Any] = {
    "row": {"name": "<n>", "items": [1, 2], "get": 3, "inner": {"x": 1}},
    "thing": Row(),
    "knowing": knowing,
    "remembered": lru_cache(str.upper),
    "things": [1, 2],
    "values": [1, -1.5, None, True, 10**30, "<&'\">", Markup("<b>"), Thing.ONE, Exception("<e>")],
}


def rendered(kind: type[Environment], template: str) -> str:
    try:
        return kind(autoescape=True, undefined=StrictUndefined).from_string(template).render(VALUES)
    except UndefinedError as error:
        return f"undefined: {error}"


@pytest.mark.parametrize(
    "template",
    [
        "{{ row.name }} {{ row.inner.x }} {{ row['items'] }} {{ row.get('name') }} {{ row.items() | list }}",
        "{{ row.nothing }}",
        "{% for value in values %}{{ value }}{{ value | string }}{{ value ~ '<' }}{% endfor %}",
        "{% macro m(a) %}{{ a }}{% endmacro %}{% for value in values %}{{ m(value) }}{{ m(m(value)) }}{% endfor %}",
        "{% autoescape false %}{% for value in values %}{{ value }}{% endfor %}{% endautoescape %}",
        "{{ row.nothing is defined }} {{ row.nothing | default('none') }}",
        "{{ thing.name }} {{ thing.other }} {{ thing.told(1, x=2) }} {{ 'a'.upper() }} {{ remembered('b') }}",
        "{% set name = 'mine' %}{{ knowing('name') }}",
        "{% for one in things %}{% set x = one %}{{ thing.told(x) }}{{ loop.cycle('a', 'b') }}{% endfor %}",
        "{% macro m(a, b='<b>') %}{{ a }}{{ b }}{{ caller('<c>') if caller else '' }}{% endmacro %}{{ m('<a>') }}"
        "{% call(c) m(1, b=2) %}{{ c }}{% endcall %}{% for one in things %}{{ m(one) }}{% endfor %}",
        "{{ range(3) | list }} {{ namespace(a=1).a }} {{ row.inner.x }}",
    ],
)
def test_as_jinja_does_it(template: str) -> None:
    assert rendered(QuickEnvironment, template) == rendered(Environment, template)
