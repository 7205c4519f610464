"""``{{name}}``: what is filled in, what stays, what is missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoforge.llm.rendering import find_variables, render_text
from tests.llm.texts import errors_of


class TestMustache:
    def test_fills_names_and_paths(self) -> None:
        variables = {"user": {"name": "Aya", "tags": ["x", "y"]}, "名前": "猫", "full name": "A B", "a.b": "flat"}
        text = "{{ user.name }}/{{user.tags.1}}/{{名前}}/{{full name}}/{{a.b}}"
        assert render_text(text, variables) == "Aya/y/猫/A B/flat"

    def test_values_that_are_not_text_are_json(self) -> None:
        given = {"o": {"a": [1, "é"]}, "t": True, "n": None, "f": 1.0, "s": ""}
        assert render_text("{{o}} {{t}} {{n}} {{f}} [{{s}}]", given) == '{"a": [1, "é"]} true null 1.0 []'

    def test_every_missing_variable_is_named_at_once(self) -> None:
        assert errors_of("{{a}} {{b.c}} {{a}} {{d.e}}", {"d": {}}) == [
            ("/variables/a", "The variable 'a' is missing."),
            ("/variables/b", "The variable 'b' is missing."),
            ("/variables/d/e", "The variable 'd' has no 'e'."),
        ]

    def test_what_a_variable_contains_is_not_looked_at_again(self) -> None:
        assert render_text("{{a}}{{b}}", {"a": "{{b}}", "b": "{% raw %}"}) == "{{b}}{% raw %}"

    @pytest.mark.parametrize("text", ["style={{color: 'red'}}", "{ {x} }", "{{}}", "{{ }", "{{'", "a } } b", "{{{{"])
    def test_braces_that_hold_no_name_stay(self, text: str) -> None:
        assert render_text(text, {}) == text

    def test_no_engine_leaves_the_text_alone(self) -> None:
        assert render_text("{{a}} {% if %}", {}, engine="none") == "{{a}} {% if %}"
        assert find_variables("{{a}}", "none") == []

    def test_an_unknown_engine_is_refused(self) -> None:
        assert errors_of("{{a}}", engine="erb")[0][0] == "/engine"

    def test_output_is_bounded(self) -> None:
        assert "longer than" in errors_of("{{a}}" * 100, {"a": "x" * 100_000})[0][1]

    @given(st.text(), st.text())
    def test_text_around_a_placeholder_is_kept(self, before: str, after: str) -> None:
        before, after = before.replace("{", ""), after.replace("}", "")
        assert render_text(before + "{{x}}" + after, {"x": "-"}, engine="mustache") == before + "-" + after
