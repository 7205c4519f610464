"""What a version of a prompt is: messages with placeholders, and everything that is sent along with them.

A content is immutable and is identified by the hash of its canonical JSON. Canonical means: what says nothing is left
out (empty lists, empty texts of descriptions, parameters without a value, the ``text`` wrapper around a lone text
part), keys are sorted, and numbers in parameters, tools and schema that are equal are written alike (``1.0`` is
``1``). Text is never normalised: to a model two spellings of a letter are two texts. In the default of a variable
``1.0`` stays ``1.0``, since that is how it will read in the prompt.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from autoforge.errors import BadInput
from autoforge.llm import rendering
from autoforge.prompts.checking import Checker

Role = Literal["system", "user", "assistant", "tool", "developer"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool", "developer")
CONTENT_ENGINES = ("mustache", "jinja2", "none")
MAX_BYTES = 1_000_000
"""UTF-8 bytes of the canonical JSON."""
MAX_MESSAGES = 1_000
MAX_VARIABLES = 1_000
MAX_TOOLS = 500
HASH_SCHEME = "sha256-v1"
_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
_TEXTS = msgspec.json.Encoder()


class Message(msgspec.Struct, frozen=True):
    """One message. ``content`` is text, or parts as providers take them (``{"type": "image_url", ...}``).

    ``extras`` are its other fields: name, tool_calls, tool_call_id.
    """

    role: Role
    content: str | tuple[Mapping[str, Any], ...]
    extras: Mapping[str, Any] = {}


class Variable(msgspec.Struct, frozen=True):
    """A declared variable. ``default`` counts only when ``has_default``; optional ones without it are empty text."""

    name: str
    description: str = ""
    has_default: bool = False
    default: Any = None
    required: bool = True


class PromptContent(msgspec.Struct, frozen=True):
    """A whole content, already checked and canonical; make one with :func:`parse_content` or :func:`from_text`."""

    messages: tuple[Message, ...]
    engine: str = "mustache"
    variables: tuple[Variable, ...] = ()
    parameters: Mapping[str, Any] = {}
    tools: tuple[Mapping[str, Any], ...] = ()
    response_schema: Mapping[str, Any] | None = None

    @staticmethod
    def from_json(text: str) -> PromptContent:
        """A content from its canonical (or any other) JSON text. Raises BadInput."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadInput.at("", f"This is not valid JSON: {error}.") from None
        return parse_content(data)


def parse_content(data: Any, *, at: str = "") -> PromptContent:
    """A content from JSON values: an object with messages, or a mere text.

    Raises BadInput with all faults, each at its pointer under ``at``; being too large is one. ``engine`` absent or
    ``auto`` is decided now, by looking at the texts, so that the meaning of a stored version never changes.
    """
    checker = Checker()
    content = _content(checker, data, at)
    checker.finish()
    size = len(canonical_json(content).encode())
    if size > MAX_BYTES:
        raise BadInput.at(at or "/messages", f"The content takes {size:,} bytes; {MAX_BYTES:,} is the most.")
    return content


def from_text(text: str, *, role: Role = "user", engine: str = "auto") -> PromptContent:
    """A text prompt: a chat of one message. Raises BadInput."""
    return parse_content({"messages": [{"role": role, "content": text}], "engine": engine})


def to_data(content: PromptContent) -> dict[str, Any]:
    """The content as plain JSON values, without what is empty; ``parse_content`` reads it back."""
    data: dict[str, Any] = {
        "messages": [{"role": m.role, "content": _plain_parts(m.content), **m.extras} for m in content.messages],
        "engine": content.engine,
        "variables": [_variable_data(variable) for variable in content.variables],
        "parameters": dict(content.parameters),
        "tools": list(content.tools),
        "response_schema": content.response_schema,
    }
    return {key: value for key, value in data.items() if value not in (None, [], {})}


def canonical_json(content: PromptContent) -> str:
    """The one JSON text of this content: equal meaning, equal text."""
    if _is_text_only(content):  # the same text, made four times as fast: what most prompts of an import are
        messages = [{"content": message.content, "role": message.role} for message in content.messages]
        return _TEXTS.encode({"engine": content.engine, "messages": messages}).decode()
    return _CANONICAL.encode(to_data(content))


def _is_text_only(content: PromptContent) -> bool:
    """Whether it is only strings, which both encoders write alike; of numbers that cannot be said."""
    if content.variables or content.parameters or content.tools or content.response_schema is not None:
        return False
    messages = content.messages
    return bool(messages) and all(type(message.content) is str and not message.extras for message in messages)


