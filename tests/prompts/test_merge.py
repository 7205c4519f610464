"""Three-way merges: what merges by itself, and conflicts as data."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoforge.errors import BadInput
from autoforge.prompts.content import PromptContent, canonical_json, from_text, parse_content, to_data
from autoforge.prompts.diff import MISSING, diff_contents
from autoforge.prompts.merge import MergeResult, lowest_common_ancestors, merge, resolve
from tests.prompts.contents import contents, texts


def text_of(result: MergeResult) -> str:
    assert result.content is not None, result.conflicts
    return str(result.content.messages[0].content)


def chat(*messages: tuple[str, str], **more: Any) -> PromptContent:
    return parse_content({"messages": [{"role": r, "content": c} for r, c in messages], **more})


def merged_data(result: MergeResult) -> dict[str, Any]:
    assert result.content is not None, result.conflicts
    return to_data(result.content)


# Related contents: random ones share so little that every merge would conflict.
related = st.builds(
    lambda lines, more, temperature, variables: chat(
        ("system", "".join(f"{line}\n" for line in lines)),
        *more,
        parameters={"temperature": temperature, "model": "m"},
        variables=[{"name": name} for name in variables],
    ),
    st.lists(st.sampled_from("abcdef"), max_size=6),
    st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.sampled_from(["x\n", "y\nz\n"])), max_size=3),
    st.sampled_from([0, 0.5, 1]),
    st.lists(st.sampled_from("pqr"), unique=True),
)


class TestTexts:
    def test_every_stretch_of_a_long_text_has_its_key(self) -> None:
        # Counting each key from the start would take hours.
        base, ours, theirs = (from_text("".join(f"{i}\n{end}\n" for i in range(60_000))) for end in "xyz")
        keys = [conflict.key for conflict in merge(base, ours, theirs).conflicts]
        at = "/messages/0/content"
        assert (len(keys), keys[:2], keys[-1]) == (60_000, [at, f"{at}#2"], f"{at}#60000")

    def test_changes_in_different_places_come_together(self) -> None:
        base = from_text("one\ntwo\nthree\nfour\n")
        result = merge(base, from_text("ONE\ntwo\nthree\nfour\n"), from_text("one\ntwo\nthree\nfour\nfive\n"))
        assert text_of(result) == "ONE\ntwo\nthree\nfour\nfive\n"
        assert result.conflicts == ()

    def test_the_same_change_is_no_conflict(self) -> None:
        assert text_of(merge(from_text("a\nb\nc"), from_text("a\nB\nc"), from_text("a\nB\nc"))) == "a\nB\nc"

    def test_conflicts_are_data(self) -> None:
        base, ours = from_text("a\nb\nc\nd\ne"), from_text("a\nours\nc\nd\nE1")
        result = merge(base, ours, from_text("a\ntheirs\nc\nd\nE2"))
        assert result.content is None
        assert [(c.key, c.pointer, c.base, c.ours, c.theirs) for c in result.conflicts] == [
            ("/messages/0/content", "/messages/0/content", "b\n", "ours\n", "theirs\n"),
            ("/messages/0/content#2", "/messages/0/content", "e", "E1", "E2"),
        ]
        partly = resolve(result, {"/messages/0/content": "theirs"})
        assert [c.key for c in partly.conflicts] == ["/messages/0/content#2"]
        assert text_of(resolve(partly, {"/messages/0/content#2": "my own"})) == "a\ntheirs\nc\nd\nmy own"
        assert text_of(resolve(partly, {"/messages/0/content#2": {"value": "ours"}})) == "a\ntheirs\nc\nd\nours"
        with pytest.raises(BadInput, match="no conflict"):
            resolve(result, {"/messages/9": "ours"})

    @given(texts, texts, texts)
    def test_the_sides_decide_alone(self, base: str, ours: str, theirs: str) -> None:
        result = merge(from_text(base, engine="none"), from_text(ours, engine="none"), from_text(theirs, engine="none"))
        for side, text in (("ours", ours), ("theirs", theirs)):
            everything = resolve(result, {conflict.key: side for conflict in result.conflicts})
            assert everything.content is not None
            if len(result.conflicts) == 1 and result.conflicts[0].base == base:
                assert text_of(everything) == text


class TestMessages:
    def test_one_side_adds_and_the_other_changes(self) -> None:
        base = chat(("system", "be kind\n"), ("user", "q"))
        ours = chat(("system", "be very kind\n"), ("user", "q"))
        theirs = chat(("system", "be kind\n"), ("user", "shot"), ("assistant", "answer"), ("user", "q"))
        assert merged_data(merge(base, ours, theirs))["messages"] == [
            {"role": "system", "content": "be very kind\n"},
            {"role": "user", "content": "shot"},
            {"role": "assistant", "content": "answer"},
            {"role": "user", "content": "q"},
        ]

    def test_removed_here_and_changed_there_is_a_conflict(self) -> None:
        base = chat(("system", "be kind"), ("user", "q"))
        result = merge(base, chat(("user", "q")), chat(("system", "be rude"), ("user", "q")))
        (conflict,) = result.conflicts
        assert (conflict.key, conflict.ours) == ("/messages/0", MISSING)
        assert len(merged_data(resolve(result, {"/messages/0": "ours"}))["messages"]) == 1
        assert merged_data(resolve(result, {"/messages/0": "theirs"}))["messages"][0]["content"] == "be rude"

    def test_both_add_different_messages(self) -> None:
        base = chat(("user", "q"))
        result = merge(base, chat(("user", "q"), ("assistant", "a")), chat(("user", "q"), ("assistant", "b")))
        (conflict,) = result.conflicts
        assert conflict.key == "/messages/1/before"
        assert [m["content"] for m in merged_data(resolve(result, {conflict.key: "theirs"}))["messages"]] == ["q", "b"]

    def test_nothing_left_is_a_conflict(self) -> None:
        base = chat(("system", "s"), ("user", "q"))
        result = merge(base, chat(("system", "s")), chat(("user", "q")))
        assert [conflict.key for conflict in result.conflicts] == ["/messages"]
        assert merged_data(resolve(result, {"/messages": "theirs"}))["messages"] == [{"role": "user", "content": "q"}]


class TestSettings:
    def test_key_by_key(self) -> None:
        base = chat(("user", "q"), parameters={"temperature": 0, "model": "a", "n": 1}, variables=[{"name": "x"}])
        ours = chat(("user", "q"), parameters={"temperature": 1, "model": "a", "n": 1}, variables=[{"name": "x"}, "y"])
        theirs = chat(
            ("user", "q"), parameters={"temperature": 0, "model": "b"}, variables=[{"name": "x", "default": 1}]
        )
        data = merged_data(merge(base, ours, theirs))
        assert data["parameters"] == {"temperature": 1, "model": "b"}
        assert data["variables"] == [{"name": "x", "default": 1}, {"name": "y"}]

    @pytest.mark.parametrize("names", [("f#2", "f"), ("f", "f", "f#2"), ("f#2", "f", "f"), ("f", "f#2", "f", "f#3")])
    def test_no_tool_takes_the_place_of_another(self, names: tuple[str, ...]) -> None:
        tools = [{"type": "function", "function": {"name": name, "at": at}} for at, name in enumerate(names)]
        base, ours, theirs = (chat(("user", f"{a}\nb\n{c}\n"), tools=tools) for a, c in ("ac", "Ac", "aC"))
        assert merged_data(merge(base, ours, theirs))["tools"] == tools
        assert diff_contents(base, ours).changes == ()

    def test_conflicting_values(self) -> None:
        base, ours, theirs = (chat(("user", "q"), parameters={"temperature": t}) for t in (0, 0.5, 1))
        result = merge(base, ours, theirs)
        (conflict,) = result.conflicts
        assert (conflict.key, conflict.base, conflict.ours, conflict.theirs) == ("/parameters/temperature", 0, 0.5, 1)
        assert merged_data(resolve(result, {conflict.key: 0.7}))["parameters"] == {"temperature": 0.7}

    def test_numbers_of_other_types_are_changes(self) -> None:
        base, ours = chat(("user", "q"), parameters={"a": 1}), chat(("user", "q"), parameters={"a": True})
        assert merged_data(merge(base, ours, base))["parameters"] == {"a": True}

    @pytest.mark.parametrize("choice", [None, 1, [], {}, "text", {"value": None}, [1]])
    def test_any_choice_makes_a_content_or_bad_input(self, choice: Any) -> None:
        base = chat(("user", "a"), ("user", "z"), variables=[{"name": "x"}], tools=[{"name": "f"}])
        ours = chat(("user", "b"), variables=[{"name": "x", "default": 1}], tools=[{"name": "f", "a": 1}])
        theirs = chat(("user", "c"), ("user", "y"), ("user", "n"), variables=[{"name": "x", "default": 2}])
        result = merge(base, ours, theirs)
        assert len(result.conflicts) > 2
        for conflict in result.conflicts:
            with suppress(BadInput):
                resolve(result, {**{c.key: "ours" for c in result.conflicts}, conflict.key: choice})


class TestLaws:
    @given(contents(), contents())
    def test_one_side_alone(self, base: PromptContent, side: PromptContent) -> None:
        for result in (merge(base, side, base), merge(base, base, side), merge(base, side, side)):
            assert result.content is not None
            assert canonical_json(result.content) == canonical_json(side)

    @given(related, related, related)
    def test_sides_are_symmetric(self, base: PromptContent, ours: PromptContent, theirs: PromptContent) -> None:
        there, back = merge(base, ours, theirs), merge(base, theirs, ours)
        assert (there.content is None) == (back.content is None)
        if there.content and back.content:
            assert canonical_json(there.content) == canonical_json(back.content)
        assert [(c.key, c.base, c.ours, c.theirs) for c in there.conflicts] == [
            (c.key, c.base, c.theirs, c.ours) for c in back.conflicts
        ]

    @given(related, related, related)
    def test_choices_decide_everything(self, base: PromptContent, ours: PromptContent, theirs: PromptContent) -> None:
        result = merge(base, ours, theirs)
        decided = resolve(result, {conflict.key: "theirs" for conflict in result.conflicts})
        assert decided.content is not None
        assert decided.conflicts == ()


class TestLineage:
    def test_a_line(self) -> None:
        assert lowest_common_ancestors({2: [1], 3: [2], 4: [2]}, 3, 4) == [2]
        assert lowest_common_ancestors({2: [1], 3: [2]}, 3, 2) == [2]
        assert lowest_common_ancestors({}, 1, 2) == []

    def test_criss_cross_gives_both_newest_first(self) -> None:
        graph = {2: [1], 3: [1], 4: [2, 3], 5: [3, 2]}
        assert lowest_common_ancestors(graph, 4, 5) == [3, 2]

    def test_long_histories_and_circles_end(self) -> None:
        line = {n: [n - 1] for n in range(1, 50_000)}
        assert lowest_common_ancestors(line, 49_999, 7) == [7]
        assert lowest_common_ancestors({1: [2], 2: [1]}, 1, 2) == []

    @given(st.lists(st.lists(st.integers(0, 8), max_size=2), min_size=2, max_size=9))
    def test_against_the_definition(self, rows: list[list[int]]) -> None:
        graph = {child: [p for p in found if p < child] for child, found in enumerate(rows)}

        def above(version: int) -> set[int]:
            return {version}.union(*(above(parent) for parent in graph[version]))

        a, b = len(rows) - 1, len(rows) - 2
        common = above(a) & above(b)
        lowest = {v for v in common if not any(v != w and v in above(w) for w in common)}
        assert lowest_common_ancestors(graph, a, b) == sorted(lowest, reverse=True)
