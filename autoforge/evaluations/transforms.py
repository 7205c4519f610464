r"""Transforms: what to take out of an output before it is scored.

Grammar::

    transform   = alternative { " || " alternative }      the first alternative that finds something wins
    alternative = step { " | " step }                     each step works on what the step before found
    step        = "output" [path]                         the value as it is, or a field of it
                | "json" [path]                           text parsed as JSON (maybe in a code fence), or a field
                | NAME [path]                             short for json.NAME:  answer   choices[0].message.content
                | "fence"                                 the content of the first Markdown code fence
                | "regex:" PATTERN                        first match: its first group if any, else all of it
                | "regex-last:" PATTERN                   the same for the last match
                | "strip" | "lower" | "upper" | "first-line" | "last-line"
                | FILE.py [":" FUNCTION]                  the user's function(output, context); also written file://FILE.py
    path        = { "." NAME | "[" INDEX "]" | '["' KEY '"]' }

``JSON.parse(output)`` of promptfoo is read as ``json``, other JavaScript is refused, also what would pass for a path: a
path below ``context`` or ``vars``, ``.length``, a file in another language. A field of such a name is reached as
``json.vars.x``, ``output["length"]``. Several transforms in a list are chained. The separators need white space on both
sides, so ``(a|b)`` in a pattern is safe; a pattern that must contain " | " writes ``[ ]|``.

Examples: the last line "A: 12" of a solution is ``regex-last:(?m)^A:\s*(.+)$``; a chain of thought that ends in a
sentence is ``regex:[Tt]he answer is (.*?)\.?\s*$``; an answer in fenced JSON that may be broken is ``fence |
json.answer || regex:"answer":\s*"(.*?)"``.

A transform that finds nothing returns NOTHING. That is a property of the output, not an error: the case fails. A
missing field and JSON null count as nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from autoforge.errors import BadInput
from autoforge.evaluations.json_text import as_text, fenced, parse_json
from autoforge.evaluations.patterns import compile_pattern, first_match, last_match, shorten
from autoforge.evaluations.scope import Scope, is_python_reference, user_function

Step = Callable[[Any, Scope], Any]
Spec = str | Sequence[str]


class _Nothing:
    """What a transform returns that found nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NOTHING"

    def __bool__(self) -> bool:
        return False


NOTHING: Final = _Nothing()

_SEPARATOR_OR = re.compile(r"\s\|\|\s")
_SEPARATOR_PIPE = re.compile(r"\s\|\s")
_NAME = re.compile(r"[^\W\d][\w-]*|\$")
_PATH_PART = re.compile(r"""\.([\w$-]+)|\[(-?\d{1,9})\]|\[(?:"([^"]*)"|'([^']*)')\]""")
_READS_LIKE_CODE = re.compile(r"(?:context|vars)[.\[].*|.*\.(?:length|js|ts|mjs|cjs|mts|cts|rb)", re.DOTALL)
_JSON_PARSE = re.compile(r"JSON\.parse\(\s*(output[^()|]*)\)(.*)", re.DOTALL)


def parse_transform(raw: object, pointer: str) -> str | tuple[str, ...] | None:
    """Checks a transform from a configuration and returns it in the form that Case and Assertion hold.

    BadInput points at ``pointer`` (or at the item of a list) when a step cannot be read. Files are not opened here.
    """
    if raw is None or raw == "":
        return None
    items = raw if isinstance(raw, list | tuple) else [raw]
    for index, item in enumerate(items):
        place = f"{pointer}/{index}" if isinstance(raw, list | tuple) else pointer
        if not isinstance(item, str) or not item.strip():
            raise BadInput.at(
                place, "a transform is a text such as json.answer or regex:PATTERN, or a list of such texts"
            )
        try:
            _compile(item)
        except BadInput as problem:
            raise BadInput.at(place, problem.detail) from problem
    return raw if isinstance(raw, str) else tuple(str(item) for item in items)


def apply_transform(spec: Spec, value: Any, scope: Scope, context: Any = None) -> Any:
    """The value after the transform, or NOTHING. BadInput when the transform itself is at fault.

    ``context`` is handed to user functions, as promptfoo does: ``{"vars": {...}}``.
    """
    for one in (spec,) if isinstance(spec, str) else spec:
        value = _first_found(_compile(one), value, scope, context)
        if value is NOTHING:
            return NOTHING
    return value


def _first_found(alternatives: tuple[tuple[Step, ...], ...], value: Any, scope: Scope, context: Any) -> Any:
    for steps in alternatives:
        found = value
        for step in steps:
            found = step(found, scope) if not isinstance(step, _Call) else step.run(found, scope, context)
            if found is None or found is NOTHING:
                break
        else:
            return found
    return NOTHING


