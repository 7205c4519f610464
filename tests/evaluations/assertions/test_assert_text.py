"""Equality, substrings, patterns, word counts and edit distance: pass, fail, negated, error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

PASS_AND_FAIL: list[tuple[dict[str, Any], Any, Any]] = [
    ({"type": "equals", "value": "Paris"}, "Paris", "paris"),
    ({"type": "equals", "value": ""}, "", " "),
    ({"type": "equals", "value": 18}, "18", "18.0"),
    ({"type": "equals", "value": 18.0}, "18", "18.0"),
    ({"type": "equals", "value": True}, "true", "True"),
    ({"type": "equals", "value": {"a": 1, "b": [1, 2]}}, '{"b": [1, 2.0], "a": 1}', '{"b": [2, 1], "a": 1}'),
    ({"type": "equals", "value": {"a": 1}}, {"a": 1}, '{"a": true}'),
    ({"type": "equals", "value": ["x"]}, '["x"]', "not JSON"),
    ({"type": "contains", "value": "lo w"}, "hello world", "Hello World"[:5]),
    ({"type": "contains", "value": 0}, "10", "11"),
    ({"type": "icontains", "value": "WORLD"}, "hello world", "hello"),
    ({"type": "contains", "value": "a", "min": 2}, "banana", "ban"),
    ({"type": "contains", "value": "a", "max": 1}, "ban", "banana"),
    ({"type": "icontains", "value": "AN", "count": 2}, "banana", "ban"),
    ({"type": "contains-all", "value": ["a", "b"]}, "ab", "a"),
    ({"type": "contains-all", "value": 'x, "1,000"'}, "x 1,000", "x 1"),
    ({"type": "contains-any", "value": ["a", "b"]}, "b", "c"),
    ({"type": "icontains-all", "value": ["A", "b"]}, "aB", "a"),
    ({"type": "icontains-any", "value": "A, z"}, "a", "b"),
    ({"type": "starts-with", "value": "Yes"}, "Yes, sir", "yes"),
    ({"type": "ends-with", "value": "."}, "Done.", "Done"),
    ({"type": "regex", "value": r"\d{4}"}, "in 1999", "in 99"),
    ({"type": "regex", "value": r"(?m)^\* ", "count": 2}, "* a\n* b", "* a"),
    ({"type": "regex", "value": r"\w+", "min": 2, "max": 3}, "a b", "a b c d"),
    ({"type": "word-count", "value": 2}, " two  words ", "three little words"),
    ({"type": "word-count", "value": "2"}, "two words", "one"),
    ({"type": "word-count", "value": {"min": 1, "max": 2}}, "two words", ""),
    ({"type": "word-count", "value": {"max": 1}}, "", "two words"),
    ({"type": "levenshtein", "value": "sitting", "threshold": 3}, "kitten", "kit"),
    ({"type": "levenshtein", "value": "hello world"}, "hello ", "hello"),
    ({"type": "levenshtein", "value": "same", "threshold": 0}, "same", "sane"),
]


@pytest.mark.parametrize(("raw", "good", "bad"), PASS_AND_FAIL)
def test_pass_fail_and_negation(judge: Any, raw: dict[str, Any], good: Any, bad: Any) -> None:
    assert (judge(raw, good).outcome, judge(raw, good).score) == ("pass", 1.0)
    assert (judge(raw, bad).outcome, judge(raw, bad).score) == ("fail", 0.0)
    negated = {**raw, "type": f"not-{raw['type']}"}
    assert (judge(negated, good).outcome, judge(negated, good).score) == ("fail", 0.0)
    assert (judge(negated, bad).outcome, judge(negated, bad).score) == ("pass", 1.0)


def test_reasons_state_facts(judge: Any) -> None:
    assert judge({"type": "contains-all", "value": ["a", "b", "c"]}, "b").reason == 'the output lacks ["a", "c"]'
    assert judge({"type": "not-contains", "value": "x"}, "axe").reason == 'the output contains "x"'
    counted = judge({"type": "regex", "value": "a", "min": 3}, "a a")
    assert counted.reason == 'the output matches "a" 2 times, asked for at least 3'
    assert (
        judge({"type": "word-count", "value": {"min": 3}}, "a b").reason
        == "the output has 2 words, asked for at least 3"
    )


def test_a_catastrophic_pattern_is_an_error_not_a_failure(judge: Any) -> None:
    result = judge({"type": "regex", "value": "(a|aa)+$"}, "a" * 60 + "b")
    assert result.outcome == "error"
    assert "took too long" in result.reason
    assert judge({"type": "not-regex", "value": "(a|aa)+$"}, "a" * 60 + "b").outcome == "error"
    assert judge({"type": "regex", "value": "(a|aa)+$", "min": 1}, "a" * 60 + "b").outcome == "error"


def test_a_value_that_turns_out_empty_is_an_error(judge: Any) -> None:
    assert judge({"type": "contains", "value": "{{word}}"}, "text", variables={"word": ""}).outcome == "error"
    assert judge({"type": "contains-any", "value": "{{words}}"}, "text", variables={"words": []}).outcome == "error"
    assert judge({"type": "regex", "value": "{{p}}"}, "text", variables={"p": "("}).outcome == "error"


@given(text=st.text(), value=st.text(min_size=1))
def test_binary_kinds_and_their_negation_disagree(judge: Any, text: str, value: str) -> None:
    for name in ("equals", "contains", "icontains", "starts-with", "ends-with", "contains-any", "icontains-all"):
        wanted: Any = [value] if name.endswith(("any", "all")) else value
        if "{{" in value or "{%" in value or value.startswith("file://"):
            return
        plain = judge({"type": name, "value": wanted}, text)
        negated = judge({"type": f"not-{name}", "value": wanted}, text)
        assert {plain.outcome, negated.outcome} == {"pass", "fail"}
        assert plain.score + negated.score == 1


@pytest.mark.parametrize(
    ("raw", "output"),
    [
        ({"type": "icontains", "value": "{{yes}}"}, "It is True."),
        ({"type": "contains", "value": "{{yes}}"}, "true"),
        ({"type": "contains-any", "value": "{{yes}}"}, "true"),
        ({"type": "contains-all", "value": ["{{yes}}", "{{three}}"]}, "true 3"),
        ({"type": "starts-with", "value": "{{three}}"}, "3 and more"),
        ({"type": "regex", "value": "{{three}}"}, "13"),
        ({"type": "levenshtein", "value": "{{yes}}", "threshold": 0}, "true"),
        ({"type": "equals", "value": "{{yes}}"}, "true"),
        ({"type": "equals", "value": "{{list}}"}, "[1, true]"),
        ({"type": "gleu", "value": "{{three}}"}, "3"),
        ({"type": "rouge-n", "value": "{{yes}}"}, "true"),
        ({"type": "rouge-l", "value": ["{{three}}"]}, "3"),
        ({"type": "meteor", "value": "{{list}}", "threshold": 0}, "1"),
        ({"type": "bleu", "value": "{{three}}", "threshold": 0}, "3"),
    ],
)
def test_variables_that_are_no_texts_stand_for_their_text(judge: Any, raw: dict[str, Any], output: str) -> None:
    variables = {"yes": True, "three": 3.0, "list": [1, True]}
    assert judge(raw, output, variables=variables).outcome == "pass"


def test_a_long_distance_is_not_counted_to_its_end(judge: Any) -> None:
    assert judge({"type": "levenshtein", "value": "a"}, "b" * 20_000).reason == "the edit distance is more than 5"
    assert judge({"type": "levenshtein", "value": "a"}, "b" * 20).reason == "the edit distance is 20, more than 5"
