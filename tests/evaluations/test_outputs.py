"""Recorded outputs of many shapes find the cases that they answer."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from autoforge.errors import BadInput
from autoforge.evaluations.cases import Output
from autoforge.evaluations.config import Overrides, load_config, load_source
from autoforge.evaluations.outputs import Plan, plan_runs
from autoforge.reading import Source

TESTS = "tests: [{vars: {q: one, id: 1}}, {vars: {q: two, id: 2}}, {vars: {q: two, id: 3}}]\n"


def plan(text: str, *files: tuple[str, Any], tests: str = TESTS) -> Plan:
    sources = [Source.of(data if isinstance(data, bytes) else data.encode(), name) for name, data in files]
    return plan_runs(load_source(Source.of((tests + text).encode(), "c.yaml"), Overrides(outputs=sources)))


def jsonl(*rows: Any) -> str:
    return "\n".join(map(json.dumps, rows))


def values(plan: Plan, run: int = 0) -> list[Any]:
    return [output.value if output.error is None else output.error for _, output in plan.runs[run].pairs]


def test_rows_are_joined_by_position() -> None:
    found = plan("", ("m.jsonl", jsonl({"output": "a"}, {"output": "b"})))
    assert values(found) == ["a", "b", "no output was recorded for this case"]
    assert found.runs[0].model == "m"
    assert found.runs[0].positions == (0, 1, 2)
    assert str(found.notices[0]) == "m.jsonl: 1 of 3 cases have no output of m"
    found = plan("", ("m.json", json.dumps(["a", "b", {"c": 1}, "d", "e"])))
    assert values(found) == ["a", "b", {"c": 1}]
    assert "2 rows match no test case and were left out (rows 4, 5)" in str(found.notices[0])


def test_rows_are_joined_by_a_field() -> None:
    rows = jsonl({"k": "two", "output": "x"}, {"k": "one", "output": "y"}, {"k": "two", "output": "z"}, {"k": "six"})
    found = plan("outputs: {join: {output: k, case: q}}", ("m.jsonl", rows))
    assert values(found) == ["y", "x", "z"]
    assert "1 rows match no test case" in str(found.notices[0])
    found = plan("outputs: {join: id, output: text}", ("m.csv", "id,text\n3,c\n1,a\n2,\n"))
    assert values(found) == ["a", "", "c"]
    with pytest.raises(BadInput, match="no test case has a field 'nothing'"):
        plan("outputs: {join: nothing}", ("m.jsonl", rows))


def test_cases_are_found_by_name_and_metadata() -> None:
    tests = "tests: [{description: first, metadata: {key: k1}}, {description: second, metadata: {key: k2}}]\n"
    rows = jsonl({"name": "second", "key": "k2", "output": "b"}, {"name": "first", "key": "k1", "output": "a"})
    for join in ("name", "key"):
        assert values(plan(f"outputs: {{join: {join}}}", ("m.jsonl", rows), tests=tests)) == ["a", "b"]


def test_many_models_in_one_row() -> None:
    rows = jsonl(*[{"a": {"text": f"a{n}"}, "b.c": f"b{n}"} for n in range(3)])
    found = plan("outputs: {models: {small: a.text, large: b.c, gone: x.y}}", ("m.jsonl", rows))
    assert [run.model for run in found.runs] == ["small", "large", "gone"]
    assert values(found, 0) == ["a0", "a1", "a2"]
    assert values(found, 1) == ["b0", "b1", "b2"]
    assert values(found, 2) == ["the recorded row has no field 'x.y'"] * 3


def test_many_models_in_one_column() -> None:
    rows = jsonl(*[{"who": who, "output": f"{who}{n}"} for n in range(3) for who in ("x", "y")])
    found = plan("outputs: {model: {field: who}}", ("m.jsonl", rows))
    assert [run.model for run in found.runs] == ["x", "y"]
    assert values(found, 1) == ["y0", "y1", "y2"]
    with pytest.raises(BadInput, match="line 1: the row does not name its model"):
        plan("outputs: {model: {field: nobody}}", ("m.jsonl", rows))


def test_several_files_and_names_of_models() -> None:
    files = [(f"{name}.jsonl", jsonl({"output": name})) for name in ("a", "b")]
    assert [run.model for run in plan("", *files).runs] == ["a", "b"]
    assert [run.model for run in plan("providers: [gpt]", *files).runs] == ["a", "b"]
    assert [run.model for run in plan("providers: [gpt]", files[0]).runs] == ["gpt"]
    named = plan("outputs: {model: 'm ${outputs_name}'}", *files)
    assert [run.model for run in named.runs] == ["m a", "m b"]
    same = plan("outputs: {model: m}", *files)
    assert [run.model for run in same.runs] == ["m (a)", "m (b)"]


def test_files_of_the_same_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("ra", "rb"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "three.jsonl").write_text(jsonl({"output": folder}))
    paths = [tmp_path / folder / "three.jsonl" for folder in ("ra", "rb", "rb")]
    config = Source.of(TESTS.encode(), "c.yaml")
    for count, names in ((2, ["ra/three", "rb/three"]), (3, ["ra/three", "rb/three, 1", "rb/three, 2"])):
        sources = [Source.at(path) for path in paths[:count]]
        found = plan_runs(load_source(config, Overrides(outputs=sources)))
        assert [run.model for run in found.runs] == [f"three ({name})" for name in names]
        assert [values(found, place)[0] for place in range(count)] == ["ra", "rb", "rb"][:count]
    uploads = [("m.jsonl", jsonl({"output": "x"}))] * 2
    assert [run.model for run in plan("", *uploads).runs] == ["m (m, 1)", "m (m, 2)"]


def test_outputs_as_an_object_by_key() -> None:
    """SQuAD's predictions: {"id": "text"}."""
    texts = json.dumps({"3": "c", "1": "a", "nobody": "x"})
    found = plan("outputs: {join: id}", ("pred.json", texts))
    assert values(found) == ["a", "no output was recorded for this case", "c"]
    assert "1 rows match no test case" in str(found.notices[0])
    objects = {str(n): {"answer": f"a{n}", "key": n} for n in (2, 1)}
    for join in ("id", "{output: $key, case: id}", "{output: key, case: id}"):
        for rows, content in (("", objects), (", rows: data", {"data": objects, "version": 2})):
            found = plan(f"outputs: {{join: {join}{rows}}}", ("pred.json", json.dumps(content)))
            assert values(found)[:2] == ["a1", "a2"]
    alone = json.dumps({"1": {"output": "a"}})
    assert values(plan("outputs: {join: id, rows: $}", ("pred.json", alone)))[0] == "a"
    labels = json.dumps({"1": 0, "2": 1, "3": None})
    assert values(plan("outputs: {join: id}", ("p.json", labels))) == [0, 1, "no output was recorded for this case"]


