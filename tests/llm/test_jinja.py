"""Jinja2 templates: what they can do, how they say what is wrong, and templates that mean harm."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoforge.errors import BadInput
from autoforge.llm.rendering import render_text
from tests.llm.texts import errors_of

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


class TestJinja:
    def test_renders(self) -> None:
        text = (
            "{% for r in rows if r.n > 1 %}{{ loop.index }}. {{ r.name|upper }} {{ r }}\n{% endfor %}{{ none_ or 'x' }}"
        )
        rows = [{"name": "a", "n": 1}, {"name": "b", "n": 2}]
        assert render_text(text, {"rows": rows, "none_": None}) == '1. B {"name": "b", "n": 2}\nx'

    def test_text_is_not_escaped_and_the_last_newline_stays(self) -> None:
        assert render_text("{{ a|trim }}<b>\n", {"a": " <&> "}) == "<&><b>\n"
        assert render_text("{{ a|e }}{{ '<' ~ a|safe }}", {"a": "<"}) == "&lt;<<"

    def test_json_is_plain_json(self) -> None:
        assert render_text("{{ a|tojson }} {{ a|dump }}", {"a": {"k": "<é>'"}}) == '{"k": "<é>\'"} {"k": "<é>\'"}'

    def test_every_missing_variable_is_named_at_once(self) -> None:
        text = (
            "{{ a|upper }}{{ b }}{% for x in c %}{{ x }}{% endfor %}{{ d|default('') }}{% if e is defined %}{% endif %}"
        )
        assert [pointer for pointer, _ in errors_of(text, {"b": 1})] == ["/variables/a", "/variables/c"]

    def test_a_missing_attribute_is_named(self) -> None:
        assert errors_of("{% if 1 %}{{ a.b }}{% endif %}", {"a": {}}) == [
            ("/template", "'dict object' has no attribute 'b'.")
        ]

    def test_syntax_errors_have_their_line(self) -> None:
        ((pointer, message),) = errors_of("one\ntwo {% if a %}\nthree {% endfor %}", {"a": 1})
        assert pointer == "/template"
        assert message.startswith("Line 3: ")
        assert errors_of("{{ a|shout }}", {"a": 1})[0][1].startswith("Line 1: No filter named 'shout'")

    def test_errors_at_run_time_have_their_line(self) -> None:
        assert errors_of("one\n{{ 1 // a }}", {"a": 0})[0][1].startswith("Line 2: ")

    def test_filling_a_list_changes_nothing_outside(self) -> None:
        given: dict[str, Any] = {"found": [], "names": {"a": 1}}
        text = (
            "{% for i in range(3) %}{% set _ = found.append(i) %}{% endfor %}{{ found }}{% set _ = names.update(b=2) %}"
        )
        assert render_text(text, given) == "[0, 1, 2]"
        assert given == {"found": [], "names": {"a": 1}}

    def test_choice_depends_on_the_variables_only(self) -> None:
        text = "{{ range(1000) | choice }}-{{ range(1000) | random }}"
        assert len({render_text(text, {"case": 1}) for _ in range(5)}) == 1
        assert len({render_text(text, {"case": case}) for case in range(5)}) > 1

    def test_promptsource_filters(self) -> None:
        assert render_text("{{ a | most_frequent }} {{ zip(a, a) | list }}", {"a": [1, 2, 2]}) == (
            "[2] [[1, 1], [2, 2], [2, 2]]"
        )

    def test_macros_and_call_blocks_work(self) -> None:
        text = "{% macro m(x) %}<{{ x }}{% if caller is defined %}{{ caller() }}{% endif %}>{% endmacro %}"
        text += "{{ m(1) }}{% call m(2) %}!{% endcall %}"
        assert render_text(text, {}) == "<1><2!>"

    def test_sums(self) -> None:
        given = {"x": [{"n": [1], "m": 1.5}, {"n": [2], "m": 2}]}
        assert (
            render_text("{{ x|sum('m') }} {{ x|sum('n', []) }} {{ [1, 2]|sum }} {{ []|sum }}", given)
            == "3.5 [1, 2] 3 0"
        )

    def test_long_words_are_broken(self) -> None:
        assert render_text("{{ ('a' * 100000)|wordwrap(1000)|length }}", {}) == "100099"

    def test_format_with_small_widths(self) -> None:
        assert render_text('{{ "%.2f"|format(x) }} {{ "%s-%s" % (x, y) }}', {"x": 1.234, "y": "b"}) == "1.23 1.234-b"

    @given(values)
    def test_reads_like_mustache(self, value: Any) -> None:
        assert render_text("{{ x }}", {"x": value}, engine="jinja2") == render_text("{{ x }}", {"x": value})


class TestSandbox:
    @pytest.mark.parametrize(
        "text",
        [
            "{{ ''.__class__.__mro__ }}",
            "{{ x.__init__.__globals__ }}",
            "{{ ''|attr('__class__') }}",
            "{{ '{0.__class__}'.format(1) }}",
            "{{ '{0.__class__}'.format_map({}) }}",
            "{{ self.__init__ }}",
            "{{ range.__self__ }}",
            "{% include 'etc/passwd' %}",
            "{% import 'os' as os %}",
            "{% from 'a' import b %}",
            "{% extends 'a' %}",
            "{{ cycler.__init__.__globals__.os }}",
            "{{ lipsum(n=100000) }}",
            "{{ (1).to_bytes(100000000, 'big') }}",
            "{{ x.clear() }}",
            "{% autoescape true %}{{ x }}{% endautoescape %}",
            "{{ x.values }}",
            "{{ namespace }}",
        ],
    )
    def test_refuses(self, text: str) -> None:
        assert errors_of(text, {"x": {"a": 1}}, engine="jinja2")

    @pytest.mark.parametrize(
        "text",
        [
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
            "{% for a in range(99999) %}{% set l = range(99999)|list %}{% endfor %}",
            "{% set n = namespace(s='xx') %}{% for a in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
            "{% set n = namespace(s='xx') %}{% for a in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
            "{% set n = namespace(s='xx') %}{% for a in range(99) %}{% set n.s = n.s * 9 %}{% endfor %}",
            "{% set n = namespace(s=9) %}{% for a in range(99) %}{% set n.s = n.s * n.s %}{% endfor %}",
            "{% set n = namespace(s=[1]) %}{% for a in range(99) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}",
            "{% set n = namespace(a=[1], b=[1]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}"
            "{% set n.b = [n.b, n.b] %}{% endfor %}{{ n.a == n.b }}",
            "{% set n = namespace(s='x'*999999) %}{% set l = [] %}{% for a in range(9999) %}"
            "{% set _ = l.append(n.s[1:]) %}{% endfor %}",
            "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
            "{% for x in [1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
            "{{ 'x' * 999999999 }}",
            "{{ 'x' * 9999999 * 9999999 }}",
            "{{ 9 ** 9999999 }}",
            "{{ 2.5 ** 99999 }}",
            "{{ '%999999999d' % 1 }}",
            "{{ '%*d'|format(99999999, 1) }}",
            "{{ 'x'.ljust(999999999) }}",
            "{{ 'x'|center(999999999) }}",
            "{{ ('a' * 999999).replace('a', 'b' * 999999) }}",
            "{{ ('a' * 999999)|replace('a', 'b' * 999999) }}",
            "{{ ('a' * 999999).join(['b'] * 99999) }}",
            "{{ ['b' * 99999] * 99999 | length }}",
            "{{ (['b' * 99999] * 9999)|join }}",
            "{{ (['b' * 99999] * 9999)|string }}",
            "{{ (['b' * 99999] * 9999)|upper }}",
            "{{ 1|round(999999999) }}",
            "{{ range(999999999)|list }}",
            "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}",
            "{% set l = [1] %}{% for x in l %}{% set _ = l.append(x) %}{% endfor %}",
            "{% for a in range(99999) %}" + "constant " * 999 + "{% endfor %}",
            "{% set x %}{% for a in range(99999) %}" + "constant " * 999 + "{% endfor %}{% endset %}",
            "{% set l = [] %}{% for a in range(99999) %}{% set _ = l.append([" + "1," * 999 + "]) %}{% endfor %}",
            "{{ " + "(" * 9999 + "1" + ")" * 9999 + " }}",
            "{{ " + "[" * 200 + "]" * 200 + " }}",
            "{% if 1 %}" * 500 + "{% endif %}" * 500,
            "{% for i in [1] %}" * 30 + "{% endfor %}" * 30,
            "{{ a }}" * 6000,
            "{{ 1 + " + "1 + " * 50_000 + "1 }}",
            "{{ [" + "1," * 100_000 + "1] }}",
            "{{ ([[1]] * 900000)|sum(start=[]) }}",
            "{{ ('a' * 5000000)|wordwrap(1) }}",
            "{{ " + "9" * 5000 + " }}",
        ],
        ids=lambda text: text[:70],
    )
    def test_ends_bombs(self, text: str) -> None:
        (_, message), *_ = errors_of(text, {"a": ""}, engine="jinja2")
        assert message

    def test_hostile_variables_end_in_errors(self) -> None:
        deep: Any = []
        for _ in range(100_000):
            deep = [deep]
        assert errors_of("{{ a|length }}", {"a": deep}) == [("/variables", "The variables are nested too deeply.")]
        assert errors_of("{{ a }}", {"a": deep})[0][0] == "/variables/a"
        assert errors_of("{{ a }}", {"a": 10**9999})[0][0] == "/variables/a"

    def test_the_budget_is_gone_after_a_failure(self) -> None:
        errors_of("{{ 'x' * 999999999 }}")
        assert render_text("{{ 'x' * 3 }}", {}) == "xxx"

    @given(st.text(alphabet="{}%|# abx01.()[]'\"=+*~-\n"))
    def test_any_text_renders_or_is_bad_input(self, text: str) -> None:
        with suppress(BadInput):
            render_text(text, {"a": "1", "b": [1], "x": {"a": 1}})
