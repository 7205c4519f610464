"""What the pages of a prompt show, made from what the queries give. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autoforge.db.highlight import marked, snippet
from autoforge.prompts.commands import MAIN
from autoforge.prompts.content import PromptContent, to_data
from autoforge.prompts.diff import ContentDiff, MessageDiff, TextDiff, diff_contents, diff_text
from autoforge.prompts.page_forms import shown_variables
from autoforge.prompts.queries import MOST_COUNTED

Row = Mapping[str, Any]
ROLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool", "developer": "Developer"}
_MESSAGE_KEYS = ("role", "content")


def framed(prompt: Row, heads: Iterable[Row] = ()) -> dict[str, Any]:
    """A prompt as the frame of its pages knows it; ``heads`` only where labels are shown."""
    labels = [{"name": head["name"], "number": head["number"]} for head in heads if head["kind"] == "label"]
    return {**prompt, "branch": MAIN, "labels": labels, "versions": counted(prompt["versions"])}


def counted(count: int) -> str:
    """How many versions there are, as :func:`autoforge.prompts.queries.one` tells it."""
    return f"{count:,}" if count <= MOST_COUNTED else f"{MOST_COUNTED:,}+"


def with_heads(version: Row, heads: Sequence[Row]) -> dict[str, Any]:
    """A version with the branches and labels that point at it."""
    here = [head for head in heads if head["number"] == version["number"]]
    return {
        **version,
        "branches": [head["name"] for head in here if head["kind"] == "branch"],
        "labels": [{"name": head["name"], "number": head["number"]} for head in here if head["kind"] == "label"],
    }


def shown_version(version: Row, heads: Sequence[Row]) -> dict[str, Any]:
    """A version with its content laid out."""
    return {**with_heads(version, heads), **laid_out(PromptContent.from_json(version["content"]))}


def laid_out(content: PromptContent) -> dict[str, Any]:
    """A content as the page of a version or a template shows it."""
    return {
        "messages": shown_messages(to_data(content)["messages"]),
        "variables": shown_variables(content),
        "engine": content.engine,
        "parameters": dict(content.parameters),
        "tools": list(content.tools),
        "response_schema": content.response_schema,
    }


def shown_messages(messages: Iterable[Row]) -> list[dict[str, Any]]:
    """Messages with everything that is neither role nor content as ``extras``."""
    return [
        {
            "role": message["role"],
            "content": message.get("content") or "",
            "extras": {key: value for key, value in message.items() if key not in _MESSAGE_KEYS},
        }
        for message in messages
    ]


def found(row: Row, content: str | None, words: str) -> dict[str, Any]:
    """A row of a list with what was found in it: where the words stand in its content, or in its title."""
    text = "\n".join(_texts(content)) if content else ""
    in_text = snippet(text, words)
    in_title = marked(row["title"], words) if row["title"] else []
    return {**row, "snippet": in_text or (in_title if any(hit for _, hit in in_title) else None)}


def _texts(content: str) -> Iterable[str]:
    """The texts of a content, as far as its JSON is there: a long one is cut off."""
    try:
        yield from _strings(json.loads(content).get("messages", ()))
    except ValueError:
        yield content.replace("\\n", "\n").replace('\\"', '"')


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        yield from _strings([item for key, item in value.items() if key in ("content", "text")])


# --- differences ---------------------------------------------------------------------------------------------------


def difference(old: PromptContent, new: PromptContent) -> dict[str, Any]:
    """``parts`` (one per message that differs, one for settings) with their rows, and how many ``words`` changed."""
    whole = diff_contents(old, new)
    several = max(len(old.messages), len(new.messages)) > 1
    parts = [part for message in whole.messages for part in _message_parts(old, new, message, several)]
    if whole.changes:
        parts.append({"title": "Settings", "rows": diff_text(_settings(old), _settings(new)).rows()})
    return {"parts": parts, "words": _words(whole)}


def _words(whole: ContentDiff) -> dict[str, int]:
    return {"added": whole.words("insert"), "removed": whole.words("delete")}


def _message_parts(
    old: PromptContent, new: PromptContent, message: MessageDiff, several: bool
) -> Iterable[dict[str, Any]]:
    if message.status == "equal":
        return
    title = _title(message, several)
    if not message.text.is_equal or message.old_role != message.new_role or not message.changes:
        yield {"title": title, "rows": message.text.rows()}
    if message.changes:
        before = _extras(old, message.old_index)
        yield {"title": f"{title}: other fields", "rows": _lines(before, _extras(new, message.new_index)).rows()}


def _title(message: MessageDiff, several: bool) -> str:
    roles = [ROLES.get(role, role) for role in (message.old_role, message.new_role) if role is not None]
    title = " → ".join(dict.fromkeys(roles))
    index = message.new_index if message.new_index is not None else message.old_index
    number = f" · message {(index or 0) + 1}" if several else ""
    state = {"added": " · added", "removed": " · removed"}.get(message.status, "")
    return f"{title}{number}{state}"


def _extras(content: PromptContent, index: int | None) -> Any:
    return None if index is None else {**to_data(content)["messages"][index], "role": content.messages[index].role}


def _lines(old: Any, new: Any) -> TextDiff:
    return diff_text(*("" if one is None else json.dumps(one, ensure_ascii=False, indent=2) for one in (old, new)))


def _settings(content: PromptContent) -> str:
    data = {key: value for key, value in to_data(content).items() if key != "messages"}
    return json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True)