def content_hash(content: PromptContent) -> str:
    """``sha256-v1:`` and the hexadecimal SHA-256 of the canonical JSON in UTF-8."""
    return hash_of(canonical_json(content))


def hash_of(canonical: str) -> str:
    """The content hash, for who has the canonical JSON at hand."""
    return f"{HASH_SCHEME}:{hashlib.sha256(canonical.encode()).hexdigest()}"


def check_templates(content: PromptContent) -> None:
    """Raises BadInput, with message and line, for templates that can never be rendered. Saving allows such drafts."""
    pointers = [f"/messages/{index}/content" for index in range(len(content.messages))]
    rendering.check_templates(_message_texts(content), content.engine, pointers)


def needed_variables(content: PromptContent) -> list[str]:
    """Names in order of first use over all messages; broken templates count as using none."""
    return rendering.needed_variables(_message_texts(content), content.engine)


def _message_texts(content: PromptContent) -> list[str]:
    return [message_text(message) for message in content.messages]


def message_text(message: Message) -> str:
    """What a message says, as one text: parts that are no text appear as one line of JSON each."""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(_part_text(part) for part in message.content)


def plain_text(content: PromptContent) -> str | None:
    """The text of a text prompt (one user message that is text and nothing more), else None."""
    if len(content.messages) != 1:
        return None
    (message,) = content.messages
    is_text = message.role == "user" and isinstance(message.content, str) and not message.extras
    return message_text(message) if is_text else None


def readable_text(content: PromptContent) -> str:
    """The whole prompt to read or to copy: a text prompt as it is, a chat with its roles as headings."""
    text = plain_text(content)
    if text is not None:
        return text
    return "\n\n".join(f"[{message.role}]\n{message_text(message)}" for message in content.messages)


def searchable_text(content: PromptContent) -> str:
    """What full-text search looks through: all texts, variable names and descriptions, names of tools."""
    words = [message_text(message) for message in content.messages]
    words += [f"{variable.name} {variable.description}".strip() for variable in content.variables]
    words += [tool_name(tool) for tool in content.tools]
    return "\n".join(words)


def title_of(content: PromptContent, *, limit: int = 80) -> str:
    """A title for a prompt that has none: its first line that says something, cut at a word."""
    for message in content.messages:
        for line in message_text(message).splitlines():
            title = " ".join(line.strip().lstrip("#*->=_").split())
            if any(letter.isalnum() for letter in title):
                return title if len(title) <= limit else _cut(title, limit)
    return "Untitled prompt"


def tool_name(tool: Mapping[str, Any]) -> str:
    """What a tool definition calls itself: ``function.name`` (OpenAI), ``name`` (Anthropic), else its type."""
    function = tool.get("function")
    name = function.get("name") if isinstance(function, Mapping) else tool.get("name")
    return str(name or tool.get("type") or "tool")


