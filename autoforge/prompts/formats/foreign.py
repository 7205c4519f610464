"""Prompts as others write them, row by row.

Recognised by their fields: prompts.chat (``act,prompt``), LobeChat agents (``config.systemRole``), promptsource
(``jinja``), Langfuse and Phoenix exports, OpenAI-like ``messages``; and otherwise any row in which the options or the
usual names tell which field is the prompt. What has no place in a prompt of ours (opening messages, contributors,
references) goes into the description, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from autoforge.errors import BadInput
from autoforge.llm.rendering import check_templates, detect_engine
from autoforge.prompts.content import PromptContent, parse_content, title_of
from autoforge.prompts.formats.options import ImportOptions
from autoforge.prompts.formats.placeholders import convert
from autoforge.prompts.formats.records import PromptRecord, single
from autoforge.prompts.names import UniqueNames, slug_of

Row = Mapping[str, Any]

_USUAL = {
    "prompt": ("prompt", "text", "content", "template", "prompt_text", "prompt_template", "instruction", "input"),
    "system": ("system", "system_prompt", "systemPrompt", "system_message", "systemRole", "instructions"),
    "name": ("name", "id", "key", "slug", "identifier"),
    "title": ("title", "act", "label", "heading"),
    "description": ("description", "summary", "comment", "notes"),
    "tags": ("tags", "labels", "keywords", "category", "categories"),
    "status": (),
    "model": ("model", "model_name"),
    "message": (),
}


class Importer:
    """Turns rows into records, with names that are unique in this import."""

    def __init__(self, options: ImportOptions) -> None:
        self.options = options
        self._names = UniqueNames()

    def record(self, row: Row) -> PromptRecord:
        """Raises BadInput when the row is no prompt in any known shape."""
        for recognises, read in _SHAPES:
            if not self.options.mapping and recognises(row):
                return read(self, row)
        return _generic(self, row)

    def name(self, *segments: str) -> str:
        """A free name made of slugs."""
        folders = [segment for segment in self.options.folder.split("/") if segment]
        return self._names.take("/".join([*folders, *map(slug_of, segments)]))

    def content(self, messages: Sequence[tuple[str, Any]], style: str | None = None, **more: Any) -> PromptContent:
        """A content out of (role, content) pairs, with placeholders converted and the engine found."""
        style = self.options.placeholders or style
        data: dict[str, Any] = {key: value for key, value in more.items() if value}
        declared = {variable["name"]: variable for variable in data.pop("variables", [])}
        data["messages"] = []
        for role, content in messages:
            if isinstance(content, str):
                converted = convert(content, style)
                content = converted.text
                declared = {variable["name"]: variable for variable in converted.variables} | declared
            data["messages"].append({"role": role, "content": content})
        data["variables"] = list(declared.values())
        data.setdefault("engine", "mustache" if style in ("dollar", "braces") else _engine(data["messages"]))
        return parse_content(data)


def _engine(messages: Sequence[Row]) -> str:
    """Jinja2 only when it is valid: prompts that merely talk about templates must not become broken ones."""
    texts = [message["content"] for message in messages if isinstance(message["content"], str)]
    if detect_engine(*texts) != "jinja2":
        return "mustache"
    try:
        check_templates(texts, "jinja2", [""] * len(texts))
    except BadInput:
        return "mustache"
    return "jinja2"


def _texts(value: Any) -> list[str]:
    """Tags and the like: a list of texts, or one text with commas."""
    if isinstance(value, str):
        value = value.split(",")
    items = value if isinstance(value, list | tuple) else []
    return list(dict.fromkeys(tag for item in items if isinstance(item, str) and (tag := item.strip())))[:50]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


# --- prompts.chat --------------------------------------------------------------------------------------------------


def _is_awesome(row: Row) -> bool:
    return isinstance(row.get("act"), str) and isinstance(row.get("prompt"), str)


def _awesome(importer: Importer, row: Row) -> PromptRecord:
    tags = [_text(row.get("type")).lower()] if row.get("type") else []
    if str(row.get("for_devs", "")).upper() == "TRUE":
        tags.append("developers")
    contributor = _text(row.get("contributor"))
    return single(
        importer.name(row["act"]),
        importer.content([("user", row["prompt"])], "dollar"),
        title=row["act"],
        description=f"Contributed by {contributor}." if contributor else "",
        tags=tuple(tags),
        message="Imported from prompts.chat",
    )


# --- LobeChat ------------------------------------------------------------------------------------------------------


def _lobe_data(row: Row) -> Row:
    data = row.get("data", row)
    return data if isinstance(data, Mapping) else {}


def _is_lobe(row: Row) -> bool:
    config = _lobe_data(row).get("config")
    return isinstance(config, Mapping) and isinstance(config.get("systemRole"), str)


def _lobe(importer: Importer, row: Row) -> PromptRecord:
    data = _lobe_data(row)
    config, meta = data["config"], data.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    messages = [("system", config["systemRole"]), *_lobe_examples(config, data)]
    content = importer.content(messages, parameters=_lobe_parameters(config))
    identifier = _text(row.get("agent") or row.get("identifier") or data.get("identifier"))
    title = _text(meta.get("title")) or title_of(content)
    folders = [_text(row["locale"])] if row.get("locale") else []
    return single(
        importer.name(*folders, identifier or title),
        content,
        title=title,
        description=_lobe_description(meta, config, data),
        tags=tuple(_texts(meta.get("tags"))),
        message="Imported from LobeChat",
    )


def _lobe_examples(*places: Row) -> Iterator[tuple[str, str]]:
    """Few-shot messages. Machine-translated files hold broken ones, which are left out."""
    for place in places:
        for key in ("fewShots", "examples"):
            examples = place.get(key)
            for example in examples if isinstance(examples, list) else ():
                if _is_example(example):
                    yield example["role"], example["content"]


def _is_example(example: Any) -> bool:
    is_turn = isinstance(example, Mapping) and example.get("role") in ("user", "assistant")
    return is_turn and bool(_text(example.get("content")))


def _lobe_parameters(config: Row) -> dict[str, Any]:
    found = config.get("params")
    parameters = dict(found) if isinstance(found, Mapping) else {}
    return parameters | ({"model": config["model"]} if isinstance(config.get("model"), str) else {})


def _lobe_description(meta: Row, *places: Row) -> str:
    def first(key: str) -> Any:
        return next((place[key] for place in places if place.get(key)), None)

    parts = [_text(meta.get("description")), _text(first("summary"))]
    if _text(first("openingMessage")):
        parts.append(f"Opening message: {first('openingMessage')}")
    questions = first("openingQuestions")
    if isinstance(questions, list) and questions:
        parts.append("Opening questions:\n" + "\n".join(f"- {question}" for question in questions))
    return "\n\n".join(part for part in parts if part)


# --- promptsource --------------------------------------------------------------------------------------------------


def _is_promptsource(row: Row) -> bool:
    return isinstance(row.get("jinja"), str)


def _promptsource(importer: Importer, row: Row) -> PromptRecord:
    choices = _text(row.get("answer_choices"))
    variables = [_choices_variable(choices)] if choices and "answer_choices" in row["jinja"] else []
    dataset = [part for key in ("dataset", "subset") for part in _text(row.get(key)).split("/") if part]
    metadata = row.get("metadata")
    languages = _texts(metadata.get("languages")) if isinstance(metadata, Mapping) else []
    title = _text(row.get("name")) or _text(row.get("id"))
    content = importer.content(_divided(row["jinja"], importer.options.separator), engine="jinja2", variables=variables)
    return single(
        importer.name(*dataset, title),
        content,
        title=title or title_of(content),
        description=_text(row.get("reference")),
        tags=("promptsource", *languages),
        message="Imported from promptsource",
    )


def _choices_variable(choices: str) -> dict[str, Any]:
    """Fixed choices are the default of the variable; computed ones are described, since they depend on the row."""
    if "{{" in choices or "{%" in choices:
        return {"name": "answer_choices", "description": f"A list, made by: {choices}"}
    return {"name": "answer_choices", "default": [choice.strip() for choice in choices.split("|||")]}


def _divided(text: str, separator: str | None) -> list[tuple[str, str]]:
    """What is asked, and after the separator what would be answered."""
    asked, found, answered = text.partition(separator) if separator else (text, "", "")
    messages = [("user", asked.strip() if found else asked)]
    return [*messages, ("assistant", answered.strip())] if answered.strip() else messages


# --- Langfuse, Phoenix and rows with messages ----------------------------------------------------------------------


def _has_messages(row: Row) -> bool:
    return _is_chat(row.get("messages")) or _is_chat(row.get("prompt")) or _is_chat(_phoenix_messages(row))


def _is_chat(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(m, Mapping) and "role" in m for m in value)


def _phoenix_messages(row: Row) -> Any:
    template = row.get("template")
    return template.get("messages") if isinstance(template, Mapping) else None


def _chat(importer: Importer, row: Row) -> PromptRecord:
    places: list[Any] = [row.get("messages"), row.get("prompt"), _phoenix_messages(row)]
    messages = next(messages for messages in places if _is_chat(messages))
    style = {"F_STRING": "braces", "f-string": "braces"}.get(_text(row.get("template_format")))
    pairs = [(_role(m["role"]), m.get("content")) for m in messages]
    config = next((row[k] for k in ("config", "parameters", "invocation_parameters") if row.get(k)), None)
    parameters = dict(config) if isinstance(config, Mapping) else {}
    content = importer.content(pairs, style, parameters=_model(row) | parameters, tools=_list(row.get("tools")))
    return _named(importer, row, content)


_ROLES = {"human": "user", "ai": "assistant", "model": "assistant"}


def _role(role: Any) -> Any:
    """The role as we call it. What is none, be it no text at all, is left to the content to refuse."""
    return _ROLES.get(role, role) if isinstance(role, str) else role


def _model(row: Row) -> dict[str, Any]:
    name = _find(row, "model", {})
    return {"model": name} if isinstance(name, str) and name else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


# --- any row -------------------------------------------------------------------------------------------------------


def _generic(importer: Importer, row: Row) -> PromptRecord:
    mapping = importer.options.mapping
    prompt, system = _find(row, "prompt", mapping), _find(row, "system", mapping)
    if not isinstance(prompt, str) and not isinstance(system, str):
        fields = ", ".join(map(repr, list(row)[:20]))
        message = f"No prompt was found among the fields {fields or '(none)'}. Say which it is with a mapping."
        raise BadInput.at("/mapping/prompt", message)
    if not _text(prompt).strip() and not _text(system).strip():
        raise BadInput.at("/prompt", "The prompt is empty.")
    messages = [("system", system)] if isinstance(system, str) and system else []
    if isinstance(prompt, str) and prompt:
        messages.extend(_divided(prompt, importer.options.separator))
    content = importer.content(messages, parameters=_model(row))
    return _named(importer, row, content)


def _named(importer: Importer, row: Row, content: PromptContent) -> PromptRecord:
    mapping = importer.options.mapping
    name, title = _text(_find(row, "name", mapping)), _text(_find(row, "title", mapping))
    title = title or name or title_of(content)
    segments = [segment for segment in (name or title).split("/") if segment.strip()] if name else [title]
    status = _find(row, "status", mapping)
    return single(
        importer.name(*segments or [title]),
        content,
        title=title,
        description=_text(_find(row, "description", mapping)),
        tags=tuple(_texts(_find(row, "tags", mapping))),
        status=status if status in ("draft", "active", "archived") else "draft",
        message=_text(_find(row, "message", mapping)),
    )


def _find(row: Row, field: str, mapping: Mapping[str, str]) -> Any:
    """The mapped field, or the first of the usual ones (in any case) that is there."""
    if field in mapping:
        return _follow(row, mapping[field])
    lowered = {key.lower(): key for key in row}
    return next((row[lowered[name.lower()]] for name in _USUAL[field] if name.lower() in lowered), None)


def _follow(row: Row, path: str) -> Any:
    """A column of this very name, or a dotted path into objects. Raises BadInput when there is none."""
    if path in row:
        return row[path]
    value: Any = row
    for step in path.split("."):
        if not isinstance(value, Mapping) or step not in value:
            raise BadInput.at("/mapping", f"There is no field {path!r} here; there are {', '.join(map(repr, row))}.")
        value = value[step]
    return value


_SHAPES: tuple[tuple[Callable[[Row], bool], Callable[[Importer, Row], PromptRecord]], ...] = (
    (_is_awesome, _awesome),
    (_is_lobe, _lobe),
    (_is_promptsource, _promptsource),
    (_has_messages, _chat),
)
