"""Contents: canonical form, hashes, and pointed errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoforge.errors import BadInput
from autoforge.llm.rendering import render_messages
from autoforge.prompts.content import (
    PromptContent,
    canonical_json,
    check_templates,
    content_hash,
    from_text,
    needed_variables,
    parse_content,
    plain_text,
    readable_text,
    searchable_text,
    title_of,
    to_data,
)
from autoforge.prompts.names import Reference, UniqueNames, parse_name, parse_reference, slug_of
from tests.prompts.contents import contents


def faults(data: Any) -> dict[str, str]:
    with pytest.raises(BadInput) as caught:
        parse_content(data)
    return {error.pointer: error.message for error in caught.value.errors}


def chat(*texts: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text} for text in texts], **more}


def as_python_writes(content: PromptContent) -> str:
    return json.dumps(to_data(content), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class TestParsing:
    def test_a_text_is_a_chat_of_one_message(self) -> None:
        assert parse_content("Hi {{name}}") == from_text("Hi {{name}}")
        assert to_data(from_text("Hi")) == {"messages": [{"role": "user", "content": "Hi"}], "engine": "mustache"}

    def test_all_faults_are_pointed_at_together(self) -> None:
        data = {
            "messages": [{"role": "sytem", "content": 3}, {"content": "x", "nmae": "y"}, "z"],
            "engine": "erb",
            "variables": [{"name": "a"}, {"name": "a"}, {"name": "{x}"}, {"name": "b", "required": "no"}],
            "parameters": {"temperature": float("nan"), "seed": 2**70},
            "tools": ["search"],
            "response_schema": [],
            "modle": 1,
        }
        found = faults(data)
        assert found["/messages/0/role"] == "There is no role 'sytem'; did you mean 'system'?"
        assert found["/messages/1/nmae"] == "There is no field 'nmae'. Did you mean 'name'?"
        assert found.keys() == {
            *("/messages/0/role", "/messages/0/content", "/messages/1/nmae", "/messages/1/role", "/messages/2"),
            *("/messages/2/role", "/messages/2/content", "/engine", "/variables/1/name", "/variables/2/name"),
            *("/variables/3/required", "/parameters/temperature", "/parameters/seed", "/tools/0", "/response_schema"),
            "/modle",
        }

    @pytest.mark.parametrize("data", [None, 1, [], True, {}, {"messages": []}, {"messages": None}, {"messages": {}}])
    def test_what_is_no_prompt_is_refused(self, data: Any) -> None:
        assert faults(data)

    def test_nul_and_lone_surrogates_are_refused_with_their_line(self) -> None:
        assert "line 2" in faults(chat("a\nb\x00"))["/messages/0/content"]
        assert "line 1" in faults(chat("\ud800"))["/messages/0/content"]
        assert faults(chat("x", parameters={"a\x00": 1}))
        assert next(iter(faults({"\ud800": 1}))) == "/\\ud800"
        assert faults(chat("x", tools=[{"name": ["\udfff"]}]))["/tools/0/name/0"]

    def test_sizes_are_bounded(self) -> None:
        assert "1,000,000 is the most" in faults(chat("x" * 1_000_001))["/messages"]
        assert faults({"messages": [{"role": "user", "content": "x"}] * 1001})["/messages"]
        deep: Any = 1
        for _ in range(5_000):
            deep = [deep]
        assert "nested deeper" in next(iter(faults(chat("x", parameters={"a": deep})).values()))

    def test_from_json(self) -> None:
        assert PromptContent.from_json('{"messages": [{"role": "user", "content": "é"}]}') == from_text("é")
        for text in ("{", "", "[" * 100_000, '{"messages": NaN}'):
            with pytest.raises(BadInput):
                PromptContent.from_json(text)

    def test_the_engine_is_decided_when_written(self) -> None:
        assert from_text("{{a}}").engine == "mustache"
        assert from_text("{{ a | upper }}").engine == "jinja2"
        assert from_text("{{ a | upper }}", engine="none").engine == "none"
        assert parse_content(chat("{{a}}", "{% if a %}{% endif %}", engine="auto")).engine == "jinja2"

    def test_broken_templates_can_be_kept_and_found(self) -> None:
        broken = parse_content(chat("ok", "one\n{% if a %}"))
        with pytest.raises(BadInput) as caught:
            check_templates(broken)
        assert caught.value.errors[0].pointer == "/messages/1/content"
        assert needed_variables(broken) == []


class TestHash:
    def test_equal_meaning_equal_hash(self) -> None:
        plain = content_hash(from_text("Hi"))
        assert plain.startswith("sha256-v1:")
        assert len(plain) == len("sha256-v1:") + 64
        for same in (
            chat("Hi", tools=[], variables=[], parameters={"temperature": None}, response_schema=None),
            {"engine": "auto", "messages": [{"content": [{"type": "text", "text": "Hi"}], "role": "user", "name": ""}]},
        ):
            assert content_hash(parse_content(same)) == plain
        one, other = {"a": 1.0, "b": {"x": 1, "y": 2}}, {"b": {"y": 2.0, "x": 1}, "a": 1}
        assert content_hash(parse_content(chat("Hi", parameters=one))) == content_hash(
            parse_content(chat("Hi", parameters=other))
        )

    def test_other_meaning_other_hash(self) -> None:
        contents = [
            chat("Hi"),
            chat("Hi\n"),
            chat("Hi", ""),
            chat("Hi", parameters={"a": 1}),
            chat("Hi", parameters={"a": True}),
            chat("Hi", parameters={"a": "1"}),
            chat("Hi", parameters={"a": 1.5}),
            chat("Hi", variables=[{"name": "a", "default": 1}]),
            chat("Hi", variables=[{"name": "a", "default": 1.0}]),
            chat("Hi", variables=[{"name": "a", "default": None}]),
            chat("Hi", variables=[{"name": "a"}]),
            chat("Hi", engine="none"),
            chat("é"),
            chat("e\u0301"),
        ]
        assert len({content_hash(parse_content(content)) for content in contents}) == len(contents)

    @given(contents())
    def test_canonical_json_reads_back_as_the_same(self, content: PromptContent) -> None:
        text = canonical_json(content)
        assert canonical_json(PromptContent.from_json(text)) == text
        assert json.loads(text) == json.loads(json.dumps(to_data(content)))

    @given(contents())
    def test_canonical_json_is_what_pythons_own_encoder_writes(self, content: PromptContent) -> None:
        assert canonical_json(content) == as_python_writes(content)

    @given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1, max_size=3))
    def test_so_it_is_for_mere_texts(self, texts: list[str]) -> None:
        content = parse_content(chat(*texts))
        assert canonical_json(content) == as_python_writes(content)

    @pytest.mark.parametrize("text", [*map(chr, range(1, 0x20)), '"', "\\", "/", "\x7f", "\u2028", "😀", ""])
    def test_so_are_signs_that_json_escapes(self, text: str) -> None:
        content = from_text(f"a{text}b")
        assert canonical_json(content) == as_python_writes(content)


class TestReading:
    def test_titles(self) -> None:
        assert title_of(from_text("\n---\n# Write a *poem*\nmore")) == "Write a *poem*"
        assert title_of(from_text("word " * 40)).endswith("word…")
        assert len(title_of(from_text("漢" * 200))) == 80
        assert title_of(from_text("...")) == "Untitled prompt"

    def test_texts(self) -> None:
        content = parse_content(
            {
                "messages": [{"role": "system", "content": "Be {{how}}"}, {"role": "user", "content": "{{q}}"}],
                "variables": [{"name": "q", "description": "the question"}],
                "tools": [{"type": "function", "function": {"name": "look_up"}}],
            }
        )
        assert plain_text(content) is None
        assert plain_text(from_text("x")) == "x"
        assert readable_text(content) == "[system]\nBe {{how}}\n\n[user]\n{{q}}"
        assert searchable_text(content) == "Be {{how}}\n{{q}}\nq the question\nlook_up"
        assert needed_variables(content) == ["how", "q"]

    def test_it_renders(self) -> None:
        content = parse_content(chat("Hi {{name}}{{more}}", variables=[{"name": "name", "default": "you"}]))
        with pytest.raises(BadInput, match="'more' is missing"):
            render_messages(content, {})
        assert render_messages(content, {"more": "!"}) == [{"role": "user", "content": "Hi you!"}]


class TestNames:
    @pytest.mark.parametrize("name", ["a", "team/mail/answer", "日本語/翻訳", "Two words", "a.b", "x" * 200])
    def test_good(self, name: str) -> None:
        assert parse_name(name) == name

    @pytest.mark.parametrize(
        "name", ["", "/a", "a/", "a//b", " a", "a ", "a/ b", "a@b", "a\nb", "a\x00", "x" * 201, ".", "a/..", "\ud800"]
    )
    def test_bad(self, name: str) -> None:
        with pytest.raises(BadInput) as caught:
            parse_name(name)
        assert caught.value.errors[0].pointer == "/name"

    def test_references(self) -> None:
        assert parse_reference("a/b") == Reference("a/b")
        assert parse_reference("a/b@12") == Reference("a/b", number=12)
        assert parse_reference("a/b@production") == Reference("a/b", head="production")
        for bad in ("a@", "@1", "a@0", "a@b@c", "a@b c", "a@-x"):
            with pytest.raises(BadInput):
                parse_reference(bad)

    def test_slugs(self) -> None:
        assert slug_of("  Ünïcode & Co. (2024)! ") == "ünïcode-co-2024"
        assert slug_of("AI画像プロンプト設計者") == "ai画像プロンプト設計者"
        assert slug_of("!!!") == "prompt"

    @given(st.text())
    def test_a_slug_is_a_name(self, text: str) -> None:
        assert parse_name(slug_of(text)) == slug_of(text)

    @given(st.lists(st.sampled_from(["a", "a-2", "a-3", "b", "a-2-2"])))
    def test_names_are_made_unique(self, names: list[str]) -> None:
        given = UniqueNames()
        taken = [given.take(name) for name in names]
        assert len(set(taken)) == len(taken)

    def test_numbers_that_are_taken_are_passed_over(self) -> None:
        given = UniqueNames()
        most = 100_000  # one call inside of the other would end at a thousand, counting from the start take hours
        for number in range(2, most):
            assert given.take(f"poet-{number}") == f"poet-{number}"
        assert [given.take("poet") for _ in range(3)] == ["poet", f"poet-{most}", f"poet-{most + 1}"]
        assert [given.take("poem") for _ in range(most)][-1] == f"poem-{most}"
