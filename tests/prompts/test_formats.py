"""Files of prompts, ours and those of others: what is in them is read, what is wrong in them is pointed at."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoforge.errors import BadInput
from autoforge.prompts.content import canonical_json, from_text, plain_text, to_data
from autoforge.prompts.formats import (
    FORMATS,
    PromptRecord,
    RowError,
    VersionRecord,
    read_records,
    write_records,
)
from autoforge.prompts.formats.markdown import file_text
from autoforge.prompts.formats.placeholders import convert_braces, convert_dollar
from autoforge.prompts.formats.records import record_data
from tests.prompts.contents import json_values
from tests.prompts.files import good, read, written


class TestOwnFiles:
    def test_a_text_edited_in_a_spreadsheet_counts(self) -> None:
        text = written([PromptRecord("a", (VersionRecord(1, from_text("old")),), branches={"main": 1})], "csv").decode()
        (record,) = good(text.replace("old", "new"), "x.csv")
        assert plain_text(record.current.content) == "new"

    def test_a_label_named_main_is_refused(self) -> None:
        record = PromptRecord("a", (VersionRecord(1, from_text("x")),), branches={"main": 1}, labels={"main": 1})
        (fault,) = read(written([record], "jsonl"), "x.jsonl")
        assert isinstance(fault, RowError)
        assert "'main' is the branch that every prompt has" in str(fault)

    def test_faults_of_a_row_have_their_line(self) -> None:
        head = "name,version,prompt,content,status\r\n"
        rows = ['a,1,"two\nlines",{},', "b@c,1,x,{},", "c,x,x,{},", "d,1,x,{,", "e,1", 'f,1,"hi",{},live', "g,1,fine,,"]
        found = read(head + "\r\n".join(rows), "x.csv")
        assert [item.line if isinstance(item, RowError) else item.name for item in found] == ["a", 4, 5, 6, 7, 8, "g"]

    def test_a_bad_line_does_not_end_an_import(self) -> None:
        found = read('{"prompt": "one"}\n{"prompt": \n\n[1]\n{"prompt": "two"}\n', "x.jsonl")
        assert [item.line if isinstance(item, RowError) else item.name for item in found] == ["one", 2, 4, "two"]

    @pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
    def test_nul_is_mended_in_files_of_others_only(self, name: str) -> None:
        (record,) = good(r'{"prompt": "a\u0000b \\u0000"}', name)
        assert plain_text(record.current.content) == "a\ufffdb \\u0000"
        assert "became U+FFFD" in record.current.message
        own = json.dumps(record_data(record)).replace("\\ufffd", "\\u0000")
        assert isinstance(read(own, name)[0], RowError)

    @pytest.mark.parametrize(
        ("data", "name"),
        [
            (b'{"prompts": [', "x.json"),
            (b"\xff\xfe\x00", "x.json"),
            (b"[" * 100_000, "x.json"),
            (b"a: [1", "x.yaml"),
            (b"a: &a [*a]", "x.yaml"),
            (b"a: !!python/object:os.system 1", "x.yaml"),
            (b"", "x.csv"),
            (b'name,prompt\na,"b', "x.csv"),
            (b"\x00", "x.yaml"),
        ],
    )
    def test_broken_files_are_bad_input(self, data: bytes, name: str) -> None:
        with pytest.raises(BadInput):
            read(data, name)

    def test_faults_in_records_are_pointed_at(self) -> None:
        record = record_data(PromptRecord("a", (VersionRecord(1, from_text("x")),)))
        bad = {**record, "labels": {"production": 7, "7": 1}, "status": "live", "titel": "x"}
        bad["versions"] = [{**record["versions"][0], "parents": [1], "created_at": "soon", "content": {"messages": []}}]
        (found,) = read(json.dumps(bad), "x.json")
        assert isinstance(found, RowError)
        assert {error.pointer for error in found.errors} == {
            *("/labels/production", "/labels/7", "/status", "/titel"),
            *("/versions/0/parents", "/versions/0/created_at", "/versions/0/content/messages"),
        }

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            ({"title": "t" * 201}, "/title"),
            ({"description": "d" * 20_001}, "/description"),
            ({"tags": ["ok", "g" * 201]}, "/tags/1"),
            ({"labels": {f"l{number}": 1 for number in range(10_001)}}, "/labels"),
            ({"branches": {f"l{number}": 1 for number in range(10_001)}}, "/branches"),
            ({"versions": [{"number": 1, "content": "x", "message": "m" * 20_001}]}, "/versions/0/message"),
            ({"versions": [{"number": 1_000_002, "content": "x"}]}, "/versions/0/number"),
            ({"versions": [{"number": 999_999_999, "content": "x"}]}, "/versions/0/number"),
        ],
    )
    def test_what_the_forms_and_the_api_would_refuse_does_not_come_in(self, change: dict[str, Any], place: str) -> None:
        record = record_data(PromptRecord("a", (VersionRecord(1, from_text("x")),)))
        (found,) = read(json.dumps(record | change), "x.jsonl")
        assert isinstance(found, RowError)
        assert place in {error.pointer for error in found.errors}

    @pytest.mark.parametrize("format", ["csv", "json", "jsonl", "yaml"])
    def test_what_the_api_takes_comes_in(self, format: str) -> None:
        versions = [VersionRecord(1_000_001, from_text("x"), (), "m" * 20_000)]
        versions.append(VersionRecord(1_000_002, from_text("y")))  # saved after such an import
        record = PromptRecord("a", tuple(versions), "t" * 200, "d" * 20_000, tuple(f"{n:0200}" for n in range(50)))
        record = replace(
            record, labels={f"l{number}": 1_000_001 for number in range(5_000)}, branches={"main": 1_000_002}
        )
        (again,) = good(written([record], format), f"x.{format}")
        assert record_data(again) == record_data(record)

    def test_times_are_utc(self) -> None:
        record = record_data(PromptRecord("a", (VersionRecord(1, from_text("x")),)))
        record["versions"][0]["created_at"] = "2026-01-31T12:00:00.5+09:00"
        (found,) = good(json.dumps(record), "x.json")
        assert found.versions[0].created_at == datetime(2026, 1, 31, 3, 0, 0, 500_000, UTC)
        assert found.versions[0].created_at.utcoffset() == timedelta(0)

    def test_markdown_by_hand(self, tmp_path: Path) -> None:
        (tmp_path / "mail").mkdir()
        (tmp_path / "mail" / "plain.md").write_text("Hello {{name}}\n")
        (tmp_path / "chat.md").write_bytes(
            b"---\r\ntitle: A chat\r\nparameters: {temperature: 0.5}\r\n---\r\n"
            b"<!-- system -->\nBe kind\n<!-- user -->\nHi\r\n"
        )
        (tmp_path / "bad.md").write_text("---\ntitle: [\n---\nx")
        (tmp_path / "loop.md").symlink_to(tmp_path / "chat.md")
        bad, chat, plain = read_records(tmp_path)
        assert isinstance(bad, RowError)
        assert bad.place == "bad.md"
        assert "line 2" in bad.message or "line 3" in bad.message
        assert isinstance(chat, PromptRecord)
        assert (chat.name, chat.title) == ("chat", "A chat")
        assert to_data(chat.current.content)["messages"] == [
            {"role": "system", "content": "Be kind"},
            {"role": "user", "content": "Hi"},
        ]
        assert isinstance(plain, PromptRecord)
        assert plain.name == "mail/plain"
        assert plain_text(plain.current.content) == "Hello {{name}}"

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("- prompt: x\n- prompt: [", "line 2:"),
            ("a: &a [*a]", "line 1, column 8"),
            ("# a note\n\na: &a [*a]\n", "line 3, column 8"),
            ("---\nprompt: x\n---\na: &a [*a]\n", "line 4, column 8"),
            ("prompt: x\n...\n%YAML 1.2\n---\na: &a [*a]\n", "line 5, column 8"),
            ("%YAML 1.2\n---\na: [\n", "line 3:"),
        ],
    )
    def test_faults_of_yaml_have_their_line(self, text: str, place: str) -> None:
        with pytest.raises(BadInput) as caught:
            read(text, "x.yaml")
        assert place in caught.value.detail

    @pytest.mark.parametrize(
        "text",
        [
            "%YAML 1.2\n---\nprompt: one\n---\nprompt: two\n",
            "%YAML 1.1\n# a note\n%TAG !e! tag:e.com:\n\n--- # here\nprompt: one\n...\n%YAML 1.2\n---\nprompt: two",
            "prompt: one\n...\n# a note\n%YAML 1.2\n---\nprompt: two\n...\n",
        ],
    )
    def test_directives_belong_to_the_document_behind_them(self, text: str) -> None:
        assert [record.name for record in good(text, "x.yaml")] == ["one", "two"]

    def test_the_place_of_a_yaml_document_costs_nothing(self) -> None:
        # With a blank line for each line before, this would be ten thousand million lines.
        assert len(read("---\n- 1\n" * 50_000, "x.yaml")) == 50_000

    def test_a_folder_of_a_long_history_is_written_version_by_version(self) -> None:
        # With all versions again for each of them, this would take minutes.
        versions = tuple(VersionRecord(n, from_text(f"text {n}"), (n - 1,) if n > 1 else ()) for n in range(1, 8_001))
        record = PromptRecord("a", versions, labels={"live": 7_000}, branches={"main": 8_000})
        files = [file_text(record, version, is_current=version is versions[-1]) for version in versions]
        assert files[6_999] == "---\nname: a\nversion: 7000\nparents:\n- 6999\nengine: mustache\n---\ntext 7000\n"
        assert "labels:\n  live: 7000\n" in files[-1]

    def test_several_yaml_documents(self) -> None:
        one, two, three = good(
            "prompt: |\n  a\n  ---\n  b\n---\n# nothing\n--- \nprompt: two\n...\n---\n- three\n", "x.yaml"
        )
        assert plain_text(one.current.content) == "a\n---\nb\n"
        assert (two.name, three.name) == ("two", "three")


class TestOthersFiles:
    def test_a_table_with_usual_names(self) -> None:
        data = "Title;Prompt;Category;Model\nPoet;Write a poem about {{topic}};a, b;gpt-x\nPoet;Again;;\n"
        one, two = good(data, "x.csv")
        assert (one.name, one.title, one.tags) == ("poet", "Poet", ("a", "b"))
        assert (two.name, two.title) == ("poet-2", "Poet")
        assert to_data(one.current.content)["parameters"] == {"model": "gpt-x"}

    def test_a_mapping_says_which_column(self) -> None:
        data = json.dumps([{"q": {"body": "Hello {x}"}, "t": "Greeting"}])
        with pytest.raises(BadInput, match="no field 'promt'"):
            read(data, "x.json", mapping={"promt": "q.body"})
        (found,) = read(data, "x.json")
        assert isinstance(found, RowError)
        assert "Say which it is with a mapping" in found.message
        (record,) = good(data, "x.json", mapping={"prompt": "q.body", "title": "t"}, placeholders="braces", folder="in")
        assert (record.name, plain_text(record.current.content)) == ("in/greeting", "Hello {{x}}")
        (missing,) = read(data, "x.json", mapping={"prompt": "q.text"})
        assert isinstance(missing, RowError)

    def test_langfuse_and_phoenix_and_messages(self) -> None:
        rows = [
            {
                "name": "a/chat",
                "type": "chat",
                "prompt": [{"role": "system", "content": "s"}],
                "config": {"model": "m"},
            },
            {"name": "text", "type": "text", "prompt": "Hi {{x}}", "labels": ["production"], "version": 3},
            {
                "template": {"type": "chat", "messages": [{"role": "user", "content": "{x}"}]},
                "template_format": "F_STRING",
            },
            {"messages": [{"role": "human", "content": "hi"}, {"role": "ai", "content": "yes"}]},
        ]
        found = good(json.dumps({"data": rows}), "x.json")
        assert [record.name for record in found] == ["a/chat", "text", "x", "hi"]
        assert to_data(found[0].current.content)["parameters"] == {"model": "m"}
        assert plain_text(found[2].current.content) == "{{x}}"
        assert [message.role for message in found[3].current.content.messages] == ["user", "assistant"]

    @pytest.mark.parametrize("role", ["oracle", ["x"], {"x": 1}, 7, None, True])
    def test_a_role_that_is_none_is_a_bad_row(self, role: Any) -> None:
        (found,) = read(json.dumps({"messages": [{"role": role, "content": "1"}]}), "x.jsonl")
        assert isinstance(found, RowError)
        assert [error.pointer for error in found.errors] == ["/messages/0/role"]

    @pytest.mark.parametrize("column", ["branches", "labels"])
    @pytest.mark.parametrize("cell", ['[["x"]]', '[{"x": 1}]', "[1]", "[null]"])
    def test_a_head_that_is_no_name_is_a_bad_row(self, column: str, cell: str) -> None:
        quoted = cell.replace('"', '""')
        (found,) = read(f'name,version,prompt,content,{column}\na,1,x,,"{quoted}"\n', "x.csv")
        assert isinstance(found, RowError)
        assert f"{column} are names" in found.message

    @pytest.mark.parametrize("row", [{"description": "d" * 20_001}, {"tags": ["g" * 201]}])
    def test_texts_that_are_too_long_for_forms_are_refused_not_cut(self, row: dict[str, Any]) -> None:
        (found,) = read(json.dumps({"prompt": "x", **row}), "x.jsonl")
        assert isinstance(found, RowError)
        assert "is the most" in found.message

    def test_dollar_placeholders(self) -> None:
        found = convert_dollar("${Company Type: Big} ${x} ${x:1} ${x:2} ${a.b} ${f(x)} ${} ${1} $x ${Brand's name}")
        assert found.text == "{{Company_Type}} {{x}} {{x}} {{x}} ${a.b} ${f(x)} ${} ${1} $x {{Brand_s_name}}"
        assert found.variables == [
            {"name": "Company_Type", "default": "Big"},
            {"name": "x", "default": "1", "description": "Also suggested: 2"},
            {"name": "Brand_s_name"},
        ]

    def test_braces_placeholders(self) -> None:
        found = convert_braces('Answer {question} as {{"a": "{x}"}}, not {0} or { y }')
        assert found.text == 'Answer {{question}} as {"a": "{{x}}"}, not {0} or { y }'
        assert [variable["name"] for variable in found.variables] == ["question", "x"]

    def test_what_is_asked_can_be_divided_from_the_answer(self) -> None:
        row = {"jinja": "Q: {{q}} ||| {{a}}", "dataset": "d/e", "subset": "f", "name": "N 1", "answer_choices": None}
        (whole,) = good(json.dumps(row), "x.jsonl")
        assert plain_text(whole.current.content) == row["jinja"]
        (divided,) = good(json.dumps(row), "x.jsonl", separator="|||")
        assert divided.name == "d/e/f/n-1"
        assert to_data(divided.current.content)["messages"] == [
            {"role": "user", "content": "Q: {{q}}"},
            {"role": "assistant", "content": "{{a}}"},
        ]

    def test_talk_about_templates_is_no_template(self) -> None:
        (record,) = good(json.dumps({"prompt": "Close every {% if %} tag"}), "x.json")
        assert record.current.content.engine == "mustache"

    @given(
        st.dictionaries(st.sampled_from(["act", "prompt", "jinja", "config", "data", "messages", "name"]), json_values)
    )
    @settings(deadline=None)
    def test_any_row_is_a_prompt_or_an_error(self, row: dict[str, Any]) -> None:
        found = read(json.dumps([row]), "x.json")
        assert all(isinstance(item, RowError | PromptRecord) for item in found)


class TestRealData:
    def test_prompts_chat(self, real_data: Path) -> None:
        found = list(read_records(real_data / "prompts-awesome" / "prompts.csv"))
        good = [item for item in found if isinstance(item, PromptRecord)]
        assert len(good) == len(found) == 760
        assert len({record.name for record in good}) == 760
        assert max(len(plain_text(record.current.content) or "") for record in good) == 144_260
        with_variables = [record for record in good if record.current.content.variables]
        assert len(with_variables) > 200
        interviewer = next(record for record in good if record.title == "Job Interviewer")
        assert to_data(interviewer.current.content)["variables"] == [
            {"name": "Position", "default": "Software Developer"}
        ]

    @pytest.mark.parametrize("language", ["en-US", "ja-JP", "zh-CN"])
    def test_lobe_agents(self, real_data: Path, language: str) -> None:
        path = real_data / "prompts-lobe-agents" / f"agents.{language}.jsonl"
        found = list(read_records(path))
        good = [item for item in found if isinstance(item, PromptRecord)]
        assert len(good) == len(found) == 247
        assert all(record.name.startswith(f"{language.lower()}/") for record in good)
        rows = [json.loads(line)["data"] for line in path.read_text("utf-8").splitlines()]
        for row, record in zip(rows, good, strict=True):
            first = record.current.content.messages[0]
            assert (first.role, first.content) == ("system", row["config"]["systemRole"])
            assert record.title == " ".join(row["meta"]["title"].split())

    def test_promptsource(self, real_data: Path) -> None:
        path = real_data / "prompts-promptsource" / "templates.jsonl"
        found = list(read_records(path))
        good = [item for item in found if isinstance(item, PromptRecord)]
        assert len(good) == len(found) == 1003
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        assert [plain_text(record.current.content) for record in good] == [row["jinja"] for row in rows]
        assert {record.current.content.engine for record in good} == {"jinja2"}

    def test_tags_of_promptsource_are_refused_clearly(self, real_data: Path) -> None:
        with pytest.raises(BadInput, match=r"line \d+.*tag '!Template' is not allowed"):
            list(read_records(real_data / "prompts-promptsource" / "raw" / "imdb.templates.yaml"))

    @pytest.mark.parametrize("format", FORMATS)
    def test_everything_goes_out_and_comes_back(self, real_data: Path, tmp_path: Path, format: str) -> None:
        files = ["prompts-awesome/prompts.csv", "prompts-lobe-agents/agents.ja-JP.jsonl"]
        found = [item for file in files for item in read_records(real_data / file) if isinstance(item, PromptRecord)]
        out = tmp_path / ("folder" if format == "markdown" else f"out.{format}")
        write_records(found, format, out)
        back = [item for item in read_records(out) if isinstance(item, PromptRecord)]
        assert len(back) == len(found)
        contents = {record.name: canonical_json(record.current.content) for record in back}
        assert contents == {record.name: canonical_json(record.current.content) for record in found}

    def test_any_file_is_read_or_refused(self, real_data: Path) -> None:
        for folder in ("bad-json", "csv-messy", "naughty-strings"):
            for path in sorted((real_data / folder).rglob("*")):
                if path.is_file():
                    for format in ("csv", "json", "jsonl", "yaml"):
                        try:
                            list(islice(read_records(path, format), 2000))
                        except BadInput as error:
                            assert error.detail  # noqa: PT017