def test_an_object_by_key_is_never_read_in_its_order() -> None:
    nested = {"d": {"1": "a"}}
    for section, content in (("", {"1": "a", "2": "b"}), ("", {"error": "no access"}), ("{rows: d}", nested)):
        with pytest.raises(BadInput, match=r"if its keys tell the cases, .* outputs: \{join: FIELD\}"):
            plan(f"outputs: {section}" if section else "", ("pred.json", json.dumps(content)))
    for content in ({}, {"data": {"1": "a"}}, {"a": [], "b": []}, 5):
        with pytest.raises(BadInput, match=r"holds no list of rows at its top; .*rows: \$ when"):
            plan("outputs: {join: id}", ("pred.json", json.dumps(content)))


def test_cases_from_an_object_by_key() -> None:
    tests = "tests: {name: '{{row.$key}}', vars: {q: question, id: $key}, expected: a}\n"
    rows = json.dumps({f"q{n}": {"question": f"{n}?", "a": n, "output": str(n)} for n in range(3)})
    found = plan("", ("rows.json", rows), tests=tests)
    assert [(case.name, case.variables["id"]) for case in found.cases] == [(f"q{n}", f"q{n}") for n in range(3)]
    assert values(found) == ["0", "1", "2"]


def test_further_outputs_of_a_case_are_no_rows_without_a_case() -> None:
    rows = jsonl({"id": 1, "output": "a"}, {"id": 1, "output": "b"}, {"id": 9, "output": "c"})
    found = plan("outputs: {join: id}", ("m.jsonl", rows))
    assert values(found)[0] == "a"
    assert [str(notice) for notice in found.notices[:2]] == [
        "m.jsonl, line 3: 1 rows match no test case and were left out (rows 3)",
        "m.jsonl, line 2: 1 rows are further outputs of cases that have one already; the first counts (rows 2)",
    ]


