"""The forms in which prompts are written: what was typed, as a content or with what is wrong at its field.

The editor's rows are numbered fields (``messages-0-role``, ``messages-0-content``, ...). Without a script its buttons
post the whole form, and the answer is the same form with a row added, removed or moved, so nothing that was typed is
ever lost. See ``templates/prompts/editor.html``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from autoforge.errors import AutoforgeError, BadInput, FieldError, escaped
from autoforge.prompts.content import PromptContent, check_templates, needed_variables, parse_content, to_data
from autoforge.reading import Source
from autoforge.reading.documents import parse_json
from autoforge.web.forms import errors_by_field, plain_lines, whole

JSON_FIELDS = {"variables": list, "parameters": dict, "tools": list, "response_schema": dict}
"""The fields that are written as JSON, and what they must hold."""

_KINDS: dict[type, str] = {list: "a JSON array, such as [...]", dict: "a JSON object, such as {...}"}
_TEXTS = ("name", "title", "description", "tags", "message", "branch")
_ROW = re.compile(r"messages-(\d{1,4})-(?:role|content)")
_BLANK = {"role": "user", "content": "", "extras": "", "parts": False}


def blank_values(**values: str) -> dict[str, Any]:
    """A form that nobody has typed into."""
    return {**dict.fromkeys((*_TEXTS, *JSON_FIELDS), ""), "engine": "auto", "messages": [_BLANK], **values}


def values_of(content: PromptContent, **values: str) -> dict[str, Any]:
    """A form that shows a stored content."""
    data = to_data(content)
    return {
        **dict.fromkeys(_TEXTS, ""),
        "engine": content.engine,
        "messages": [_shown(message) for message in data["messages"]],
        **{name: _pretty(data.get(name)) for name in JSON_FIELDS},
        **values,
    }


def _shown(message: Mapping[str, Any]) -> dict[str, Any]:
    extras = {key: value for key, value in message.items() if key not in ("role", "content")}
    return {
        "role": message["role"],
        "content": message["content"] if isinstance(message["content"], str) else _pretty(message["content"]),
        "extras": json.dumps(extras, ensure_ascii=False) if extras else "",
        "parts": not isinstance(message["content"], str),
    }


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) if value else ""


def typed_values(fields: Mapping[str, str]) -> dict[str, Any]:
    """The form as it was sent, with the row added, removed or moved that its button asked for."""
    numbers = sorted({int(found[1]) for name in fields if (found := _ROW.fullmatch(name))})
    messages = [_typed(fields, f"messages-{number}-") for number in numbers]
    _rearrange(messages, fields.get("action", ""))
    values: dict[str, Any] = {name: fields.get(name, "") for name in (*_TEXTS, *JSON_FIELDS)}
    return {**values, "engine": fields.get("engine") or "auto", "messages": messages or [dict(_BLANK)]}


def _typed(fields: Mapping[str, str], prefix: str) -> dict[str, Any]:
    texts = {name: fields.get(prefix + name, "") for name in ("content", "extras")}
    return {"role": fields.get(f"{prefix}role", "user"), **texts, "parts": bool(fields.get(f"{prefix}parts"))}


def _rearrange(messages: list[dict[str, Any]], action: str) -> None:
    verb, _, place = action.partition("-")
    if verb == "add":
        messages.append({**_BLANK, "role": "assistant" if messages and messages[-1]["role"] == "user" else "user"})
    if not place.isdecimal() or not 0 <= (at := int(place[:6])) < len(messages):
        return
    if verb == "remove" and len(messages) > 1:
        del messages[at]
    other = at - 1 if verb == "up" else at + 1
    if verb in ("up", "down") and 0 <= other < len(messages):
        messages[at], messages[other] = messages[other], messages[at]


def row_seen(fields: Mapping[str, str]) -> int | None:
    """The row version that the page with this form was made for, where the form says it."""
    return whole(fields, "row_version") if "row_version" in fields else None


def is_saving(fields: Mapping[str, str]) -> bool:
    """Whether the form was sent to be stored, and not to have a row added, removed or moved."""
    return fields.get("action", "save") == "save"


def content_of(values: Mapping[str, Any]) -> PromptContent:
    """The content that was typed. BadInput with every fault, at the pointers that :func:`field_of` knows."""
    faults: list[FieldError] = []
    messages = [_message(row, f"/messages/{i}/content", faults) for i, row in enumerate(values["messages"])]
    data: dict[str, Any] = {"messages": messages, "engine": values["engine"]}
    for name, kind in JSON_FIELDS.items():
        if values[name].strip():
            data[name] = _json(values[name], f"/{name}", kind, faults)
    if faults:
        raise BadInput(faults[0].message, errors=faults)
    return parse_content(data)


def as_stored(typed: PromptContent, stored: PromptContent) -> PromptContent:
    """What was typed, with the stored line ends where a message is as the form showed it, with line feeds only."""
    texts = [one.content for one in stored.messages if isinstance(one.content, str)]
    shown = {plain_lines(text): text for text in reversed(texts) if "\r" in text}
    if not shown:
        return typed
    messages = [
        replace(one, content=shown.get(one.content, one.content)) if isinstance(one.content, str) else one
        for one in typed.messages
    ]
    return replace(typed, messages=tuple(messages))


def unless_shown(text: str, stored: str) -> str:
    """What was typed into a field, stripped; the stored text as it is when it is what the field showed."""
    return stored if text.strip() == plain_lines(stored).strip() else text.strip()


def _message(row: Mapping[str, Any], at: str, faults: list[FieldError]) -> dict[str, Any]:
    extras = _json(row["extras"], at, dict, faults) if row["extras"].strip() else {}
    content: Any = row["content"]
    if row["parts"]:
        content = _json(content, at, list, faults)
    elif not content.strip() and not extras:
        faults.append(FieldError(at, "This message is empty: write something, or remove it."))
    return {**(extras or {}), "role": row["role"], "content": content}


def _json(text: str, at: str, kind: type, faults: list[FieldError]) -> Any:
    """The value, if it is one of that kind; otherwise None, with the fault noted."""
    try:
        value = parse_json(text, Source.of(b"", "This"))
    except BadInput as error:
        faults.append(FieldError(at, error.detail.replace("This, line", "Line", 1).replace(": is not", " is not", 1)))
        return None
    if not isinstance(value, kind):
        faults.append(FieldError(at, f"This must be {_KINDS[kind]}."))
        return None
    return value


def field_of(pointer: str) -> str:
    """The field of the form that a pointer into a content, or into a command's input, means; "" when there is none."""
    first, _, rest = pointer.removeprefix("/content").strip("/").partition("/")
    if first == "messages":
        place = rest.partition("/")[0]
        return f"messages-{place}-content" if place.isdecimal() else "messages-0-content"
    return first if first in (*JSON_FIELDS, *_TEXTS, "engine", "status", "label", "number") else ""


