"""Which engine a text means, what it needs, and the messages of a prompt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from autoforge.errors import BadInput
from autoforge.llm.rendering import (
    check_template,
    check_templates,
    detect_engine,
    find_variables,
    needed_variables,
    render_messages,
)
from tests.llm.texts import errors_of


class TestDetection:
    @pytest.mark.parametrize(
        "text",
        [
            "{% if a %}x{% endif %}",
            "{{ a | upper }}",
            "{{ a['b'] }}",
            "{# note #}",
            "{{ f(x) }}",
            '{{"a", "b"}}',
            "{{ a or b }}",
            "{{ a if b else c }}",
            "{{ a + 1 }}",
            "{%- set x = 1 -%}",
            "{{ a | }}",
        ],
    )
    def test_jinja2(self, text: str) -> None:
        assert detect_engine(text) == "jinja2"

    @pytest.mark.parametrize(
        "text", ["", "plain", "{{a}} {{b.c}}", "100 {%", "style={{color: 'red'}}", "{ % if }", "${x}", "{{user name}}"]
    )
    def test_mustache(self, text: str) -> None:
        assert detect_engine(text) == "mustache"

    # Each of these took time in the square of its length; in the lengths here, hours.
    @pytest.mark.parametrize("opening", ["{#", "{%a", "{% a ", "{{", "{{ ", "{{a ", "{{ a.", "{{-", "{% ", "{"])
    def test_openings_without_an_end_are_read_once(self, opening: str) -> None:
        text = opening * 300_000
        assert detect_engine(text) == "mustache"
        assert detect_engine(f"{text} {{{{ a }}}}") == "mustache"

    @pytest.mark.parametrize("text", ["{# {# #}", "{% {% if a %}", "{%a {#", "{#} {% b %}", "{#}"])
    def test_an_end_belongs_to_the_first_opening_before_it(self, text: str) -> None:
        assert detect_engine(text) == ("jinja2" if text.endswith(("#}", "%}")) and text != "{#}" else "mustache")

    def test_several_texts_are_looked_at_together(self) -> None:
        assert detect_engine("{{a}}", "{% if a %}", "b") == "jinja2"
        assert detect_engine("{{ a + 1 }}", "{{ 'a }}") == "jinja2"
        assert detect_engine() == detect_engine("{{a}}", "{{ 'a }}") == "mustache"

    def test_what_is_beyond_the_bounds_of_jinja2_is_not_parsed(self) -> None:
        assert detect_engine("{{ 1+x }}" * 6_000) == "mustache"
        assert detect_engine("{{ [" + "1," * 20_000 + "1] }}") == "mustache"
        broken = "{{ [" + "1," * 12_000 + "1] }} {{ 'a }}"
        assert detect_engine(broken, broken, broken, "{{ a + 1 }}") == "mustache"


class TestVariables:
    def test_in_order_of_first_use(self) -> None:
        assert find_variables("{{b}} {{ a.x }} {{b}} {{c d}}") == ["b", "a", "c d"]
        text = (
            "{% for x in zeta %}{{ x }}{{ beta }}{% endfor %}{{ alpha|default(1) }}{{ range(2) }}{% set q = 1 %}{{ q }}"
        )
        assert find_variables(text, "jinja2") == ["zeta", "beta", "alpha"]

    def test_broken_templates_and_those_beyond_the_bounds_need_nothing(self) -> None:
        long = "{{ [" + "1," * 12_000 + "b] }}"
        assert needed_variables(["{{ a }}", "{% if %}", long, "{{ c }}", long], "jinja2") == ["a", "b", "c"]
        assert needed_variables([long, long, "{{ c }}"], "jinja2") == ["b"]
        assert needed_variables(["{{ a }}{{ b }}" * 9_000, "{{ c }}"], "mustache") == ["a", "b", "c"]

    def test_the_first_broken_one_of_several_is_pointed_at(self) -> None:
        with pytest.raises(BadInput) as caught:
            check_templates(["{{ a }}", "{% if %}", "{% for %}"], "jinja2", ["/0", "/1", "/2"])
        assert [error.pointer for error in caught.value.errors] == ["/1"]

    def test_a_syntax_error_is_bad_input(self) -> None:
        with pytest.raises(BadInput, match="Line 2"):
            find_variables("\n{% if %}")
        with pytest.raises(BadInput, match="Line 1"):
            check_template("{% if %}")
        check_template("{% if x %}{% endif %}")


@dataclass
class AMessage:
    role: str
    content: Any
    extras: dict[str, Any] = field(default_factory=dict)


@dataclass
class AVariable:
    name: str
    required: bool = True
    has_default: bool = False
    default: Any = None


@dataclass
class APrompt:
    messages: list[AMessage]
    variables: list[AVariable] = field(default_factory=list)
    engine: str = "mustache"


class TestMessages:
    def test_fills_texts_and_parts(self) -> None:
        picture = {"type": "image_url", "image_url": {"url": "{{url}}"}}
        prompt = APrompt([AMessage("system", "Be {{how}}{{extra}}."), AMessage("user", [picture], {"name": "x"})])
        prompt.variables = [AVariable("how", has_default=True, default="kind"), AVariable("extra", required=False)]
        assert render_messages(prompt, {"url": "data:"}) == [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}], "name": "x"},
        ]

    def test_names_what_is_missing_in_all_messages(self) -> None:
        prompt = APrompt([AMessage("system", "{{a}}"), AMessage("user", "{{b}}{{a}}")])
        with pytest.raises(BadInput) as caught:
            render_messages(prompt, {})
        assert [error.pointer for error in caught.value.errors] == ["/variables/a", "/variables/b"]

    def test_a_broken_template_is_pointed_at(self) -> None:
        with pytest.raises(BadInput) as caught:
            render_messages(APrompt([AMessage("user", [{"text": "{% if %}"}])], engine="jinja2"), {})
        assert caught.value.errors[0].pointer == "/messages/0/content/0/text"

    def test_all_messages_share_one_budget(self) -> None:
        bomb = "{% for a in range(99999) %}{% for b in range(99999) %}{{ 1 }}{% endfor %}{% endfor %}"
        with pytest.raises(BadInput) as caught:
            render_messages(APrompt([AMessage("user", bomb)] * 1_000, engine="jinja2"), {})
        assert [error.pointer for error in caught.value.errors] == ["/messages/0/content"]

    @pytest.mark.parametrize("engine", ["mustache", "jinja2", "none"])
    def test_all_messages_share_one_bound_of_characters(self, engine: str) -> None:
        text = "{{ a }}" if engine != "none" else "x" * 900_000
        with pytest.raises(BadInput, match="longer than") as caught:
            render_messages(APrompt([AMessage("user", text)] * 1_000, engine=engine), {"a": "x" * 900_000})
        assert [error.pointer for error in caught.value.errors] == ["/messages/8/content"]

    def test_a_choice_does_not_depend_on_other_messages(self) -> None:
        message = AMessage("user", "{{ range(1000) | choice }}")
        assert len({m["content"] for m in render_messages(APrompt([message] * 5, engine="jinja2"), {})}) == 1

    def test_half_a_surrogate_pair_is_bad_input(self) -> None:
        prompt = APrompt([AMessage("user", "{{ '\\ud83d' }}{{ x }}")], engine="jinja2")
        with pytest.raises(BadInput, match="surrogate") as caught:
            render_messages(prompt, {"x": "\ude00"})
        assert caught.value.errors[0].pointer == "/messages/0/content"
        caught.value.detail.encode()
        errors_of("{{ {}['\\ud800'] }}")[0][1].encode()
        assert "surrogate" in errors_of("{{ x }}", {"x": {"\ud800": 1}})[0][1]