def test_numbers_join_by_what_they_are() -> None:
    found = plan("outputs: {join: id}", ("m.jsonl", jsonl(*[{"id": float(n), "output": n} for n in (3, 2, 1)])))
    assert values(found) == [1, 2, 3]
    tests = "tests: [{vars: {id: 1.0}}, {vars: {id: 0.5}}, {vars: {id: 1.0e+22}}]\n"
    rows = jsonl({"id": 10**22, "output": "c"}, {"id": 0.5, "output": "b"}, {"id": "1", "output": "a"})
    assert values(plan("outputs: {join: id}", ("m.jsonl", rows), tests=tests)) == ["a", "b", "c"]


def test_a_field_that_no_row_has_is_a_slip() -> None:
    rows = jsonl({"ID": 1, "output": "a"}, {"ID": 2, "output": "b"})
    with pytest.raises(BadInput, match=r"m\.jsonl: cannot be joined: no row has a field 'id'; did you mean 'ID'\?"):
        plan("outputs: {join: id}", ("m.jsonl", rows))
    with pytest.raises(BadInput, match="no row has a field 'q'; there are ID, output"):
        plan("outputs: {join: q}", ("m.jsonl", rows))
    with pytest.raises(BadInput, match="no test case has a field 'ID'; did you mean 'id'"):
        plan("outputs: {join: ID}", ("m.jsonl", rows))
    rows = jsonl({"output": "a"}, {"id": None, "output": "c"}, {"id": 2, "output": "b"})
    assert values(plan("outputs: {join: id}", ("m.jsonl", rows)))[1] == "b", "some rows may lack it"
    assert len(values(plan("outputs: {join: id}", ("m.jsonl", "")))) == 3, "a file without rows has no fields"


def test_all_fields_of_an_output() -> None:
    row = {"o": '```json\n{"x": 5}\n```', "ms": "12.5", "usd": 0.000004, "in": 3, "out": 4, "stop": "length"}
    section = (
        "outputs: {output: o, transform: 'fence | json.x', latency_ms: ms, cost_usd: usd, tokens_in: in, "
        "tokens_out: out, finish_reason: stop, error: err}"
    )
    found = plan(section, ("m.jsonl", jsonl(row, {"o": "no fence"}, {"o": None, "err": "timeout"})))
    outputs = [output for _, output in found.runs[0].pairs]
    assert outputs[0] == Output(5, 12.5, 4_000, 3, 4, "length")
    assert outputs[1] == Output("")
    assert outputs[2] == Output(error="timeout")
    with pytest.raises(BadInput, match="line 1: 'soon' is not a figure"):
        plan("outputs: {output: o, latency_ms: ms}", ("m.jsonl", jsonl({"o": "x", "ms": "soon"})))
    for cost in ("-1", "1e300", True, [1]):
        with pytest.raises(BadInput, match="is not a"):
            plan("outputs: {output: o, cost_usd: c}", ("m.jsonl", jsonl({"o": "x", "c": cost})))


def test_compressed_outputs_and_faults_in_them() -> None:
    packed = gzip.compress(jsonl({"output": "a"}).encode())
    assert values(plan("", ("m.jsonl.gz", packed)))[0] == "a"
    with pytest.raises(BadInput, match=r"m\.jsonl, line 2, column 2"):
        plan("", ("m.jsonl", '{"output": "a"}\n{x}'))
    with pytest.raises(BadInput, match="say format"):
        plan("", ("m.parquet", "x"))
    with pytest.raises(BadInput, match="which field holds the output"):
        plan("", ("m.jsonl", jsonl({"x": 1})))
    with pytest.raises(BadInput, match="there is no list of rows at 'rows'"):
        plan("outputs: {rows: rows}", ("m.json", "{}"))


