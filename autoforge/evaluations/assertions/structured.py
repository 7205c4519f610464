"""Assertions on JSON and on calls of tools.

`is-json` judges the whole output, `contains-json` looks for objects inside other text; both take a JSON Schema as
value (or a text that holds one), and `formats: false` leaves its keyword `format` unchecked. A list counts for
`contains-json` only when it is the whole output or when a schema is given, so that a footnote [1] is not JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.assertions.kinds import Kind, Limit, Settings, Subject, Verdict, wrong_value, yes_or_no
from autoforge.evaluations.assertions.schema import Conforms, compile_schema
from autoforge.evaluations.assertions.text import needles
from autoforge.evaluations.json_text import as_text, parse_json, parse_json_prefix
from autoforge.evaluations.patterns import shorten

# How many characters of unfinished JSON are read again before a hostile output is given up.
_SEARCH_BUDGET = 20_000_000
_OBJECT = re.compile(r"\{\s*[\"}]")
_LIST_OR_OBJECT = re.compile(r"\{\s*[\"}]|\[\s*[\[\]{\"\dtfn-]")


def _schema(value: Any, settings: Settings) -> Conforms | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = _yaml(value)
    try:
        return compile_schema(value, formats=settings.get("formats") is not False)
    except BadInput as problem:
        raise wrong_value(problem.detail) from problem


def _yaml(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        pass
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise wrong_value("the value is neither a JSON schema nor a text that holds one") from problem


def _is_json(conforms: Conforms | None, subject: Subject, _threshold: float | None) -> Verdict:
    value = subject.value
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except ValueError as problem:
            return yes_or_no(False, f"the output is not JSON: {problem}")
    if conforms is None:
        return yes_or_no(True, "the output is JSON")
    error = conforms(value, subject.scope)
    if error is None:
        return yes_or_no(True, "the output is JSON that conforms to the schema")
    return yes_or_no(False, f"the JSON does not conform to the schema: {error}")


def _contains_json(conforms: Conforms | None, subject: Subject, _threshold: float | None) -> Verdict:
    error = None
    for value in _json_in(subject.value, lists=conforms is not None):
        if conforms is None:
            return yes_or_no(True, "the output contains JSON")
        error = conforms(value, subject.scope)
        if error is None:
            return yes_or_no(True, "the output contains JSON that conforms to the schema")
    if error is None:
        return yes_or_no(False, "the output contains no JSON")
    return yes_or_no(False, f"the JSON in the output does not conform to the schema: {error}")


def _json_in(value: Any, *, lists: bool) -> Iterator[Any]:
    if not isinstance(value, str):
        yield value
        return
    try:
        yield parse_json(value)
    except ValueError:
        yield from json_fragments(value, lists=lists)


def json_fragments(text: str, *, lists: bool = True) -> Iterator[Any]:
    """The JSON objects (and lists) that a text holds, from left to right, not looking inside the ones found."""
    position, spent = 0, 0
    opening = _LIST_OR_OBJECT if lists else _OBJECT
    while start := opening.search(text, position):
        position = start.start()
        try:
            value, end = parse_json_prefix(text, position)
        except ValueError as problem:
            spent += _cost(problem, text, position)
            position += 1
        except BadInput:
            # Too deep at this place: what is inside it is too deep for a while yet, and may still hold something.
            spent += 10_000
            position += 1
        else:
            yield value
            position = end
        if spent > _SEARCH_BUDGET:
            raise BadInput("the output holds too many unfinished pieces of JSON to be searched")


def _cost(problem: ValueError, text: str, start: int) -> int:
    """About how many characters were read in vain; to name the line, the parser also counts all lines before it."""
    if str(problem).startswith("Unterminated"):
        return len(text) - start
    return int(getattr(problem, "pos", start)) - start + start // 20 + 1


def _functions(value: Any, settings: Settings) -> dict[str, Mapping[str, Any]] | None:
    """The declared functions by name, from `value`, `tools` or `functions`; None when none are declared."""
    declared = next(
        (item for item in (value, settings.get("tools"), settings.get("functions")) if item is not None), None
    )
    if isinstance(declared, str):
        declared = _yaml(declared)
    if declared is None:
        return None
    if not isinstance(declared, list):
        raise wrong_value("the value must be the list of declared tools or functions")
    functions: dict[str, Mapping[str, Any]] = {}
    for index, item in enumerate(declared):
        function = item.get("function", item) if isinstance(item, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise BadInput.at(f"/value/{index}", "a tool is declared as an object with the name of a function")
        functions[function["name"]] = function
    return functions


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except ValueError:
        return None


def _is_tools_call(
    functions: dict[str, Mapping[str, Any]] | None, subject: Subject, _threshold: float | None
) -> Verdict:
    value = _parsed(subject.value)
    if isinstance(value, dict):
        value = value.get("tool_calls", value)
    calls = value if isinstance(value, list) else None
    if not calls or not all(isinstance(call, dict) and isinstance(call.get("function"), dict) for call in calls):
        return yes_or_no(False, f"the output is not a list of tool calls: {shorten(subject.text)}")
    for call in calls:
        error = _call_error(call["function"], functions, subject)
        if error:
            return yes_or_no(False, error)
    return yes_or_no(True, f"the output makes {len(calls)} valid tool call{'s' if len(calls) > 1 else ''}")


def _is_function_call(
    functions: dict[str, Mapping[str, Any]] | None, subject: Subject, _threshold: float | None
) -> Verdict:
    value = _parsed(subject.value)
    if isinstance(value, dict):
        value = value.get("function_call", value)
    if not isinstance(value, dict):
        return yes_or_no(False, f"the output is not a function call: {shorten(subject.text)}")
    error = _call_error(value, functions, subject)
    return yes_or_no(not error, error or f"the output is a valid call of {value['name']}")


def _call_error(
    call: Mapping[str, Any], functions: dict[str, Mapping[str, Any]] | None, subject: Subject
) -> str | None:
    """What is wrong with one call {"name": ..., "arguments": "JSON text"}, or None."""
    name, arguments = call.get("name"), call.get("arguments")
    if not isinstance(name, str) or not isinstance(arguments, str):
        return f"a call needs a name and arguments as JSON text: {shorten(as_text(call))}"
    if functions is None:
        raise BadInput("the declared tools are missing: give them as value (or as tools, or functions)")
    function = functions.get(name)
    if function is None:
        return f"the output calls {shorten(name)}, which is not declared"
    schema = function.get("parameters")
    try:
        values = parse_json(arguments) if arguments.strip() or schema else {}
    except ValueError:
        return f"the arguments of {name} are not JSON: {shorten(arguments)}"
    if schema is None:
        return None if values == {} else f"{name} takes no arguments, the output gives {shorten(arguments)}"
    error = compile_schema(schema)(values, subject.scope)
    return f"the arguments of {name} do not conform to its schema: {error}" if error else None


def _tool_f1(wanted: list[str], subject: Subject, threshold: float | None) -> Verdict:
    called = set(
        _called_names(_parsed(subject.value) if isinstance(subject.value, str) else subject.value, subject.text)
    )
    expected = set(wanted)
    common = len(called & expected)
    score = 2 * common / (len(called) + len(expected)) if called or expected else 0.0
    limit = 1.0 if threshold is None else threshold
    return Verdict(score >= limit, score, f"F1 is {score:.4f}: called {sorted(called)}, expected {sorted(expected)}")


def _called_names(value: Any, text: str) -> Iterator[str]:
    """The names of called tools in the shapes of OpenAI (chat and responses), Anthropic and Google."""
    waiting = [value] if value is not None else list(json_fragments(text))
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            inner = [
                item[key]
                for key in ("tool_calls", "function_call", "functionCall", "function", "content")
                if key in item
            ]
            waiting.extend(entry for entry in inner if isinstance(entry, dict | list))
            is_call = {"arguments", "args", "input"} & item.keys() or item.get("type") in ("tool_use", "function_call")
            if isinstance(item.get("name"), str) and is_call:
                yield item["name"]


_FORMATS = frozenset(("formats",))
_DECLARED = frozenset(("tools", "functions"))

KINDS = (
    Kind("is-json", _is_json, _schema, settings=_FORMATS),
    Kind("contains-json", _contains_json, _schema, settings=_FORMATS),
    Kind("is-valid-openai-tools-call", _is_tools_call, _functions, settings=_DECLARED),
    Kind("is-valid-openai-function-call", _is_function_call, _functions, settings=_DECLARED),
    Kind("is-valid-function-call", _is_function_call, _functions, settings=_DECLARED),
    Kind("tool-call-f1", _tool_f1, needles, Limit.SCORE, wants_text=True),
)
