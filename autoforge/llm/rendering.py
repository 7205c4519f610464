"""Filling variables into prompts.

Two engines. ``mustache`` knows one thing, ``{{name}}`` (:mod:`autoforge.llm.mustache`). ``jinja2`` is Jinja2 in a
sandbox with a budget (:mod:`autoforge.llm.jinja`). ``auto`` looks at the text: tags, filters and expressions mean
Jinja2. ``none`` leaves the text alone. In all of them text is put in as it is and every other value as JSON, what a
variable contains is never looked at again, and a variable that is missing is an error that names it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol

from autoforge.errors import BadInput, FieldError, escaped
from autoforge.llm import jinja, mustache
from autoforge.llm.budget import MAX_OUTPUT, Budget, BudgetSpent, OutputTooLong
from autoforge.llm.faults import all_of

__all__ = [
    "ENGINES",
    "MAX_TEMPLATE",
    "Engine",
    "check_template",
    "check_templates",
    "detect_engine",
    "find_variables",
    "needed_variables",
    "render_messages",
    "render_text",
]

Engine = Literal["auto", "mustache", "jinja2", "none"]
ENGINES: tuple[Engine, ...] = ("auto", "mustache", "jinja2", "none")

MAX_TEMPLATE = 1_000_000
"""Characters of any template."""

_BRACES = re.compile(r"\{\{((?:(?!\{\{|\}\}).)*)\}\}", re.DOTALL)
_TAG = re.compile(r"\{%[-+]?\s*[a-z]")
_EXPRESSION = re.compile(r"[-+]?\s*[\w.]+\s*[|(\[]")


class Variable(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def required(self) -> bool: ...
    @property
    def has_default(self) -> bool: ...
    @property
    def default(self) -> Any: ...


class Message(Protocol):
    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str | Sequence[Mapping[str, Any]]: ...
    @property
    def extras(self) -> Mapping[str, Any]: ...


class Renderable(Protocol):
    """What :func:`render_messages` needs of a prompt; ``prompts.content.PromptContent`` is one."""

    @property
    def engine(self) -> str: ...
    @property
    def messages(self) -> Sequence[Message]: ...
    @property
    def variables(self) -> Sequence[Variable]: ...


def render_text(
    template: str,
    variables: Mapping[str, Any],
    *,
    engine: str = "auto",
    at: str = "/template",
    budget: Budget | None = None,
) -> str:
    """The template with the variables filled in, out of a ``budget`` of its own or one that other texts share.

    Raises BadInput: every missing variable at ``/variables/NAME``, whatever is wrong with the template itself
    (with its line) at the pointer ``at``.
    """
    if len(template) > MAX_TEMPLATE:
        raise BadInput.at(at, f"The template is longer than {MAX_TEMPLATE:,} characters.")
    try:
        text = _rendered(template, variables, engine, at, budget or Budget())
        text.encode()
    except BudgetSpent:
        raise BadInput.at(at, "The template needs too much time or memory.") from None
    except OutputTooLong:
        raise BadInput.at(at, f"The rendered text is longer than {MAX_OUTPUT:,} characters.") from None
    except UnicodeEncodeError:
        message = "The rendered text contains half of a surrogate pair, which is no character."
        raise BadInput.at(at, message) from None
    return text


def _rendered(template: str, variables: Mapping[str, Any], engine: str, at: str, budget: Budget) -> str:
    if engine == "none" or "{" not in template:
        budget.put(len(template))
        return template
    if _resolve(template, engine) == "mustache":
        return mustache.fill(template, variables, budget)
    return jinja.render(template, variables, at, budget)


def find_variables(template: str, engine: str = "auto") -> list[str]:
    """The names that the template needs, in order of first use; of a dotted path, the first part.

    Raises BadInput (at ``/template``, with the line) when a Jinja2 template has a syntax error.
    """
    if engine == "none" or "{" not in template:
        return []
    if _resolve(template, engine) == "mustache":
        return mustache.find(template)
    return jinja.undeclared(template, "/template")


def needed_variables(templates: Sequence[str], engine: str) -> list[str]:
    """The names that all these need, in order of first use; broken ones, and those beyond the bounds, need none."""
    names: dict[str, None] = {}
    for template in _first(templates, engine):
        with suppress(BadInput):
            names.update(dict.fromkeys(find_variables(template, engine)))
    return list(names)


def detect_engine(*templates: str) -> Literal["mustache", "jinja2"]:
    """What ``auto`` means for texts: Jinja2 if one has tags, or braces around an expression that is no mere name."""
    unclear = []
    for template in templates:
        if "{" not in template:
            continue
        if _has_tag(template):
            return "jinja2"
        inner = [
            match[1].strip() for match in _BRACES.finditer(template) if not mustache.PLACEHOLDER.fullmatch(match[0])
        ]
        if any(_EXPRESSION.match(text) for text in inner):
            return "jinja2"
        if inner:
            unclear.append(template)
    return "jinja2" if any(map(jinja.parses, jinja.within_bounds(unclear))) else "mustache"


def _has_tag(template: str) -> bool:
    """Whether a tag or a comment has an end. If the first has none, none behind it has one, and nobody need look."""
    tag, comment = _TAG.search(template), template.find("{#")
    if tag is not None and template.find("%}", tag.end()) >= 0:
        return True
    return comment >= 0 and template.find("#}", comment + 2) >= 0


def check_template(template: str, *, engine: str = "auto", at: str = "/template") -> None:
    """Raises BadInput, with the line, if the template can never be rendered."""
    if engine != "none" and "{" in template and _resolve(template, engine) == "jinja2":
        jinja.compiled(template, at)


def check_templates(templates: Sequence[str], engine: str, at: Sequence[str]) -> None:
    """The same for several, each at its pointer; those beyond the bounds of all together are not looked at."""
    for template, pointer in zip(_first(templates, engine), at, strict=False):
        check_template(template, engine=engine, at=pointer)


def _first(templates: Sequence[str], engine: str) -> Sequence[str]:
    return templates if engine in ("mustache", "none") else jinja.within_bounds(templates)


def render_messages(prompt: Renderable, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The prompt's messages with everything filled in, as JSON-ready dicts for a model.

    Declared defaults stand in for variables that are not given, and optional ones without a default are empty text.
    All messages share one budget of time and characters, counted in the thread that calls this: it can take seconds.
    Raises BadInput naming everything that is missing or wrong in any of the messages.
    """
    given = {v.name: v.default if v.has_default else "" for v in prompt.variables if v.has_default or not v.required}
    filler = _Filler({**given, **variables}, prompt.engine)
    messages = []
    for index, message in enumerate(prompt.messages):
        content = filler.fill(message.content, f"/messages/{index}/content")
        messages.append({"role": message.role, "content": content, **message.extras})
    filler.finish()
    return messages


