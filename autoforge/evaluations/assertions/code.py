"""`python`: the user's own judgement, on the command line only.

The value is an expression, a body of several lines with `return`, or `file://checks.py:function` (default
`get_assert`). It sees `output`, and `context` with `vars`, `test`, `config`, `metadata` as in promptfoo; `json`,
`math` and `re` are at hand. It returns a bool, a number (passes above 0, or from `threshold` on) or {"pass",
"score", "reason"}. Whatever it prints goes to standard error, so that reports on standard output stay whole. A
program that raises is an error, not a failure.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.assertions.kinds import Kind, Limit, Settings, Subject, Verdict, wrong_value
from autoforge.evaluations.cases import Case
from autoforge.evaluations.scope import is_python_reference, user_function

# promptfoo pastes variables into the code, which would run whatever a data set contains.
_BRACES = re.compile(r"(?<![fF]['\"])\{\{\s*\w+\s*\}\}")
_SHAPES = "a bool, a number or {pass, score, reason}"


def _source(value: Any, settings: Settings) -> tuple[str, Any]:
    if not isinstance(value, str) or not value.strip():
        raise wrong_value("the value must be a Python expression, a function body or file://FILE.py:function")
    if _BRACES.search(value):
        raise wrong_value("Python sees variables as context['vars']; {{name}} is not filled into code")
    if not is_python_reference(value.strip()):
        _inline(value)
    return value.strip() if is_python_reference(value.strip()) else value, settings.get("config")


@lru_cache(maxsize=512)
def _inline(source: str) -> Any:
    """Compiled code that defines ``main(output, context)``."""
    source = textwrap.dedent(source).strip("\n")
    body = source if "\n" in source.strip() else f"return {source.strip()}"
    try:
        return compile("def main(output, context):\n" + textwrap.indent(body, "    "), "<python assertion>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        raise wrong_value(f"the value is not valid Python: {problem}") from problem


def context_of(case: Case, config: Any = None) -> dict[str, Any]:
    """What a user's function is told beside the output; the names are promptfoo's."""
    variables = dict(case.variables)
    test = {"vars": variables, "description": case.name, "metadata": dict(case.metadata), "expected": case.expected}
    return {"vars": variables, "test": test, "config": config or {}, "metadata": dict(case.metadata), "prompt": None}


def _function(source: str, subject: Subject) -> Callable[[Any, Any], Any]:
    if is_python_reference(source):
        return user_function(subject.scope, source, "get_assert")
    if not subject.scope.trusted:
        raise BadInput("python was not run: it runs only on the command line, for your own configuration")
    names: dict[str, Any] = {"json": json, "math": math, "re": re}
    exec(_inline(source), names)
    return names["main"]  # type: ignore[no-any-return]


def value_from_program(reference: str, subject: Subject, config: Any) -> Any:
    """What `file://FILE.py:function` (default `get_assert`) returns for the output: the value of another type's check.

    BadInput for what cannot be run, and for a judgement (true, false, {pass}) in place of a value, as in promptfoo.
    """
    if not is_python_reference(reference):
        raise BadInput(f"{reference} was not run: of programs only Python can be, on the command line")
    value = _called(user_function(subject.scope, reference, "get_assert"), subject, config)
    if value is None or isinstance(value, bool) or (isinstance(value, Mapping) and "pass" in value):
        raise BadInput(f"{reference} must return the value to compare with; only the type python takes a judgement")
    return value


def _called(function: Callable[[Any, Any], Any], subject: Subject, config: Any) -> Any:
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return function(subject.value, context_of(subject.case, config))
    except (Exception, SystemExit) as problem:
        raise BadInput(f"the Python code raised {type(problem).__name__}: {problem}") from problem


def _python(wanted: tuple[str, Any], subject: Subject, threshold: float | None) -> Verdict:
    source, config = wanted
    return _verdict(_called(_function(source, subject), subject, config), threshold)


def _verdict(result: Any, threshold: float | None) -> Verdict:
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = dataclasses.asdict(result)
    if isinstance(result, str):
        result = _from_text(result)
    if isinstance(result, Mapping):
        return _from_mapping(result, threshold)
    if isinstance(result, bool):
        return Verdict(result, float(result), f"the Python code returned {result}")
    score = _score(result)
    if score is None:
        raise BadInput(f"the Python code must return {_SHAPES}, it returned {type(result).__name__}")
    passed = score > 0 if threshold is None else score >= threshold
    return Verdict(passed, min(max(score, 0.0), 1.0), f"the Python code returned {score:g}", keeps_score=True)


def _from_text(text: str) -> Any:
    """promptfoo also takes the text forms: true, false, a number, a JSON object."""
    try:
        return json.loads(text.strip().lower() if text.strip().lower() in {"true", "false"} else text)
    except (ValueError, RecursionError):
        return text


def _from_mapping(result: Mapping[Any, Any], threshold: float | None) -> Verdict:
    raw = result.get("pass", result.get("pass_"))
    score = _score(result.get("score"))
    if not isinstance(raw, bool) and score is None:
        raise BadInput(f"the Python code must return {_SHAPES}, it returned a mapping without pass and score")
    if score is None:
        score = float(raw)
    passed = raw if isinstance(raw, bool) else score > 0
    passed = passed and (threshold is None or score >= threshold)
    reason = result.get("reason")
    text = reason if isinstance(reason, str) and reason else f"the Python code returned pass={passed}, score={score:g}"
    return Verdict(passed, min(max(score, 0.0), 1.0), text, keeps_score=result.get("score") is not None)


def _score(raw: Any) -> float | None:
    """Any finite real number (numpy's too), but neither bool nor text."""
    if isinstance(raw, bool | str) or raw is None:
        return None
    try:
        score = float(raw)
    except (TypeError, ValueError, OverflowError):
        return None
    return score if math.isfinite(score) else None


KINDS = (Kind("python", _python, _source, Limit.ANY),)