def test_without_cases_or_outputs_there_is_nothing_to_plan() -> None:
    with pytest.raises(BadInput, match="no test cases"):
        plan("", ("m.jsonl", jsonl({"output": "a"})), tests="tests: []\n")
    with pytest.raises(BadInput, match="give --outputs FILE"):
        plan("")


def test_rows_of_the_outputs_are_the_cases() -> None:
    tests = "tests: {rows: items, vars: [q], expected: a, name: '{{row.q}}'}\n"
    rows = [json.dumps({"items": [{"q": "x", "a": 1, "o": who}, {"q": "x", "a": 1, "o": who + who}]}) for who in "mn"]
    found = plan("outputs: {output: o}", ("m.json", rows[0]), ("n.json", rows[1]), tests=tests)
    assert len(found.cases) == 2, "equal rows of one file are different cases, of two files the same"
    assert [values(found, run) for run in (0, 1)] == [["m", "mm"], ["n", "nn"]]
    other = json.dumps({"items": [{"q": "y", "a": 1, "o": "z"}]})
    found = plan("outputs: {output: o}", ("m.json", rows[0]), ("n.json", other), tests=tests)
    assert len(found.cases) == 3
    assert [list(run.positions) for run in found.runs] == [[0, 1], [2]]


def test_rows_of_several_models_are_the_same_cases() -> None:
    tests = "tests: {vars: [q], name: '{{row.q}}'}\n"
    rows = jsonl(*[{"q": q, "who": who, "output": q + who} for q in ("x", "x", "y") for who in ("m", "n")][:5])
    found = plan("outputs: {model: {field: who}}", ("m.jsonl", rows), tests=tests)
    assert [case.name for case in found.cases] == ["x", "x", "y"]
    assert [(run.model, list(run.positions)) for run in found.runs] == [("m", [0, 1, 2]), ("n", [0, 1])]
    assert values(found) == ["xm", "xm", "ym"]


def test_outputs_that_the_tests_bring_along() -> None:
    tests = "tests: [{vars: {a: 1}, providerOutput: hello}, {vars: {a: 2}}]\nproviders: [echo]\n"
    found = plan("", tests=tests)
    assert found.runs[0].model == "echo"
    assert values(found) == ["hello", "no output was recorded for this case"]


def test_results_of_promptfoo_version_4(real_data: Path) -> None:
    config = real_data / "promptfoo-configs" / "simple-csv" / "promptfooconfig.yaml"
    source = Source.at(real_data / "promptfoo-results" / "v4evalToShare.json")
    found = plan_runs(load_config(config, Overrides(outputs=[source])))
    assert [(run.model, len(run.pairs)) for run in found.runs] == [("openai:gpt-4o-mini", 4)] * 2
    assert [run.prompt for run in found.runs] == [
        f"examples/simple-csv/prompts.txt: {text} {{{{language}}}}: {{{{body}}}}"
        for text in ("Rephrase this in", "Translate this to conversational")
    ]
    case, output = found.runs[0].pairs[1]
    assert (case.variables["body"], output.value) == ("I'm hungry", "J'ai faim.")
    assert (output.cost_nano, output.latency_ms) == (4_650, 10)
    assert not found.notices


@pytest.mark.parametrize("name", ["simple-csv", "simple-test"])
def test_results_of_promptfoo_version_1(real_data: Path, name: str) -> None:
    folder = real_data / "promptfoo-configs" / name
    rows = json.loads((folder / "output.json").read_text("utf-8"))["results"]
    source = Source.at(folder / "output.json")
    found = plan_runs(load_config(folder / "promptfooconfig.yaml", Overrides(outputs=[source])))
    assert [run.model for run in found.runs] == ["openai:gpt-4o-mini"] * 2
    recorded = {(row["prompt"]["display"], row["vars"]["body"]): row["response"]["output"] for row in rows}
    for run in found.runs:
        for case, output in run.pairs:
            if output.error is None and name == "simple-test":
                assert output.value == recorded[str(run.prompt), case.variables["body"]]


