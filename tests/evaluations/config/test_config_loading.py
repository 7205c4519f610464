"""Configurations of promptfoo's shape, and ours, become cases."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from autoforge.errors import BadInput
from autoforge.evaluations.case_json import case_from_json, case_to_json
from autoforge.evaluations.cases import Case, Output
from autoforge.evaluations.config import EvaluationConfig, Overrides, load_config, load_source
from autoforge.evaluations.scope import Scope
from autoforge.evaluations.scoring import score_case
from autoforge.reading import Source


def load(text: str, folder: Path | None = None, **files: str) -> EvaluationConfig:
    if folder is None:
        return load_source(Source.of(text.encode(), "config.yaml"))
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    (folder / "config.yaml").write_text(text, "utf-8")
    return load_config(folder / "config.yaml")


def notes(config: EvaluationConfig) -> str:
    return "\n".join(map(str, config.notices))


def test_all_configurations_of_promptfoo_load_with_their_assertions(real_data: Path) -> None:
    folder = real_data / "promptfoo-configs"
    paths = sorted(folder.glob("*/promptfooconfig.yaml"))
    counts: Counter[str] = Counter()
    for path in paths:
        counts.update(load_config(path).assertion_types)
    text = (folder / "ASSERTIONS.md").read_text("utf-8")
    expected = Counter({name: int(number) for name, number in re.findall(r"\| ([a-z$][\w-]*).*? \| (\d+) \|", text)})
    assert expected.total() == 68
    # The list counts the `__expected` column of the one CSV that a configuration uses apart from the others.
    assert counts == expected + Counter({"icontains": 4})
    assert len(paths) == 15


def test_what_is_not_there_is_reported_and_the_rest_goes_on(real_data: Path) -> None:
    config = load_config(real_data / "promptfoo-configs" / "separate-test-configs" / "promptfooconfig.yaml")
    assert len(config.prompts) == 3
    assert len(config.cases) == 23
    assert config.cases[-2].variables["topic"] == "world peace"
    assert config.cases[6].variables["content_type"] == "musings of an evil genius"
    assert "line 36: file://asserts/assert.js does not exist" in notes(config)
    assert "tests/tests1.yaml, line 8: javascript cannot be scored" in notes(config)


def test_scenarios_defaults_and_variables_of_real_configurations(real_data: Path) -> None:
    folder = real_data / "promptfoo-configs"
    config = load_config(folder / "multiple-translations-scenarios" / "promptfooconfig.yaml")
    assert len(config.cases) == 9
    assert config.cases[4].name == "Translated Good Morning"
    assert config.cases[4].variables["expectedGoodMorning"] == "Bonjour"
    config = load_config(folder / "openai-chat-history" / "promptfooconfig.yaml")
    assert config.cases[0].variables["previous_messages"][0] == {"user": "Who founded Facebook?"}
    assert config.cases[0].variables["system_message"].startswith("Answer very")
    config = load_config(folder / "vars-referencing-vars" / "promptfooconfig.yaml")
    assert config.cases[0].variables["sentence"] == "tweet about bananas"
    config = load_config(folder / "claude-vs-gpt" / "promptfooconfig.yaml")
    assert [assertion.type for assertion in config.cases[0].assertions] == [
        "cost",
        "latency",
        "javascript",
        "icontains",
        "llm-rubric",
    ]
    assert json.loads(config.prompts[0].text)[1]["content"] == "Answer this riddle:\n{{riddle}}\n"
    assert config.providers[0].id == "anthropic:claude-3-7-sonnet-20250219"
    config = load_config(folder / "redteam-minimal" / "promptfooconfig.yaml")
    assert not config.cases
    assert "red teaming" in notes(config)


def test_lists_of_texts_are_combined(tmp_path: Path) -> None:
    text = """