def errors_of(error: AutoforgeError, otherwise: str = "") -> dict[str, str]:
    """What is wrong, by field of the form."""
    return errors_by_field(error, field_of, otherwise)


def tags_of(text: str) -> list[str]:
    """Tags as they are typed: separated by commas."""
    return list(dict.fromkeys(tag for part in text.replace("、", ",").split(",") if (tag := part.strip())))


def warning_of(content: PromptContent) -> str:
    """What would keep a content from being rendered, for the message after saving it; "" when nothing does."""
    try:
        check_templates(content)
    except BadInput as error:
        return error.detail
    return ""


# --- filling in the variables --------------------------------------------------------------------------------------


def shown_variables(content: PromptContent) -> list[dict[str, Any]]:
    """Every variable that the text names or that is declared, in the order of the text."""
    declared = {variable.name: variable for variable in content.variables}
    shown = []
    for name in dict.fromkeys([*needed_variables(content), *declared]):
        known = declared.get(name)
        about = {"description": "", "required": True, "has_default": False, "default": None}
        if known is not None:
            about = {key: getattr(known, key) for key in about}
        shown.append({"name": name, **about})
    return shown


def given_variables(fields: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """What was typed, by name; and the values it means: nothing is none, a JSON array or object is one."""
    typed = {name[2:]: text for name, text in fields.items() if name.startswith("v-")}
    return typed, {name: _value(text) for name, text in typed.items() if text}


def _value(text: str) -> Any:
    if text.lstrip()[:1] in ("[", "{") and not text.lstrip().startswith("{{"):
        faults: list[FieldError] = []
        value = _json(text, "", object, faults)
        return text if faults else value
    return text


def render_errors(error: BadInput, names: list[str]) -> dict[str, str]:
    """What is wrong with the values, by field; what is wrong with the template itself for the form as a whole."""
    field_of_variable = {f"/variables/{escaped(name)}": f"v-{name}" for name in names}
    return errors_by_field(error, lambda pointer: field_of_variable.get(pointer, ""))