def result(variables: Any, output: str, index: int | None = None, model: str = "m") -> dict[str, Any]:
    place = {} if index is None else {"testIdx": index, "promptIdx": 0}
    about = {"prompt": {"raw": "..", "label": "P"}, "provider": {"id": model, "label": ""}}
    return {**place, **about, "vars": variables, "response": {"output": output}}


def results(*rows: Any) -> tuple[str, str]:
    return "results.json", json.dumps({"results": {"version": 3, "results": rows}})


def test_results_with_other_variables_are_scored_against_no_case() -> None:
    """Found by trying: a row found by its testIdx passed the assertions of another test."""
    tests = "tests: [{vars: {q: France}}, {vars: {q: Italy}}]\n"
    found = plan("", results(result({"q": "France"}, "Paris", 0), result({"q": "emperors"}, "Rome", 1)), tests=tests)
    assert values(found) == ["Paris", "no output was recorded for this case"]
    assert "1 rows match no test case and were left out (rows 2)" in str(found.notices[0])
    found = plan("", results(result({"question": "France"}, "Paris", 0)), tests=tests)
    assert values(found) == ["no output was recorded for this case"] * 2, "no variable in common is another test"
    found = plan("", results(result({}, "Paris", 0), result({}, "Rome")), tests=tests)
    assert values(found) == ["Paris", "Rome"], "without variables the index counts, else the position"


def test_results_may_know_more_or_less_than_the_case() -> None:
    tests = "tests: [{vars: {q: a, more: 1}}, {vars: {q: 'file://q.py', n: 1.0}}, {vars: {q: b, o: {x: [1]}}}]\n"
    rows = [
        result({"q": "a", "added": "x"}, "first", 0),
        result({"q": "computed", "n": "1"}, "second", 1),
        result({"q": "b", "o": '{"x":[ 1 ]}'}, "third", 2),
    ]
    assert values(plan("", results(*rows), tests=tests)) == ["first", "second", "third"]


def test_results_of_a_repeated_case_are_further_outputs() -> None:
    rows = [result({"q": "one", "id": 1}, text, 0) for text in ("a", "b")]
    found = plan("", results(*rows, result({}, "c", 0)))
    assert values(found) == ["a", *["no output was recorded for this case"] * 2]
    assert "2 rows are further outputs of cases that have one already" in str(found.notices[0])


@pytest.mark.parametrize("section", ["", "outputs: {format: promptfoo}"])
def test_results_as_json_lines(section: str) -> None:
    """What ``promptfoo eval -o out.jsonl`` writes: the same rows, one on a line."""
    rows = [result({"q": "two", "id": 3}, "y", 2, model) for model in ("m", "n")]
    rows.append({**result({"q": "one", "id": 1}, "", 0, "n"), "response": {"error": "boom"}})
    found = plan(section, ("out.jsonl", jsonl(*rows)))
    assert [(run.model, run.prompt) for run in found.runs] == [("m", "P"), ("n", "P")]
    assert values(found, 1) == ["boom", "no output was recorded for this case", "y"]
    first = {"prompt": {"raw": ".."}, "promptIdx": 0, "testIdx": 0, "error": "no answer at all"}
    assert values(plan(section, ("out.jsonl", jsonl(first))))[0] == "no answer at all"
    with pytest.raises(BadInput, match=r"out\.jsonl, line 4: is not a result of promptfoo"):
        plan(section, ("out.jsonl", jsonl(*rows, 5)))
    bad = {**rows[0], "latencyMs": "soon"}
    with pytest.raises(BadInput, match=r"out\.jsonl, line 4: 'soon' is not a figure"):
        plan(section, ("out.jsonl", jsonl(*rows, bad)))


def test_rows_with_a_prompt_of_ones_own_are_no_results() -> None:
    rows = jsonl({"prompt": "hello", "response": "a"}, {"prompt": {"role": "user"}, "response": "b"})
    assert values(plan("", ("m.jsonl", rows)))[:2] == ["a", "b"]
    assert values(plan("outputs: {output: response.text}", ("m.jsonl", jsonl(result({}, "a")))))[0] != "a"
    for rows in ("", "5", jsonl({"output": "x"})):
        with pytest.raises(BadInput, match="is not a result file of promptfoo"):
            plan("outputs: {format: promptfoo}", ("m.jsonl", rows))