prompts: ["{{a}} {{b}}"]
tests:
  - description: greets in {{language}}
    vars: {language: [French, German], word: [hello, bye], numbers: [1, 2], one: x}
  - vars: {language: [a, b]}
    options: {disableVarExpansion: true}
  - vars: {page: file://pages/*.txt}
"""
    config = load(text, tmp_path, pages__1_dot_txt=" one\n", pages__2_dot_txt="two")
    assert [case.name for case in config.cases] == [
        "greets in French (French, hello)",
        "greets in French (French, bye)",
        "greets in German (German, hello)",
        "greets in German (German, bye)",
        "#5",
        "#6",
        "#7",
    ]
    assert config.cases[0].variables == {"language": "French", "word": "hello", "numbers": [1, 2], "one": "x"}
    assert config.cases[4].variables == {"language": ["a", "b"]}
    assert [case.variables["page"] for case in config.cases[5:]] == ["one", "two"]


def test_scenarios_from_files(tmp_path: Path) -> None:
    scenario = """
- config: [{vars: {a: x}, assert: [{type: contains, value: a}]}, {vars: {a: y}}]
  tests: [{description: 'says {{a}}', assert: [{type: contains, value: b}]}]
"""
    config = load("scenarios: [file://s.yaml, file://none.yaml]", tmp_path, s_dot_yaml=scenario)
    assert [(case.name, len(case.assertions)) for case in config.cases] == [("says x", 2), ("says y", 1)]
    assert "none.yaml does not exist" in notes(config)
    with pytest.raises(BadInput, match=r"s\.yaml, line 1.*a scenario is a mapping"):
        load("scenarios: file://s.yaml".replace("file", "[file") + "]", tmp_path, s_dot_yaml="- 3")


def test_too_many_combinations_are_refused() -> None:
    numbers = ", ".join(f"'{number}'" for number in range(100))
    text = "tests: [{vars: {" + ", ".join(f"v{name}: [{numbers}]" for name in range(5)) + "}}]"
    with pytest.raises(BadInput, match="10,000,000,000 combinations"):
        load(text)


def test_columns_of_a_csv(tmp_path: Path) -> None:
    table = (
        "question,__expected1,__expected2,__metric,__threshold,__description,__metadata:area,__metadata:tags[],"
        "__config:__expected2:threshold,__providerOutput,__prefix\n"
        '"What, then?",contains: yes,levenshtein: maybe,tone,0.5,Asks,law,"a, b",3,yes!,P\n'
        "Plain,exact answer,,,,,,,,,\n"
    )
    config = load("tests: file://t.csv", tmp_path, t_dot_csv=table)
    first, second = config.cases
    assert first.name == "Asks"
    assert first.variables == {"question": "What, then?"}
    assert first.threshold == 0.5
    assert first.metadata == {"area": "law", "tags": ["a", "b"]}
    assert [(a.type, a.value, a.metric, a.threshold) for a in first.assertions] == [
        ("contains", "yes", "tone", None),
        ("levenshtein", "maybe", "tone", 3.0),
    ]
    assert config.given_outputs == {0: "yes!"}
    assert [(a.type, a.value) for a in second.assertions] == [("equals", "exact answer")]
    assert "__prefix" in notes(config)


def test_a_csv_with_one_underscore_is_a_slip(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="did you mean '__expected'"):
        load("tests: file://t.csv", tmp_path, t_dot_csv="a,_expected\n1,2\n")
    with pytest.raises(BadInput, match=r"t\.csv.*line 3: has 3 cells"):
        load("tests: file://t.csv", tmp_path, t_dot_csv="a,b\n1,2\n1,2,3\n")


def test_a_file_of_tests_that_includes_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"sub/b\.yaml, line 1.*includes itself"):
        load("tests: file://sub/a.yaml", tmp_path, sub__a_dot_yaml="- file://b.yaml", sub__b_dot_yaml="- file://a.yaml")
    config = load(
        "tests: file://sub/*", tmp_path, sub__a_dot_yaml="- file://b.yaml", sub__b_dot_yaml="- {vars: {x: 1}}"
    )
    assert len(config.cases) == 2


def test_prompts_of_all_shapes(tmp_path: Path) -> None:
    text = """
prompts:
  - plain {{x}}
  - file://many.txt
  - {id: file://one.md, label: One}
  - {label: Raw, raw: "raw text"}
  - chat.json
  - file://list.csv
  - file://lines.jsonl
  - file://code.py
  - file://missing.txt
providers: [{id: "openai:gpt-4o", label: four}, echo, {"openai:old": {config: {}}}]
"""
    config = load(
        text,
        tmp_path,
        many_dot_txt="first\n---\nsecond\n---\n",
        one_dot_md="# One\n",
        chat_dot_json='[{"role": "user"}]',
        list_dot_csv="prompt,label\nhi,Hi\n",
        lines_dot_jsonl='[{"role": "system"}]\n',
        code_dot_py="",
    )
    assert [(prompt.label, prompt.text) for prompt in config.prompts] == [
        ("plain {{x}}", "plain {{x}}"),
        ("many.txt: first", "first"),
        ("many.txt: second", "second"),
        ("One", "# One"),
        ("Raw", "raw text"),
        ("chat.json", '[{"role": "user"}]'),
        ("Hi", "hi"),
        ("lines.jsonl: line 1", '[{"role": "system"}]'),
    ]
    assert [(provider.id, provider.label) for provider in config.providers] == [
        ("openai:gpt-4o", "four"),
        ("echo", "echo"),
        ("openai:old", "openai:old"),
    ]
    assert "code.py is a program" in notes(config)
    assert "file://missing.txt does not exist" in notes(config)


def test_files_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
    (inside / "folder").symlink_to(tmp_path)
    text = """
prompts: [file://../secret.txt, file://link.txt, "file:///etc/passwd", file://folder/*.txt, "file://../*.txt"]
tests:
  - vars: {a: file://link.txt, b: "file://../secret.txt"}
    assert: [{type: equals, value: "file://../secret.txt"}]
  - https://example.org/tests.csv
  - file://https://example.org/tests.csv
"""
    config = load(text, inside)
    assert config.prompts == ()
    assert config.cases[0].variables == {"a": "file://link.txt", "b": "file://../secret.txt"}
    assert "secret" not in {assertion.value for assertion in config.cases[0].assertions}
    assert sum("lies outside" in str(notice) for notice in config.notices) >= 5
    assert sum("not a local file" in str(notice) for notice in config.notices) == 2
    uploaded = load_source(Source.of(text.encode(), "upload.yaml"))
    assert "has no folder beside it" in notes(uploaded)


def test_values_from_files_are_data_and_no_templates(tmp_path: Path) -> None:
    text = """
tests:
  - file://sub/tests.yaml
"""
    tests = """
- vars: {x: 1}
  assert:
    - {type: equals, value: file://answer.txt}
    - {type: is-json, value: file://schema.json}
    - {type: python, value: "file://check.py:judge"}
"""
    config = load(
        text,
        tmp_path,
        sub__tests_dot_yaml=tests,
        sub__answer_dot_txt="braces {{x}} stay\n",
        sub__schema_dot_json='{"type": "object"}',
        sub__check_dot_py="",
    )
    equals, schema, python = config.cases[0].assertions
    assert schema.value == {"type": "object"}
    assert python.value == "file://sub/check.py:judge"
    case = config.cases[0]
    alone = type(case)(name=case.name, variables=case.variables, assertions=(equals,))
    assert score_case(alone, Output(value="braces {{x}} stay"), Scope()).outcome == "pass"


def test_javascript_is_reported_and_scores_as_an_error() -> None:
    text = """
tests:
  - options: {transform: "output.toUpperCase()"}
    assert: [{type: equals, value: A}]
  - assert: [{type: equals, value: A, transform: "x => x"}]
"""
    config = load(text)
    assert len(config.notices) == 2
    for case in config.cases:
        assert score_case(case, Output(value="a"), Scope()).outcome == "error"


def test_rows_become_cases(tmp_path: Path) -> None:
    rows = [
        {"id": 7, "q": "1+1 {{x}}", "a": "so A: 2", "area": {"name": "sums"}},
        {"id": 8, "q": "2+2", "a": "no answer", "area": {"name": "sums"}},
    ]
    text = """
tests:
  file: rows.jsonl
  name: 'case {{row.id}} of {{index}}'
  vars: {question: q, fixed: {value: 3}}
  expected: {path: a, transform: 'regex:A: (.+)'}
  metadata: {area: area.name}
  assert: [{type: equals, value: '{{expected}}'}]
"""
    config = load(text, tmp_path, rows_dot_jsonl="\n".join(map(json.dumps, rows)))
    first, second = config.cases
    assert (first.name, first.expected, first.metadata) == ("case 7 of 1", "2", {"area": "sums"})
    assert first.variables == {"question": "1+1 {{x}}", "fixed": 3}
    assert second.expected is None
    assert "1 rows of rows.jsonl have no expected value (first: line 2)" in notes(config)
    text = text.replace("vars: {question: q, fixed: {value: 3}}", "vars: [missing]")
    with pytest.raises(BadInput, match=r"rows\.jsonl, line 1: the row has no field 'missing'"):
        load(text, tmp_path)


def test_a_table_may_expect_silence_and_loses_no_column_in_silence(tmp_path: Path) -> None:
    table = "q,__expected,__metadata,__metadata:,__metadata:[],__surprise\na,equals:,x,y,z,w\n"
    config = load("tests: file://t.csv", tmp_path, t_dot_csv=table)
    assert score_case(config.cases[0], Output(value=""), Scope()).outcome == "pass"
    assert score_case(config.cases[0], Output(value="x"), Scope()).outcome == "fail"
    assert config.cases[0].metadata == {}
    for column in ("__metadata", "__metadata:", "__metadata:[]"):
        assert f"the column {column!r} names no metadata and was ignored; write __metadata:NAME" in notes(config)
    assert "the column '__surprise' is not supported and was ignored" in notes(config)
    with pytest.raises(BadInput, match="there is no reserved column '__expcted'; did you mean '__expected'"):
        load("tests: file://t.csv", tmp_path, t_dot_csv="q,__expcted\na,b\n")


def test_fields_that_some_rows_lack(tmp_path: Path) -> None:
    rows = [{"q": "a", "ctx": "here", "area": "x: 1"}, {"q": "b"}, {"q": "c", "ctx": None, "area": "none"}]
    text = """
tests:
  file: rows.jsonl
  vars: {q: q, context: {path: ctx, default: ''}}
  expected: {path: answer, default: null}
  metadata: {area: {path: area, transform: 'regex:x: (.+)', default: [0]}}
"""
    config = load(text, tmp_path, rows_dot_jsonl="\n".join(map(json.dumps, rows)))
    assert [case.variables["context"] for case in config.cases] == ["here", "", ""]
    assert [case.metadata["area"] for case in config.cases] == ["1", [0], [0]]
    assert [case.expected for case in config.cases] == [None] * 3
    with pytest.raises(BadInput, match=r"line 2: the row has no field 'ctx'; .* \{path: ctx, default: \.\.\.\}"):
        load(text.replace("{path: ctx, default: ''}", "ctx"), tmp_path)
    with pytest.raises(BadInput, match="there is no key 'defualt'; did you mean 'default'"):
        load(text.replace("path: ctx, default", "path: ctx, defualt"), tmp_path)


def test_samples_of_openai_evals_are_cases(real_data: Path, tmp_path: Path) -> None:
    text = """
tests:
  file: ${data}/pattern_identification.samples.v0.jsonl
  expected: ideal
  assert: [{type: starts-with, value: '{{expected}}'}]
"""
    (tmp_path / "c.yaml").write_text(text)
    data = str(real_data / "eval-openai-evals")
    config = load_config(tmp_path / "c.yaml", Overrides(parameters={"data": data}))
    assert len(config.cases) == 125
    case = config.cases[0]
    assert score_case(case, Output(value="bar, I think"), Scope()).outcome == "pass"
    assert case.variables["input"][0]["role"] == "system"


def test_only_the_caller_opens_a_folder_outside(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('[{"a": 1}]')
    (tmp_path / "c").mkdir()
    text = "parameters: {data: ..}\ntests: {file: '${data}/rows.json'}\n"
    with pytest.raises(BadInput, match="lies outside"):
        load(text, tmp_path / "c")
    config = load_config(tmp_path / "c" / "config.yaml", Overrides(parameters={"data": str(tmp_path)}))
    assert config.cases[0].variables == {"a": 1}


NAMED = """
tests:
  file: rows.json
  assertions_from:
    path: rules
    with: args
    %s
    always: [{type: regex, value: '\\S'}]
    templates:
      comma: {type: not-contains, value: ','}
      words: [{each: list, type: icontains, value: '{{each}}'}]
      size:
        - {when: {how: least}, type: regex, value: '\\w+', min: '{{args.n}}'}
        - {when: {how: {not: [least]}}, type: not-regex, value: '\\w+', min: '{{args.n}}'}
      end: {type: regex, value: '{{args.text | strip | regex}}\\Z'}
"""


BARE = """
tests:
  file: rows.json
  assertions_from:
    path: rules
    with: args
    templates:
      words: {each: list, type: contains, value: '{{each}}'}
      size: {when: {how: least}, type: regex, value: x}
"""


def named(tmp_path: Path, rows: Any, extra: str = "unknown: error") -> EvaluationConfig:
    return load(NAMED % extra, tmp_path, rows_dot_json=json.dumps(rows))


def test_rows_name_their_assertions(tmp_path: Path) -> None:
    row = {
        "rules": ["comma", "words", "size", "end"],
        "args": [{}, {"list": ["a", "{{b}}"]}, {"how": "most", "n": 9}, {"text": " a.{{c}} "}],
    }
    case = named(tmp_path, [row]).cases[0]
    assert [assertion.metric for assertion in case.assertions] == ["comma", "words", "size", "end"]
    assert [part.label for part in case.assertions[1].parts] == ["regex", "icontains", "icontains"]
    good = score_case(case, Output(value="see {{b}} a.{{c}}"), Scope())
    assert good.outcome == "pass", good
    bad = score_case(case, Output(value="a.{{c}},"), Scope())
    assert [result.outcome for result in bad.assertions if result.metric] == ["fail", "fail", "pass", "fail"]
    assert score_case(case, Output(value=""), Scope()).outcome == "fail"


def test_names_without_a_template(tmp_path: Path) -> None:
    rows = [{"rules": ["comma", "odd"], "args": []}, {"rules": ["odd"]}, {"rules": []}]
    with pytest.raises(BadInput, match=r"rows\.json, line 1: 'odd' is not among the templates"):
        named(tmp_path, rows)
    config = named(tmp_path, rows, "unknown: skip\n    without: drop")
    assert len(config.cases) == 1
    assert "2 assertions were left out, their names have no template: odd" in notes(config)
    assert "2 rows of rows.json were left without assertions" in notes(config)
    assert len(named(tmp_path, rows, "unknown: skip").cases) == 3
    with pytest.raises(BadInput, match="no template of 'size' fits"):
        load(BARE, tmp_path, rows_dot_json='[{"rules": ["size"], "args": [{"how": "most"}]}]')
    config = load(BARE, tmp_path, rows_dot_json='[{"rules": ["words"], "args": [{"list": []}]}]')
    assert config.cases[0].assertions == ()


def test_arguments_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"args\.n.* leads nowhere"):
        named(tmp_path, [{"rules": ["size"], "args": [{"how": "least"}]}])


def test_keys_that_nothing_reads_are_reported() -> None:
    config = load(
        "tests:\n- assert:\n"
        "  - {type: is-json, schema: {type: object}, config: {a: 1}, provider: x}\n"
        "  - {type: llm-rubric, value: x, anything: 1}\n"
        "  - {type: assert-set, assert: [{type: equals, value: x, max: 3}]}\n"
    )
    assert [str(notice) for notice in config.notices] == [
        "config.yaml, line 3: the key 'schema' means nothing to is-json and was ignored (/tests/0/assert/0/schema)",
        "config.yaml, line 4: llm-rubric cannot be scored here; its cases will come out as errors (/tests/0/assert/1)",
        "config.yaml, line 5: the key 'max' means nothing to equals and was ignored (/tests/0/assert/2/assert/0/max)",
    ]


def test_a_list_expands_when_its_first_item_is_a_text() -> None:
    config = load("tests: [{vars: {a: [x, 1, {b: 2}]}}, {vars: {a: [1, x]}}]")
    assert [case.variables["a"] for case in config.cases] == ["x", 1, {"b": 2}, [1, "x"]]


def test_null_may_be_expected() -> None:
    config = load("tests: [{assert: [{type: equals, value: null}]}]")
    for output, outcome in (("null", "pass"), (" null ", "pass"), ("x", "fail")):
        assert score_case(config.cases[0], Output(output), Scope()).outcome == outcome
    assert case_from_json(case_to_json(config.cases[0])) == config.cases[0]
    assert case_to_json(config.cases[0])["assert"] == [{"type": "equals", "value": None}]


PROGRAM = """
def get_assert(output, context):
    print("noise")
    return context["vars"]["wanted"]
def items(output, context):
    return ["a", output]
def judged(output):
    return True
"""


@pytest.mark.parametrize(
    ("assertion", "outcome", "reason"),
    [
        ("{type: equals, value: 'file://gen.py'}", "pass", "equals"),
        ("{type: not-equals, value: 'file://gen.py'}", "fail", "equals"),
        ("{type: contains-all, value: 'file://gen.py:items'}", "fail", 'lacks ["a"]'),
        ("{type: equals, value: 'file://gen.py:judged'}", "error", "must return the value to compare with"),
        ("{type: equals, value: 'file://gen.py:nope'}", "error", "has no function nope"),
        ("{type: not-equals, value: 'file://gen.js'}", "error", "was not run"),
        ("{type: not-contains-any, value: ['file://gen.py', x]}", "error", "inside a list"),
        ("{type: javascript, value: 'file://gen.js'}", "error", "needs JavaScript"),
    ],
)
def test_a_program_as_value_is_run_and_never_compared_as_text(
    tmp_path: Path, assertion: str, outcome: str, reason: str
) -> None:
    (tmp_path / "gen.py").write_text(PROGRAM, "utf-8")
    (tmp_path / "gen.js").write_text("hello", "utf-8")
    (tmp_path / "config.yaml").write_text(f"tests: [{{vars: {{wanted: hello}}, assert: [{assertion}]}}]", "utf-8")
    case = load_config(tmp_path / "config.yaml", Overrides(trusted=True)).cases[0]
    result = score_case(case, Output("hello"), Scope(folder=tmp_path, trusted=True))
    assert (result.outcome, reason in result.reason) == (outcome, True), result.reason
    config = load_config(tmp_path / "config.yaml")
    assert len(config.notices) == 1
    untrusted = score_case(config.cases[0], Output("hello"), Scope(folder=tmp_path))
    assert untrusted.outcome == "error"


def test_files_inside_a_list_are_read_beside_the_file_that_names_them(tmp_path: Path) -> None:
    config = load(
        "tests: file://sub/tests.yaml",
        tmp_path,
        sub__tests_dot_yaml="- {vars: {v: z}, assert: [{type: contains-all, value: [file://a.txt, '{{v}}']}]}",
        sub__a_dot_txt="{{not a variable}}",
    )
    assert score_case(config.cases[0], Output("z {{not a variable}}"), Scope(folder=tmp_path)).outcome == "pass"
    assert score_case(config.cases[0], Output("z file://a.txt"), Scope(folder=tmp_path)).outcome == "fail"
    missing = load("tests: [{assert: [{type: contains-any, value: [file://no.txt, x]}]}]", tmp_path)
    assert "file://no.txt does not exist" in notes(missing)
    assert score_case(missing.cases[0], Output("x"), Scope(folder=tmp_path)).outcome == "error"


CALL = [{"function": {"name": "get_current_weather", "arguments": '{"location": "Boston, MA"}'}}]
WRONG_CALL = [{"function": {"name": "get_current_weather", "arguments": '{"unit": "kelvin"}'}}]


def test_calls_are_checked_against_the_tools_of_the_models(real_data: Path) -> None:
    config = load_config(real_data / "promptfoo-configs" / "openai-tools-call" / "promptfooconfig.yaml")
    check = config.cases[0].assertions[1]
    assert check.type == "is-valid-openai-tools-call"
    case = Case("case", assertions=(check,))
    assert score_case(case, Output(CALL), Scope()).outcome == "pass"
    assert score_case(case, Output(WRONG_CALL), Scope()).outcome == "fail"


@pytest.mark.parametrize(
    ("providers", "outcome"),
    [
        ("[{id: a, config: {tools: [{function: {name: f}}]}}, b]", "pass"),
        ("[{id: a, config: {tools: [{type: web_search}, {function: {name: f}}]}}]", "pass"),
        ("[{'openai:x': {config: {tools: file://tools.yaml}}}]", "pass"),
        ("[{id: a, config: {tools: [file://tools.yaml]}}]", "pass"),
        ("[{id: a, config: {functions: [{name: f}]}}]", "pass"),
        ("[{id: a, config: {functions: [{name: g}], tools: [{function: {name: f}}]}}]", "pass"),
        ("[{id: a, config: {tools: [{function: {name: g}}]}}]", "fail"),
        ("[{id: a, config: {tools: [{name: f}]}}, {id: b, config: {tools: [{name: g}]}}]", "error"),
        ("[a, b]", "error"),
        ("[{id: a, config: {tools: 5}}]", "error"),
    ],
)
def test_tools_of_models(tmp_path: Path, providers: str, outcome: str) -> None:
    config = load(
        f"providers: {providers}\ntests: [{{assert: [{{type: is-valid-openai-tools-call}}]}}]",
        tmp_path,
        tools_dot_yaml="- {function: {name: f}}",
    )
    result = score_case(config.cases[0], Output([{"function": {"name": "f", "arguments": "{}"}}]), Scope())
    assert result.outcome == outcome, result.reason
    assert ("declare different tools" in notes(config)) == ("[{name: g}]}}]" in providers)


def test_a_slip_in_a_schema_is_reported() -> None:
    schema = {"requird": ["a"], "properties": {"requird": {"tpye": "string"}}, "enum": [{"tpye": 1}], "x-own": 1}
    config = load(json.dumps({"tests": [{"assert": [{"type": "is-json", "value": schema}]}]}))
    assert [notice.pointer.removeprefix("/tests/0/assert/0/value") for notice in config.notices] == [
        "/requird",
        "/properties/requird/tpye",
    ]
    assert "'requird' is no keyword of JSON Schema and checks nothing; 'required' is" in notes(config)


@pytest.mark.parametrize(
    "transform",
    [
        *("output.trim()", "String(output)", "parseInt(output)", "output.length > 3", 'output ?? ""', "!output"),
        *("Object.keys(output)", "context.vars.x", "vars.x", "output.length", "tr.rb", "file://tr.js", "tr.js:f"),
    ],
)
def test_javascript_as_a_transform_is_reported_and_an_error_per_case(transform: str) -> None:
    for part in ({"options": {"transform": transform}}, {}):
        check = {"type": "not-equals", "value": "x"} | ({} if part else {"transform": transform})
        config = load(json.dumps({"tests": [{**part, "assert": [check]}]}))
        assert "a transform in JavaScript cannot be run" in notes(config)
        assert score_case(config.cases[0], Output("hello"), Scope()).outcome == "error"


def test_fields_whose_names_read_like_javascript_can_be_reached() -> None:
    output = Output({"length": 3, "vars": {"x": 3}, "context": 3})
    for transform in ('output["length"]', "json.vars.x", "context"):
        config = load(json.dumps({"tests": [{"assert": [{"type": "equals", "value": 3, "transform": transform}]}]}))
        assert not config.notices
        assert score_case(config.cases[0], output, Scope()).outcome == "pass"
