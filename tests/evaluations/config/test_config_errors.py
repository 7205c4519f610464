"""What is wrong with a configuration is said with its place, whatever it is."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoforge.errors import BadInput, TooLarge
from autoforge.evaluations.config import EvaluationConfig, Overrides, config_schema, load_config, load_source
from autoforge.evaluations.config.filling import fill
from autoforge.evaluations.outputs import plan_runs
from autoforge.reading import Source


def load(text: str) -> EvaluationConfig:
    return load_source(Source.of(text.encode(), "config.yaml"))


@pytest.mark.parametrize(
    ("text", "pointer", "message"),
    [
        ("tests: [{asert: []}]", "/tests/0/asert", r"line 1, column \d+ .*did you mean 'assert'"),
        ("test: []", "/test", "did you mean 'tests'"),
        (
            "tests:\n  - vars: {}\n  - assert:\n      - type: contians\n        value: x",
            "/tests/1/assert/0/type",
            "line 4",
        ),
        ("tests: [{assert: [{value: x}]}]", "/tests/0/assert/0", "'type' and '\\$ref' is needed"),
        ("tests: [{assert: x}]", "/tests/0/assert", 'must be a list, not "x"'),
        ("tests: 5", "/tests", "a file:// reference or a list of tests or tests from the rows of a file, not 5"),
        ("tests: [7]", "/tests/0", "must be a file:// reference or a test, not 7"),
        ("tests: {file: a, fields: b}", "/tests/fields", "there is no key 'fields'; known are"),
        ("tests: {file: a, expect: b}", "/tests/expect", "did you mean 'expected'"),
        ("outputs: {file: a, latency: b}", "/outputs/latency", "did you mean 'latency_ms'"),
        ("outputs: {format: xml}", "/outputs/format", "one of json, jsonl, csv, promptfoo"),
        ("outputs: {models: {}}", "/outputs/models", "must not be empty"),
        ("outputs: {models: {a: b}, model: c}", "/outputs/model", "either model or models"),
        ("outputs: {join: {output: a}}", "/outputs/join", "'case' is missing"),
        ("outputs: {output: 'a[['}", "/outputs/output", "not a field path"),
        ("outputs: {transform: '???'}", "/outputs/transform", "not a transform"),
        ("tests: [{threshold: high}]", "/tests/0/threshold", "must be a number"),
        ("tests: [{threshold: 50}]", "/tests/0/threshold", "a score from 0 to 1"),
        ("tests: {file: a, threshold: -1}", "/tests/threshold", "a score from 0 to 1"),
        ("tests: [{options: {tranform: x}}]", "/tests/0/options/tranform", "did you mean 'transform'"),
        ("tests: [{assert: [{$ref: '#/assertionTemplates/x'}]}]", "/tests/0/assert/0/$ref", "names nothing"),
        ("tests: [{assert: [{$ref: 'other.yaml'}]}]", "/tests/0/assert/0/$ref", "must point into this file"),
        (
            "assertionTemplates: {a: {$ref: '#/assertionTemplates/a'}}\n"
            "tests: [{assert: [{$ref: '#/assertionTemplates/a'}]}]",
            "/tests/0/assert/0",
            "in a circle",
        ),
        (
            "assertionTemplates: {a: {type: assert-set, assert: [&r {$ref: '#/assertionTemplates/a'}, *r, *r, *r]}}\n"
            "tests: [{assert: [{$ref: '#/assertionTemplates/a'}]}]",
            "/tests/0/assert/0" + "/assert/0" * 10,
            "nested too deeply, or a \\$ref leads in a circle",
        ),
        ("tests: {assertions_from: {path: a}}", "/tests/assertions_from", "'templates' is missing"),
        ("[]", "", "a configuration is a mapping"),
        ("tests: {name: x}", "/tests", "use --outputs FILE"),
        ("outputs: '${nope}/x.json'", "/outputs/file", r"\$\{nope\} has no value"),
        ("description: 1", "/description", "must be a text, not 1"),
        ("prompts: [{config: {}}]", "/prompts/0", "'id' and 'raw' and 'label' is needed"),
    ],
)
def test_broken_configurations_are_refused_with_their_place(text: str, pointer: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        load(text)
    assert caught.value.errors[0].pointer == pointer
    assert caught.value.detail.startswith("config.yaml")


def test_unknown_keys_are_reported() -> None:
    config = load_source(Source.of(b"tests: [{vars: {a: 1}, zebra: 2}]\nquokka: 1", "c.yaml"))
    assert [str(notice) for notice in config.notices] == [
        "c.yaml, line 2: the key 'quokka' is not known and was ignored (/quokka)",
        "c.yaml, line 1: the key 'zebra' is not known and was ignored (/tests/0/zebra)",
    ]


def test_every_error_is_listed() -> None:
    with pytest.raises(BadInput) as caught:
        load("tests: [{assert: 1}, {vars: 2}]\ndescription: []")
    assert [error.pointer for error in caught.value.errors] == ["/description", "/tests/0/assert", "/tests/1/vars"]


def test_an_unknown_parameter_is_refused() -> None:
    source = Source.of(b"parameters: {task: x}", "c.yaml")
    with pytest.raises(BadInput, match="no parameter 'tsk'; did you mean 'task'"):
        load_source(source, Overrides(parameters={"tsk": "y"}))


def test_the_schema_is_a_schema_and_describes_itself() -> None:
    import jsonschema

    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for name in schema["properties"]:
        assert name == name.strip()


def test_keys_without_a_value_count_as_not_written() -> None:
    config = load_source(Source.of(b"tests:\nprompts:\ndefaultTest:\n  assert:\n", "c.yaml"))
    assert config.cases == ()
    config = load_source(Source.of(b"tests:\n  - vars:\n    assert:\n", "c.yaml"))
    assert len(config.cases) == 1


def try_everything(source: Source, outputs: Source) -> None:
    """Loads a file as a configuration and as outputs; only BadInput and TooLarge may come out."""
    with contextlib.suppress(BadInput, TooLarge):
        load_source(source)
    sample = b"tests: [{vars: {a: '1'}, assert: [{type: equals, value: x}]}]\noutputs: {join: a}"
    rows = b"tests: {assert: [{type: equals, value: x}]}"
    for config in (sample, rows):
        with contextlib.suppress(BadInput, TooLarge):
            plan_runs(load_source(Source.of(config, "c.yaml"), Overrides(outputs=[outputs])))


@pytest.mark.parametrize(
    "folder", ["bad-json", "naughty-strings", "csv-messy", "promptfoo-results", "promptfoo-configs"]
)
def test_no_real_file_breaks_the_loaders(real_data: Path, folder: str) -> None:
    for path in sorted((real_data / folder).rglob("*")):
        if path.is_file():
            for name in (path.name, "x.json", "x.jsonl", "x.csv"):
                try_everything(Source.at(path), Source.at(path, name))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.sampled_from(["x.json", "x.jsonl", "x.csv", "x.yaml"]))
def test_no_bytes_break_the_loaders(data: bytes, name: str) -> None:
    try_everything(Source.of(data, name), Source.of(data, name))


SECTIONS = ("tests", "prompts", "outputs", "defaultTest", "scenarios", "providers", "parameters")
KEYS = (
    *("tests", "vars", "assert", "type", "value", "options", "transform", "$ref", "threshold", "scenarios", "config"),
    *("outputs", "file", "models", "model", "output", "join", "expected", "assertions_from", "path", "templates"),
    *("id", "label", "description", "prompts", "defaultTest", "raw", "rows", "name", "metadata", "when", "each"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(SECTIONS), JSON))
def test_no_shape_breaks_the_loader(value: dict[str, object]) -> None:
    with contextlib.suppress(BadInput, TooLarge):
        load_source(Source.of(json.dumps(value).encode(), "config.json"))


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(BadInput, match="not a regular file"):
        load_config(tmp_path)


@pytest.mark.parametrize("transform", ["?" * 120_000, "JSON.parse(output" + " " * 120_000, "{{a." + " " * 120_000])
def test_a_hostile_transform_is_read_in_no_time(transform: str) -> None:
    config = {"tests": [{"assert": [{"type": "equals", "value": "x", "transform": transform}]}]}
    with contextlib.suppress(BadInput):
        load(json.dumps(config))


def test_a_hostile_reference_to_a_row_is_read_in_no_time() -> None:
    assert fill("{{row." + " " * 120_000, {"row": {}}) == "{{row." + " " * 120_000
    assert fill("{{ row.a }}|{{row.b-}}|{{- row.c | strip -}}", {"row": {"a": 1, "b": 2, "c": " 3 "}}) == "1|2|3"


def test_as_many_notices_as_there_are_keys() -> None:
    loaded = load(json.dumps({"tests": [{f"key{number}": 1 for number in range(30_000)}]}))
    assert len(loaded.notices) == 30_000


def test_variables_that_double_each_other_are_refused() -> None:
    variables = {"a0": "x" * 1000} | {f"a{number}": f"{{{{a{number - 1}}}}}" * 2 for number in range(1, 60)}
    with pytest.raises(BadInput, match="variables that refer to variables make more than") as caught:
        load(json.dumps({"tests": [{"vars": variables}]}))
    assert caught.value.errors[0].pointer == "/tests/0"
    many = {f"a{number}": f"{{{{a{number + 1}}}}}" for number in range(20_000)}
    assert load(json.dumps({"tests": [{"vars": many}]})).cases[0].variables["a19999"] == "{{a20000}}"


def test_scenarios_are_counted_before_their_cases_are_made() -> None:
    scenario = {"config": [{"vars": {"a": 1}}] * 3_000, "tests": [{"vars": {"b": 2}}] * 3_000}
    with pytest.raises(BadInput, match="more than 1,000,000 cases") as caught:
        load(json.dumps({"scenarios": [scenario]}))
    assert caught.value.errors[0].pointer == "/scenarios/0"