@lru_cache(maxsize=2048)
def _compile(spec: str) -> tuple[tuple[Step, ...], ...]:
    return tuple(_alternative(part) for part in _SEPARATOR_OR.split(spec))


def _alternative(text: str) -> tuple[Step, ...]:
    script = _JSON_PARSE.fullmatch(text.strip())
    if script:
        text = f"{script[1].rstrip()} | json{script[2]}"
    return tuple(_step(part) for part in _SEPARATOR_PIPE.split(text))


def _step(text: str) -> Step:
    for prefix, search in (("regex:", first_match), ("regex-last:", last_match)):
        stripped = text.lstrip()
        if stripped.startswith(prefix):
            return _regex_step(stripped.removeprefix(prefix), search)
    word = text.strip()
    if word in _WORDS:
        return _WORDS[word]
    if is_python_reference(word):
        return _Call(word)
    return _path_step(word)


def _regex_step(pattern: str, search: Callable[[str, str, Scope], Any]) -> Step:
    if not pattern.strip():
        raise BadInput("a regex transform needs a pattern after the colon")
    group = 1 if compile_pattern(pattern).groups else 0

    def step(value: Any, scope: Scope) -> Any:
        match = search(pattern, as_text(value), scope)
        return NOTHING if match is None else match[group]

    return step


def _path_step(word: str) -> Step:
    start = _NAME.match(word)
    if start is None:
        raise _not_a_step(word)
    if _READS_LIKE_CODE.fullmatch(word):
        raise BadInput(
            f"{shorten(word)} reads like a program in JavaScript, which is not run; a field of that name is written "
            'json.vars.x or json["length"]'
        )
    root, rest = start[0], word[start.end() :]
    parts = _path(rest, word)
    if root == "output" and not parts:
        return _same
    if root not in {"output", "json"}:
        parts = (root, *parts)

    def step(value: Any, _scope: Scope) -> Any:
        value = _structured(value)
        for part in parts:
            value = _child(value, part)
            if value is NOTHING:
                break
        return value

    return step


def _path(text: str, word: str) -> tuple[str | int, ...]:
    parts: list[str | int] = []
    position = 0
    while position < len(text):
        part = _PATH_PART.match(text, position)
        if part is None:
            raise _not_a_step(word)
        name = next((group for group in (part[1], part[3], part[4]) if group is not None), None)
        parts.append(int(part[2]) if name is None else name)
        position = part.end()
    return tuple(parts)


def _not_a_step(word: str) -> BadInput:
    return BadInput(
        f"{shorten(word)} is not a transform: write a field path (json.answer), regex:PATTERN, "
        "regex-last:PATTERN, fence, strip, lower, upper, first-line, last-line or file.py:function "
        "(JavaScript is not supported)"
    )


def _structured(value: Any) -> Any:
    """Text is parsed as JSON, also when a code fence surrounds it; other values are structured already."""
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except ValueError:
        pass
    inside = fenced(value)
    if inside is None:
        return NOTHING
    try:
        return parse_json(inside)
    except ValueError:
        return NOTHING


def _child(value: Any, part: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(str(part), NOTHING)
    if isinstance(value, list | tuple) and (isinstance(part, int) or part.isdecimal()):
        index = int(part)
        return value[index] if -len(value) <= index < len(value) else NOTHING
    return NOTHING


def _same(value: Any, _scope: Scope) -> Any:
    return value


def _fence(value: Any, _scope: Scope) -> Any:
    inside = fenced(as_text(value))
    return NOTHING if inside is None else inside


def _line(index: int) -> Step:
    def step(value: Any, _scope: Scope) -> Any:
        lines = as_text(value).strip().splitlines()
        return lines[index].strip() if lines else NOTHING

    return step


class _Call:
    """A user's function; the only step that is told the context."""

    __slots__ = ("reference",)

    def __init__(self, reference: str) -> None:
        self.reference = reference

    def __call__(self, value: Any, scope: Scope) -> Any:
        return self.run(value, scope, None)

    def run(self, value: Any, scope: Scope, context: Any) -> Any:
        function = user_function(scope, self.reference, "get_transform")
        try:
            return function(value, context)
        except (Exception, SystemExit) as problem:
            raise BadInput(f"{self.reference} failed: {type(problem).__name__}: {problem}") from problem


_WORDS: dict[str, Step] = {
    "output": _same,
    "fence": _fence,
    "strip": lambda value, _scope: as_text(value).strip(),
    "lower": lambda value, _scope: as_text(value).lower(),
    "upper": lambda value, _scope: as_text(value).upper(),
    "first-line": _line(0),
    "last-line": _line(-1),
}
