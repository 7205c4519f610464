"""What differs between two contents, word by word, as data that a page or a terminal can draw.

Texts are compared line by line first and then, inside of what changed, word by word; a character of a script that
writes no spaces (Chinese, Japanese) is a word. Everything else is compared key by key. Nothing is lost: the runs of
a text without its insertions are the old text, without its deletions the new one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from autoforge.errors import escaped
from autoforge.prompts.alignment import gaps, matching_blocks
from autoforge.prompts.content import Message, PromptContent, message_text, to_data, tool_name
from autoforge.prompts.diff_rows import Row, Run, rows_of


class _Missing(Enum):
    MISSING = "MISSING"

    def __repr__(self) -> str:
        return self.name


MISSING: Any = _Missing.MISSING
"""Where there is nothing, not even null."""

_ALIKE = 0.2  # share of a changed passage that must be common for word marks to help rather than to confuse
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"[{_IDEOGRAPHS}]|[^\W{_IDEOGRAPHS}]+|\n|[^\S\n]+|[^\w\s]")

Status = Literal["equal", "changed", "added", "removed"]


@dataclass(frozen=True, slots=True)
class TextDiff:
    """``runs`` in order; a deletion stands before the insertion that replaces it."""

    runs: tuple[Run, ...]

    @property
    def before(self) -> str:
        return "".join(run.text for run in self.runs if run.kind != "insert")

    @property
    def after(self) -> str:
        return "".join(run.text for run in self.runs if run.kind != "delete")

    @property
    def is_equal(self) -> bool:
        return all(run.kind == "equal" for run in self.runs)

    def words(self, kind: Literal["insert", "delete"]) -> int:
        """How many words were inserted or deleted."""
        return sum(count_words(run.text) for run in self.runs if run.kind == kind)

    def rows(self, context: int = 3) -> list[Row]:
        """Lines to show: changed ones with ``context`` unchanged lines around them, the rest folded."""
        return rows_of(self.runs, context)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One value at a JSON Pointer into the content; MISSING on the side where it is not there."""

    pointer: str
    old: Any
    new: Any

    @property
    def kind(self) -> Literal["added", "removed", "changed"]:
        return "added" if self.old is MISSING else "removed" if self.new is MISSING else "changed"


@dataclass(frozen=True, slots=True)
class MessageDiff:
    """A message of the old content, of the new one, or of both; indexes are None where it is not there."""

    status: Status
    old_index: int | None
    new_index: int | None
    old_role: str | None
    new_role: str | None
    text: TextDiff
    changes: tuple[KeyChange, ...] = ()


@dataclass(frozen=True, slots=True)
class ContentDiff:
    """``messages`` in reading order, and ``changes`` of everything that is no message."""

    messages: tuple[MessageDiff, ...]
    changes: tuple[KeyChange, ...]

    @property
    def is_equal(self) -> bool:
        return not self.changes and all(message.status == "equal" for message in self.messages)

    def words(self, kind: Literal["insert", "delete"]) -> int:
        return sum(message.text.words(kind) for message in self.messages)


def diff_contents(old: PromptContent, new: PromptContent) -> ContentDiff:
    """The difference of two contents."""
    messages = tuple(_diff_message(old, new, i, j) for i, j in pair_messages(old.messages, new.messages))
    return ContentDiff(messages, tuple(_setting_changes(old, new)))


def diff_text(old: str, new: str) -> TextDiff:
    """The difference of two texts."""
    if old == new:
        return TextDiff((Run("equal", old),) if old else ())
    old_lines, new_lines = split_lines(old), split_lines(new)
    runs: list[Run] = []
    for left, right, (start, _, length) in gaps(matching_blocks(old_lines, new_lines), len(old_lines), len(new_lines)):
        runs.extend(_diff_words("".join(old_lines[left]), "".join(new_lines[right])))
        runs.append(Run("equal", "".join(old_lines[start : start + length])))
    return TextDiff(tuple(_tidy(runs)))