class _Filler:
    """Renders the strings of messages, which may be inside of parts, and gathers what goes wrong."""

    def __init__(self, variables: Mapping[str, Any], engine: str) -> None:
        self._variables, self._engine, self._budget = variables, engine, Budget()
        self._errors: dict[FieldError, None] = {}

    def fill(self, value: Any, at: str) -> Any:
        if isinstance(value, str):
            return self._text(value, at)
        if isinstance(value, Mapping):
            return {key: self.fill(item, f"{at}/{escaped(key)}") for key, item in value.items()}
        if isinstance(value, Sequence):
            return [self.fill(item, f"{at}/{index}") for index, item in enumerate(value)]
        return value

    def _text(self, text: str, at: str) -> str:
        try:
            return render_text(text, self._variables, engine=self._engine, at=at, budget=self._budget)
        except BadInput as error:
            self._errors.update(dict.fromkeys(error.errors))
            if self._budget.is_spent:  # the other texts could only say the same
                self.finish()
            return ""

    def finish(self) -> None:
        if self._errors:
            raise all_of(self._errors)


def _resolve(template: str, engine: str) -> str:
    if engine not in ENGINES:
        raise BadInput.at("/engine", f"There is no engine {engine!r}; choose auto, mustache, jinja2 or none.")
    return _detected(template) if engine == "auto" else engine


def _detected(template: str) -> str:
    return detect_engine(template) if len(template) > jinja.CACHED else _detect_cached(template)


_detect_cached = functools.lru_cache(maxsize=512)(detect_engine)
