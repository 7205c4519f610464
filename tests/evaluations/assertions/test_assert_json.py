"""JSON, schemas and tool calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autoforge.evaluations.assertions import parse_assertion
from autoforge.evaluations.cases import Case, Output
from autoforge.evaluations.scoring import Scope, score_case

PERSON = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "age": {"minimum": 0}}}


@pytest.mark.parametrize("text", ["{}", "[1]", ' "x"\n', "null", "1e400", "9" * 5000, '{"a": 1, "a": 2}', "-0"])
def test_is_json(judge: Any, text: str) -> None:
    assert judge({"type": "is-json"}, text).outcome == "pass"
    assert judge({"type": "not-is-json"}, text).outcome == "fail"


@pytest.mark.parametrize("text", ["", "{", "NaN", "[1,]", "{'a': 1}", "01", '"\t"', "text", "\ufeff{}", "[1] [2]"])
def test_is_not_json(judge: Any, text: str) -> None:
    assert judge({"type": "is-json"}, text).outcome == "fail"
    assert judge({"type": "not-is-json"}, text).outcome == "pass"


def test_structured_output_is_json_already(judge: Any) -> None:
    assert judge({"type": "is-json", "value": PERSON}, {"name": "Ada"}).outcome == "pass"
    assert judge({"type": "contains-json", "value": PERSON}, {"name": "Ada"}).outcome == "pass"


@pytest.mark.parametrize("kind", ["is-json", "contains-json"])
def test_schema(judge: Any, kind: str) -> None:
    assert judge({"type": kind, "value": PERSON}, '{"name": "Ada"}').outcome == "pass"
    failed = judge({"type": kind, "value": PERSON}, '{"name": "Ada", "age": -1}')
    assert failed.outcome == "fail"
    assert "-1 is less than the minimum of 0 (at age)" in failed.reason
    assert judge({"type": f"not-{kind}", "value": PERSON}, '{"name": 1}').outcome == "pass"
    assert judge({"type": kind, "value": json.dumps(PERSON)}, '{"name": "Ada"}').outcome == "pass"
    assert judge({"type": kind, "value": "required: [x]\ntype: object"}, '{"name": "Ada"}').outcome == "fail"
    assert judge({"type": kind, "value": "{{schema}}"}, '{"name": 3}', variables={"schema": PERSON}).outcome == "fail"


def test_contains_json_looks_inside_text(judge: Any) -> None:
    plain = {"type": "contains-json"}
    assert judge(plain, 'Sure: ```json\n{"a": 1}\n``` done').outcome == "pass"
    assert judge(plain, "a {broken} and a [1] footnote").outcome == "fail"
    assert judge(plain, "[1, 2]").outcome == "pass"
    assert judge({**plain, "value": {"type": "array"}}, "see [1, 2]").outcome == "pass"
    second = {**plain, "value": {"required": ["b"]}}
    assert judge(second, 'first {"a": 1} then {"b": 2}').outcome == "pass"
    assert judge(second, 'first {"a": 1} then {"c": 2}').outcome == "fail"


@pytest.mark.parametrize("text", ["[" * 20_000, "[" * 20_000 + "]" * 20_000, '{"a":' * 20_000])
def test_deep_nesting_is_an_error(judge: Any, text: str) -> None:
    for kind in ("is-json", "contains-json", "equals"):
        result = judge({"type": kind, "value": {"a": 1}}, text)
        assert result.outcome == "error" or (kind == "contains-json" and result.outcome == "fail")


def test_no_remote_reference_is_fetched(judge: Any) -> None:
    result = judge({"type": "is-json", "value": {"$ref": "https://example.com/schema.json"}}, "{}")
    assert result.outcome == "error"
    assert "https://example.com/schema.json" in result.reason


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "(a|aa)+$"},
        {"additionalProperties": False, "patternProperties": {"(a|aa)+$": True}},
        {"patternProperties": {"(a|aa)+$": True}, "unevaluatedProperties": False},
    ],
)
def test_patterns_in_schemas_have_the_time_limit(judge: Any, schema: dict[str, Any]) -> None:
    bad = "a" * 60 + "b"
    result = judge({"type": "is-json", "value": schema}, json.dumps(bad if "pattern" in schema else {bad: 1}))
    assert result.outcome == "error"
    assert "took too long" in result.reason


def test_an_endless_schema_is_an_error(judge: Any) -> None:
    assert judge({"type": "is-json", "value": {"allOf": [{"$ref": "#"}]}}, "{}").outcome == "error"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("email", ["a@b.de", "x.y+z@a-b.co.uk"], ["notmail", "a@b", "a@@b.de", "a@-b.de"]),
        ("date", ["2024-12-31"], ["31.12.2024", "2024-02-30", "20241231"]),
        ("time", ["10:00:00Z"], ["10:00:00", "25:00:00Z"]),
        ("date-time", ["2024-12-31T23:59:60Z", "2024-12-31T10:00:00.5+02:00"], ["2024-12-31", "2024-12-31T10:00:00"]),
        ("uri", ["https://a.b/c?d=%20#e", "urn:x:y"], ["a", "http://a b", "//a"]),
        ("ipv4", ["1.2.3.4", 5, None], ["nope", "256.1.1.1"]),
        ("ipv6", ["::1"], ["::g"]),
        ("uuid", ["123e4567-e89b-12d3-a456-426614174000"], ["123"]),
        ("hostname", ["a.b", "localhost"], ["-a", "a..b"]),
        ("duration", ["P1D", "PT1H"], ["P", "1D"]),
        ("regex", ["a+", "(?<n>a)"], ["("]),
        ("a-format-of-our-own", ["x"], []),
    ],
)
def test_formats_are_asserted_unless_told_otherwise(judge: Any, name: str, good: list[Any], bad: list[Any]) -> None:
    for draft in ({}, {"$schema": "http://json-schema.org/draft-07/schema#"}):
        raw = {"type": "is-json", "value": {"format": name, **draft}}
        for value in good:
            assert judge(raw, json.dumps(value)).outcome == "pass", value
        for value in bad:
            assert judge(raw, json.dumps(value)).outcome == "fail", value
            assert judge({**raw, "formats": False}, json.dumps(value)).outcome == "pass", value


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "array", "items": [{"type": "string"}]}, ["a", 1], [1]),
        ({"items": [{"type": "string"}], "additionalItems": False}, ["a"], ["a", 1]),
        ({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, {"a": 1, "b": 1}, {"c": 1}),
        (
            {"definitions": {"a": {"type": "string"}}, "items": [{"$ref": "#/definitions/a", "minLength": 2}]},
            ["ab"],
            ["a"],
        ),
        ({"definitions": {"a": {"type": "string"}}, "properties": {"x": {"$ref": "#/definitions/a"}}}, {}, {"x": 1}),
        ({"properties": {"items": {"type": "string"}, "dependencies": {"prefixItems": [{}]}}}, {}, {"items": 1}),
        ({"prefixItems": [{"type": "string"}], "items": False}, ["a"], ["a", "b"]),
    ],
)
def test_schemas_of_draft_07_are_understood(judge: Any, schema: Any, good: Any, bad: Any) -> None:
    assert judge({"type": "is-json", "value": schema}, json.dumps(good)).outcome == "pass"
    assert judge({"type": "is-json", "value": schema}, json.dumps(bad)).outcome == "fail"


def test_the_public_schema_suite_agrees(real_data: Path) -> None:
    count = 0
    for path in sorted((real_data / "json-schema-suite" / "draft2020-12").glob("*.json")):
        for group in json.loads(path.read_text("utf-8")):
            assertion = parse_assertion({"type": "is-json", "value": group["schema"]}, "")
            for test in group["tests"]:
                text = json.dumps(test["data"])
                result = score_case(Case("x", assertions=(assertion,)), Output(text), Scope())
                assert result.outcome == ("pass" if test["valid"] else "fail"), (path.name, test, result.reason)
                count += 1
    assert count == 492


def test_the_public_parser_suite_is_survived(real_data: Path) -> None:
    files = [path for path in sorted((real_data / "bad-json").rglob("*.json")) if path.name[:2] in ("y_", "n_", "i_")]
    assertion = parse_assertion({"type": "is-json"}, "")
    for path in files:
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        result = score_case(Case("x", assertions=(assertion,)), Output(text), Scope())
        allowed = {"y_": {"pass"}, "n_": {"fail", "error"}, "i_": {"pass", "fail", "error"}}[path.name[:2]]
        assert result.outcome in allowed, (path.name, result.reason)


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}},
    },
}


def call(name: str = "get_weather", arguments: Any = '{"city": "Oslo"}') -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}


def test_tool_calls(judge: Any) -> None:
    raw = {"type": "is-valid-openai-tools-call", "value": [WEATHER]}
    for good in ([call()], {"tool_calls": [call(), call()]}, json.dumps([call()])):
        assert judge(raw, good).outcome == "pass"
        assert judge({**raw, "type": "not-is-valid-openai-tools-call"}, good).outcome == "fail"
    bad = [call("get_time")], [call(arguments="{}")], [call(arguments="{")], [call(arguments={})], [], "text", [1], {}
    for wrong in bad:
        assert judge(raw, wrong).outcome == "fail", wrong
    assert judge({"type": raw["type"], "tools": [WEATHER]}, [call()]).outcome == "pass"
    assert judge({"type": raw["type"]}, [call()]).outcome == "error"


def test_function_calls(judge: Any) -> None:
    for kind in ("is-valid-openai-function-call", "is-valid-function-call"):
        raw = {"type": kind, "value": [WEATHER["function"], {"name": "now"}]}
        assert judge(raw, call()["function"]).outcome == "pass"
        assert judge(raw, {"function_call": call()["function"]}).outcome == "pass"
        assert judge(raw, {"name": "now", "arguments": ""}).outcome == "pass"
        assert judge(raw, {"name": "now", "arguments": '{"x": 1}'}).outcome == "fail"
        assert judge(raw, {"name": "get_weather", "arguments": '{"city": 1}'}).outcome == "fail"
        assert judge(raw, "Oslo").outcome == "fail"


def test_tool_call_f1(judge: Any) -> None:
    raw = {"type": "tool-call-f1", "value": ["get_weather", "book_flight"]}
    assert judge(raw, [call(), call("book_flight")]).outcome == "pass"
    partly = judge(raw, {"tool_calls": [call()]})
    assert (partly.outcome, round(partly.score, 3)) == ("fail", 0.667)
    assert judge({**raw, "threshold": 0.6}, [call()]).outcome == "pass"
    assert judge(raw, [{"type": "tool_use", "name": "book_flight", "input": {}}, call()]).outcome == "pass"
    assert judge(raw, "I call nothing").score == 0