def split_lines(text: str) -> list[str]:
    """Lines with their ends. Only a line feed ends a line, as for Git, so that all characters survive."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def count_words(text: str) -> int:
    return sum(not token.isspace() for token in _TOKEN.findall(text))


def pair_messages(old: Sequence[Message], new: Sequence[Message]) -> list[tuple[int | None, int | None]]:
    """Which message became which: equal ones first, then between them those of the same role, in order.

    What has no partner stands alone, removed ones before added ones.
    """
    pairs: list[tuple[int | None, int | None]] = []
    blocks = matching_blocks([_identity(m) for m in old], [_identity(m) for m in new])
    for left, right, (i, j, length) in gaps(blocks, len(old), len(new)):
        pairs.extend(_pair_by_role(old, new, range(left.start, left.stop), range(right.start, right.stop)))
        pairs.extend((i + k, j + k) for k in range(length))
    return pairs


def diff_values(pointer: str, old: Any, new: Any) -> Iterator[KeyChange]:
    """Changes of a JSON value: key by key inside of objects, lists and everything else as a whole."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({**old, **new}):
            yield from diff_values(f"{pointer}/{escaped(key)}", old.get(key, MISSING), new.get(key, MISSING))
    elif not same(old, new):
        yield KeyChange(pointer, old, new)


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values are one: unlike ``==``, 1, 1.0 and true are three."""
    if a is MISSING or b is MISSING:
        return a is b
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def keyed(content: PromptContent) -> dict[str, Any]:
    """Everything but the messages, with variables by name and tools by name, as JSON objects.

    A second tool of the same name is kept apart as ``name#2``, or the next number that no tool is called by.
    """
    data = to_data(content)
    tools: dict[str, Any] = {}
    for tool in content.tools:
        name = key = tool_name(tool)
        count = 1
        while key in tools:
            count += 1
            key = f"{name}#{count}"
        tools[key] = tool
    return {
        "engine": content.engine,
        "variables": {v["name"]: {k: x for k, x in v.items() if k != "name"} for v in data.get("variables", ())},
        "parameters": dict(content.parameters),
        "tools": tools,
        "response_schema": MISSING if content.response_schema is None else content.response_schema,
    }


def _setting_changes(old: PromptContent, new: PromptContent) -> Iterator[KeyChange]:
    before, after = keyed(old), keyed(new)
    for key in before:
        yield from diff_values(f"/{key}", before[key], after[key])
        if key in ("variables", "tools"):
            names = [name for name in before[key] if name in after[key]]
            moved = [name for name in after[key] if name in before[key]]
            if names != moved:
                yield KeyChange(f"/{key}", names, moved)  # only their order


def _identity(message: Message) -> str:
    return json.dumps([message.role, message.content, message.extras], sort_keys=True)


def _pair_by_role(
    old: Sequence[Message], new: Sequence[Message], left: range, right: range
) -> Iterator[tuple[int | None, int | None]]:
    if len(left) == len(right) == 1:
        yield left[0], right[0]  # even when its role changed: it is what became of it
        return
    blocks = matching_blocks([old[i].role for i in left], [new[j].role for j in right])
    for lost, gained, (i, j, length) in gaps(blocks, len(left), len(right)):
        yield from ((k, None) for k in left[lost])
        yield from ((None, k) for k in right[gained])
        yield from ((left[i + k], right[j + k]) for k in range(length))


def _diff_message(old: PromptContent, new: PromptContent, i: int | None, j: int | None) -> MessageDiff:
    before = old.messages[i] if i is not None else None
    after = new.messages[j] if j is not None else None
    text = diff_text(message_text(before) if before else "", message_text(after) if after else "")
    changes: list[KeyChange] = []
    status: Status = "removed" if after is None else "added"
    if before and after:
        changes = list(diff_values(f"/messages/{j}", before.extras, after.extras))
        if not isinstance(before.content, str) or not isinstance(after.content, str):
            changes.extend(_shape_change(before, after, text, j))
        status = "equal" if text.is_equal and not changes and before.role == after.role else "changed"
    roles = before.role if before else None, after.role if after else None
    return MessageDiff(status, i, j, *roles, text, tuple(changes))


def _shape_change(before: Message, after: Message, text: TextDiff, index: int | None) -> Iterator[KeyChange]:
    """Parts that read alike but are not the same (a text that looks like a part, say)."""
    if text.is_equal:
        yield from diff_values(f"/messages/{index}/content", before.content, after.content)


def _diff_words(old: str, new: str) -> Iterator[Run]:
    if not old or not new:
        yield Run("delete", old)
        yield Run("insert", new)
        return
    a, b = _TOKEN.findall(old), _TOKEN.findall(new)
    blocks = matching_blocks(a, b)
    common = sum(len(token) for i, _, n in blocks for token in a[i : i + n] if not token.isspace())
    if common < _ALIKE * max(len(old), len(new)):
        blocks = []
    for left, right, (start, _, length) in gaps(blocks, len(a), len(b)):
        yield Run("delete", "".join(a[left]))
        yield Run("insert", "".join(b[right]))
        yield Run("equal", "".join(a[start : start + length]))


def _tidy(runs: Sequence[Run]) -> Iterator[Run]:
    """Joins neighbours of one kind, deletions first; white space between two changes belongs to the change."""
    kept, deleted, inserted = "", "", ""
    runs = [run for run in runs if run.text]
    for position, run in enumerate(runs):
        if run.kind == "equal" and not ((deleted or inserted) and _is_bridge(runs, position)):
            yield from _change(deleted, inserted)
            kept, deleted, inserted = kept + run.text, "", ""
            if position + 1 == len(runs) or runs[position + 1].kind != "equal":
                yield Run("equal", kept)
                kept = ""
            continue
        deleted += run.text if run.kind != "insert" else ""
        inserted += run.text if run.kind != "delete" else ""
    yield from _change(deleted, inserted)


def _change(deleted: str, inserted: str) -> Iterator[Run]:
    if deleted:
        yield Run("delete", deleted)
    if inserted:
        yield Run("insert", inserted)


def _is_bridge(runs: Sequence[Run], position: int) -> bool:
    """Blanks (but no line ends, which would glue lines together) with a change on both sides."""
    text = runs[position].text
    return text.isspace() and "\n" not in text and position + 1 < len(runs) and runs[position + 1].kind != "equal"
