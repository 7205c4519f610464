"""Reading assertions: what is accepted, and where the error points when it is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoforge.errors import BadInput
from autoforge.evaluations.assertions import expand_short, parse_assertion, parse_assertions
from autoforge.evaluations.assertions.registry import ASSERT_SET, KINDS
from autoforge.evaluations.cases import Assertion
from autoforge.evaluations.config import config_schema


def test_all_parts_are_kept() -> None:
    raw = {
        "type": "not-icontains",
        "value": "x",
        "threshold": 0.5,
        "weight": 2,
        "metric": "Tone",
        "transform": ["fence", "json.a"],
        "min": 1,
        "config": {"a": 1},
    }
    parsed = parse_assertion(raw, "")
    expected = Assertion(
        "icontains", "x", True, 0.5, 2.0, "Tone", ("fence", "json.a"), settings={"min": 1, "config": {"a": 1}}
    )
    assert parsed == expected
    assert parsed.label == "not-icontains"


def test_sets_hold_their_parts() -> None:
    raw = {"type": "assert-set", "threshold": 0.5, "assert": [{"type": "is-json"}, "contains: x"]}
    parsed = parse_assertion(raw, "")
    assert parsed.type == ASSERT_SET
    assert [part.type for part in parsed.parts] == ["is-json", "contains"]


@pytest.mark.parametrize(
    ("raw", "pointer", "message"),
    [
        (5, "", "an assertion is an object"),
        (None, "", "an assertion is an object"),
        ({"value": "x"}, "/type", "needs a type"),
        ({"type": "contans", "value": "x"}, "/type", "did you mean contains?"),
        ({"type": "not-is_json"}, "/type", "did you mean not-is-json?"),
        ({"type": "zzzzzz"}, "/type", "zzzzzz is not a known assertion type"),
        ({"type": "equals"}, "/value", "equals needs a value"),
        ({"type": "contains"}, "/value", "must be a text"),
        ({"type": "contains", "value": ""}, "/value", "not empty"),
        ({"type": "contains", "value": ["x"]}, "/value", "must be a text"),
        ({"type": "contains-all", "value": []}, "/value", "a list of texts"),
        ({"type": "contains-any", "value": [{"a": 1}]}, "/value", "each item"),
        ({"type": "regex", "value": "("}, "/value", "not a valid regular expression"),
        ({"type": "regex", "value": "a", "min": "x"}, "/min", "must be a number"),
        ({"type": "regex", "value": "a", "min": 3, "max": 2}, "/min", "must not be larger"),
        ({"type": "word-count", "value": "many"}, "/value", "number of words"),
        ({"type": "word-count", "value": {"min": -1}}, "/value/min", "0 or more"),
        ({"type": "word-count", "value": {}}, "/value", "number of words"),
        ({"type": "is-json", "value": {"type": "objekt"}}, "/value", "not valid"),
        ({"type": "is-json", "value": 5}, "/value", "a JSON schema is an object"),
        ({"type": "contains-json", "value": "{: ["}, "/value", "neither a JSON schema"),
        ({"type": "is-json", "value": {"patternProperties": {"(": True}}}, "/value", "regex"),
        ({"type": "is-xml", "value": ["a"]}, "/value", "requiredElements"),
        ({"type": "is-sql", "value": {"databaseType": "dBase"}}, "/value/databaseType", "must be one of"),
        ({"type": "is-sql", "value": {"allowedTables": ["("]}}, "/value/allowedTables/0", "regular expression"),
        ({"type": "is-sql", "value": "MySQL"}, "/value", "an object with databaseType"),
        ({"type": "bleu", "value": 3}, "/value", "reference text"),
        ({"type": "bleu", "value": "x", "tokenize": "x"}, "/tokenize", "must be one of"),
        ({"type": "bleu", "value": "x", "threshold": 50}, "/threshold", "from 0 to 1"),
        ({"type": "rouge-n", "value": "x", "n": 0}, "/n", "from 1 to 9"),
        ({"type": "meteor", "value": "x", "alpha": 2}, "/alpha", "out of range"),
        ({"type": "levenshtein", "value": "x", "threshold": -1}, "/threshold", "must not be negative"),
        ({"type": "levenshtein", "value": ["x"]}, "/value", "must be a text"),
        ({"type": "latency"}, "/threshold", "milliseconds"),
        ({"type": "cost"}, "/threshold", "USD"),
        ({"type": "not-cost", "metric": "usd"}, "/threshold", "USD"),
        ({"type": "finish-reason"}, "/value", "reason to stop"),
        ({"type": "equals-number", "value": "none"}, "/value", "no number"),
        ({"type": "equals-number", "value": 1, "extract": "middle"}, "/extract", "last or first"),
        ({"type": "equals-number", "value": 1, "tolerance": -1}, "/tolerance", "0 or more"),
        ({"type": "python", "value": "def ("}, "/value", "not valid Python"),
        ({"type": "python"}, "/value", "Python expression"),
        ({"type": "python", "value": "output == '{{expected}}'"}, "/value", "context['vars']"),
        ({"type": "is-valid-openai-tools-call", "value": "x: 1"}, "/value", "list of declared tools"),
        ({"type": "is-valid-openai-tools-call", "value": [1]}, "/value/0", "name of a function"),
        ({"type": "is-json", "threshold": "high"}, "/threshold", "must be a number"),
        ({"type": "is-json", "threshold": True}, "/threshold", "must be a number"),
        ({"type": "is-json", "threshold": float("nan")}, "/threshold", "finite"),
        ({"type": "is-json", "threshold": 10**400}, "/threshold", "finite"),
        ({"type": "is-json", "weight": -1}, "/weight", "must not be negative"),
        ({"type": "is-json", "metric": 5}, "/metric", "must be a text"),
        ({"type": "is-json", "transform": "a b()"}, "/transform", "is not a transform"),
        ({"type": "is-json", "transform": ["fence", "regex:("]}, "/transform/1", "regular expression"),
        ({"type": "is-json", "tresholds": 1}, "/tresholds", "did you mean threshold?"),
        ({"type": "contains", "value": "a", "weigth": 0}, "/weigth", "did you mean weight?"),
        ({"type": "contains", "value": "a", "metirc": "m"}, "/metirc", "did you mean metric?"),
        ({"type": "is-json", "vlaue": {}}, "/vlaue", "did you mean value?"),
        ({"type": "equals-number", "value": 1, "tolerence": 1}, "/tolerence", "did you mean tolerance?"),
        ({"type": "rouge-n", "value": "a", "N": 2}, "/N", "did you mean n?"),
        ({"type": "is-sql", "value": {"allowedTable": []}}, "/value/allowedTable", "did you mean allowedTables?"),
        ({"type": "is-sql", "value": {"databasetype": "x"}}, "/value/databasetype", "did you mean databaseType?"),
        ({"type": "is-xml", "value": {"requiredElement": ["a"]}}, "/value/requiredElement", "requiredElements?"),
        ({"type": "word-count", "value": {"min": 1, "mx": 2}}, "/value/mx", "did you mean max?"),
        ({"type": "word-count", "value": {"min": 1, "a/b": 2}}, "/value/a~1b", "known are count, max, min"),
        ({"type": "assert-set", "threshold": 3, "assert": ["is-json"]}, "/threshold", "a score from 0 to 1"),
        ({"type": "assert-set", "metirc": "m", "assert": ["is-json"]}, "/metirc", "did you mean metric?"),
        ({"type": "assert-set"}, "/assert", "list of assertions"),
        ({"type": "assert-set", "assert": []}, "/assert", "list of assertions"),
        ({"type": "assert-set", "assert": [{"type": "is-json"}, {"type": "x"}]}, "/assert/1/type", "not a known"),
        ({"type": "not-assert-set", "assert": [{"type": "is-json"}]}, "/type", "cannot be negated"),
    ],
)
def test_errors_point_at_the_place(raw: Any, pointer: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_assertion(raw, "/tests/0/assert/1")
    error = caught.value.errors[0]
    assert error.pointer == f"/tests/0/assert/1{pointer}"
    assert message in error.message


def test_endless_sets_are_refused() -> None:
    raw: dict[str, Any] = {"type": "is-json"}
    for _ in range(2000):
        raw = {"type": "assert-set", "assert": [raw]}
    with pytest.raises(BadInput, match="nested"):
        parse_assertion(raw, "")


def test_a_deep_value_is_refused() -> None:
    value: Any = "x"
    for _ in range(20_000):
        value = [value]
    with pytest.raises(BadInput):
        parse_assertion({"type": "is-json", "value": value}, "")


def test_templates_and_files_are_checked_when_they_are_known() -> None:
    for value in ("{{pattern}}(", "file://pattern.txt"):
        assert parse_assertion({"type": "regex", "value": value}, "").value == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Paris", {"type": "equals", "value": "Paris"}),
        ("equals: Paris", {"type": "equals", "value": "Paris"}),
        ("contains: x", {"type": "contains", "value": "x"}),
        ("not-icontains:X y", {"type": "not-icontains", "value": "X y"}),
        ("icontains-any: a,b", {"type": "icontains-any", "value": "a,b"}),
        ("is-json", {"type": "is-json"}),
        ("not-is-json", {"type": "not-is-json"}),
        ('is-json: {"type": "object"}', {"type": "is-json", "value": '{"type": "object"}'}),
        ("regex: ^a:b$", {"type": "regex", "value": "^a:b$"}),
        ("starts-with: Yes", {"type": "starts-with", "value": "Yes"}),
        ("levenshtein(3): kitten", {"type": "levenshtein", "value": "kitten", "threshold": 3.0}),
        ("levenshtein: kitten", {"type": "levenshtein", "value": "kitten"}),
        ("rouge-n(0.6): a b", {"type": "rouge-n", "value": "a b", "threshold": 0.6}),
        ("similar: hi", {"type": "similar", "value": "hi", "threshold": 0.8}),
        ("similar(0.9): hi", {"type": "similar", "value": "hi", "threshold": 0.9}),
        ("latency(500)", {"type": "latency", "threshold": 500.0}),
        ("cost: 0.01", {"type": "cost", "value": "0.01", "threshold": 0.01}),
        ("fn: output.length > 3", {"type": "javascript", "value": "output.length > 3"}),
        ("python: len(output) > 3", {"type": "python", "value": "len(output) > 3"}),
        ("file://checks.py:good", {"type": "python", "value": "file://checks.py:good"}),
        ("grade: polite", {"type": "llm-rubric", "value": "polite"}),
        ("llm-rubric: polite", {"type": "llm-rubric", "value": "polite"}),
        ("equals-number: 5", {"type": "equals-number", "value": "5"}),
        ("Answer: 5", {"type": "equals", "value": "Answer: 5"}),
        ("contains", {"type": "equals", "value": "contains"}),
        ("python", {"type": "equals", "value": "python"}),
        ("", {"type": "equals", "value": ""}),
        ("equals:", {"type": "equals", "value": ""}),
        ("not-equals: ", {"type": "not-equals", "value": ""}),
        ("is-json:", {"type": "is-json"}),
    ],
)
def test_short_texts(text: str, expected: dict[str, Any]) -> None:
    assert expand_short(text) == expected
    parse_assertion(text, "")


def test_lists() -> None:
    assert parse_assertions(None) == ()
    assert len(parse_assertions("is-json")) == 1
    assert len(parse_assertions([{"type": "is-json"}, "x"], "/assert")) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    kind=st.sampled_from([*KINDS, ASSERT_SET, "x"]),
    value=JSON,
    rest=st.dictionaries(st.text(max_size=9), JSON, max_size=2),
)
def test_any_json_is_an_assertion_or_bad_input(kind: str, value: Any, rest: dict[str, Any]) -> None:
    raw = {**rest, "type": kind, "value": value}
    try:
        parsed, pointers = parse_assertion(raw, "/a"), ["/a"]
    except BadInput as problem:
        parsed, pointers = None, [error.pointer for error in problem.errors]
    assert pointers
    assert all(pointer.startswith("/a") for pointer in pointers)
    assert parsed is None or parsed.type == kind


def test_every_setting_is_in_the_published_schema() -> None:
    published = config_schema()["$defs"]["assertion"]["properties"].keys()
    for kind in KINDS.values():
        assert (kind.settings or frozenset()) <= published, kind.name