def _cut(title: str, limit: int) -> str:
    head = title[: limit - 1]
    whole_words = head.rpartition(" ")[0]
    return (whole_words if len(whole_words) > limit // 2 else head).rstrip() + "…"


def _part_text(part: Mapping[str, Any]) -> str:
    if part.get("type") == "text" and set(part) == {"type", "text"}:
        return str(part["text"])
    return json.dumps(part, ensure_ascii=False, sort_keys=True)


def _plain_parts(content: str | tuple[Mapping[str, Any], ...]) -> str | list[Any]:
    return content if isinstance(content, str) else list(content)


def _variable_data(variable: Variable) -> dict[str, Any]:
    data: dict[str, Any] = {"name": variable.name}
    if variable.description:
        data["description"] = variable.description
    if variable.has_default:
        data["default"] = variable.default
    if not variable.required:
        data["required"] = False
    return data


# --- parsing -------------------------------------------------------------------------------------------------------

_KEYS = ("messages", "engine", "variables", "parameters", "tools", "response_schema")
_MESSAGE_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id")
_VARIABLE_KEYS = ("name", "description", "default", "required")
_VARIABLE_NAME = re.compile(r"[^\s{}%|.\x00-\x1f](?:[^{}%|.\x00-\x1f]{0,98}[^\s{}%|.\x00-\x1f])?")


def _content(check: Checker, data: Any, at: str) -> PromptContent:
    if isinstance(data, str):
        data = {"messages": [{"role": "user", "content": data}]}
    data = check.object(data, at, _KEYS)
    messages = tuple(_messages(check, data.get("messages"), f"{at}/messages"))
    tools = check.items(data.get("tools"), f"{at}/tools", MAX_TOOLS)
    schema = data.get("response_schema")
    return PromptContent(
        messages=messages,
        engine=_engine(check, data.get("engine"), f"{at}/engine", messages),
        variables=tuple(_variables(check, data.get("variables"), f"{at}/variables")),
        parameters=_parameters(check, data.get("parameters"), f"{at}/parameters"),
        tools=tuple(check.json_object(tool, pointer) for tool, pointer in tools),
        response_schema=None if schema is None else check.json_object(schema, f"{at}/response_schema"),
    )


def _messages(check: Checker, data: Any, at: str) -> Iterator[Message]:
    messages = check.items(data, at, MAX_MESSAGES)
    if not messages and not check.faults:
        check.fault(at, "A prompt needs at least one message.")
    for item, pointer in messages:
        item = check.object(item, pointer, _MESSAGE_KEYS)
        yield Message(
            role=_role(check, item.get("role"), f"{pointer}/role"),
            content=_message_content(check, item, f"{pointer}/content"),
            extras={key: check.json(item[key], f"{pointer}/{key}") for key in _MESSAGE_KEYS[2:] if item.get(key)},
        )


def _role(check: Checker, role: Any, at: str) -> Role:
    if role in ROLES:
        return role  # type: ignore[no-any-return]
    near = difflib.get_close_matches(str(role)[:50].lower(), ROLES, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"it is one of {', '.join(ROLES)}."
    check.fault(
        at, f"There is no role {str(role)[:50]!r}; {hint}" if role is not None else f"A message needs a role; {hint}"
    )
    return "user"


def _message_content(check: Checker, message: dict[str, Any], at: str) -> str | tuple[Mapping[str, Any], ...]:
    data = message.get("content")
    if data is None and message.get("tool_calls"):
        return ""
    if not isinstance(data, list | tuple):
        return check.text(data, at)
    parts = tuple(_part(check, part, pointer) for part, pointer in check.items(data, at, MAX_MESSAGES))
    if len(parts) == 1 and parts[0].keys() == {"type", "text"} and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _part(check: Checker, data: Any, at: str) -> Mapping[str, Any]:
    part = check.json_object({"type": "text", "text": data} if isinstance(data, str) else data, at)
    if part and not isinstance(part.get("type"), str):
        check.fault(f"{at}/type", "A part needs a type, such as text or image_url.")
    if part.get("type") == "text" and not isinstance(part.get("text"), str):
        check.fault(f"{at}/text", "A part of type text needs a text.")
    return part


def _engine(check: Checker, engine: Any, at: str, messages: tuple[Message, ...]) -> str:
    if engine in CONTENT_ENGINES:
        return str(engine)
    if engine not in (None, "auto"):
        check.fault(at, f"There is no engine {str(engine)[:50]!r}; choose auto, {', '.join(CONTENT_ENGINES)}.")
    return rendering.detect_engine(*map(message_text, messages))


def _variables(check: Checker, data: Any, at: str) -> Iterator[Variable]:
    seen: set[str] = set()
    for item, pointer in check.items(data, at, MAX_VARIABLES):
        item = check.object({"name": item} if isinstance(item, str) else item, pointer, _VARIABLE_KEYS)
        name = check.text(item.get("name"), f"{pointer}/name")
        if name and not _VARIABLE_NAME.fullmatch(name):
            check.fault(f"{pointer}/name", f"{name[:50]!r} cannot be written in {{{{ }}}}: no braces, dots, % or |.")
        if name in seen:
            check.fault(f"{pointer}/name", f"The variable {name!r} is declared twice.")
        seen.add(name)
        yield Variable(
            name=name,
            description=check.text(item.get("description"), f"{pointer}/description", default="", most=10_000),
            has_default="default" in item,
            default=check.json(item.get("default"), f"{pointer}/default", alike=False),
            required=check.flag(item.get("required"), f"{pointer}/required", default=True),
        )


def _parameters(check: Checker, data: Any, at: str) -> dict[str, Any]:
    """Model parameters; one whose value is null is one that is not set."""
    values = check.json_object({} if data is None else data, at)
    return {name: value for name, value in values.items() if value is not None}
