"""Scoring: what an output is worth for a case.

A case passes when all of its assertions pass; when it has a threshold, that decides instead: the weighted mean of
the scores must reach it (promptfoo's rules, for assert-set as well). An assertion of weight 0 only measures: it
never fails. An error anywhere makes the whole case an error, because then there is no verdict; and so do a missing
output and a case that asserts nothing.

Nothing raises here: whatever goes wrong with one case becomes the outcome of that case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoforge.errors import AutoforgeError, BadInput
from autoforge.evaluations.assertions.code import context_of, value_from_program
from autoforge.evaluations.assertions.filling import fill, variables_of, with_texts
from autoforge.evaluations.assertions.kinds import Kind, Subject, Verdict
from autoforge.evaluations.assertions.registry import ASSERT_SET, KINDS
from autoforge.evaluations.assertions.unavailable import UNAVAILABLE
from autoforge.evaluations.cases import Assertion, AssertionResult, Case, CaseResult, Outcome, Output
from autoforge.evaluations.json_text import as_text
from autoforge.evaluations.scope import Scope, is_file_reference, names_program, read_value
from autoforge.evaluations.transforms import NOTHING, Spec, apply_transform

__all__ = ["Scope", "score_case", "score_many"]

NO_ASSERTION = "no_assertion: the case asserts nothing"
NO_OUTPUT = "no output was recorded for this case"
CALL_FAILED = "the recording says that the call failed"
NOTHING_FOUND = "the transform found nothing in the output"
LONGEST_REASON = 2_000
# Types whose value is code, or is never looked at.
_AS_WRITTEN = UNAVAILABLE | {"python"}
# Sums of decimal weights miss a threshold by rounding only.
_SLACK = 1e-9
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def score_many(pairs: Iterable[tuple[Case, Output]], scope: Scope) -> Iterator[CaseResult]:
    """Scores one pair after the other, lazily and in order."""
    for case, output in pairs:
        yield score_case(case, output, scope)


def score_case(case: Case, output: Output, scope: Scope) -> CaseResult:
    """The result of one output for one case. Never raises."""
    if output.error is not None:
        return _no_verdict(case, output, output.error or CALL_FAILED)
    if output.value is None:
        return _no_verdict(case, output, NO_OUTPUT)
    if not case.assertions:
        return _no_verdict(case, output, NO_ASSERTION)
    try:
        seen = _see(case, output, scope)
    except Exception as problem:
        return _no_verdict(case, output, _explain(problem))
    results: list[AssertionResult] = []
    total = _score_all(case.assertions, case.threshold, seen, results)
    return CaseResult(case, total.outcome, total.score, total.reason, _clean(seen.subject.text), results, output)


@dataclass(slots=True)
class _Total:
    outcome: Outcome
    score: float
    reason: str


@dataclass(slots=True)
class _Seen:
    """What the assertions of one case look at; ``found`` is false when the case's transform found nothing."""

    subject: Subject
    variables: Mapping[str, Any]
    found: bool


def _see(case: Case, output: Output, scope: Scope) -> _Seen:
    value = output.value if not case.transform else _transformed(case.transform, output.value, case, scope)
    found = value is not NOTHING
    subject = Subject(value if found else "", as_text(value) if found else "", case, output, scope)
    return _Seen(subject, variables_of(case), found)


def _transformed(spec: Spec, value: Any, case: Case, scope: Scope) -> Any:
    context = context_of(case) if scope.trusted else None
    return apply_transform(spec, value, scope, context)


def _score_all(
    assertions: Sequence[Assertion], threshold: float | None, seen: _Seen, results: list[AssertionResult]
) -> _Total:
    """Scores each assertion, appends the results (a set before its parts) and adds them up."""
    total = weights = 0.0
    error = failure = None
    for assertion in assertions:
        result = _score_set(assertion, seen, results) if assertion.type == ASSERT_SET else _score_one(assertion, seen)
        if assertion.type != ASSERT_SET:
            results.append(result)
        total += result.score * result.weight
        weights += result.weight
        if result.outcome is Outcome.ERROR:
            error = error or result
        elif result.outcome is Outcome.FAIL:
            failure = failure or result
    score = min(max(total / weights, 0.0), 1.0) if weights > 0 else 0.0
    if error is not None:
        return _Total(Outcome.ERROR, 0.0, _named(error))
    if threshold is not None:
        passed = score + _SLACK >= threshold
        relation = "reaches" if passed else "is below"
        reason = f"the score {score:.4g} {relation} the threshold {threshold:g}"
        if not passed and failure is not None:
            reason = f"{reason}; {_named(failure)}"
        return _Total(Outcome.PASS if passed else Outcome.FAIL, score, reason)
    if failure is not None:
        return _Total(Outcome.FAIL, score, _named(failure))
    return _Total(Outcome.PASS, score, _all_passed(results))


def _all_passed(results: Sequence[AssertionResult]) -> str:
    return results[0].reason if len(results) == 1 else "all assertions passed"


def _named(result: AssertionResult) -> str:
    return f"{result.type}: {result.reason}"


def _score_set(assertion: Assertion, seen: _Seen, results: list[AssertionResult]) -> AssertionResult:
    place = len(results)
    parts: list[AssertionResult] = []
    total = _score_all(assertion.parts, assertion.threshold, seen, parts)
    outcome = Outcome.PASS if assertion.weight == 0 and total.outcome is Outcome.FAIL else total.outcome
    result = AssertionResult(ASSERT_SET, outcome, total.score, total.reason, _metric(assertion, seen), assertion.weight)
    results[place:] = [result, *parts]
    return result


def _score_one(assertion: Assertion, seen: _Seen) -> AssertionResult:
    try:
        verdict = _judge(assertion, KINDS[assertion.type], seen)
    except Exception as problem:
        return _result(assertion, seen, Outcome.ERROR, 0.0, _explain(problem))
    passed, score = verdict.passed, verdict.score
    if assertion.negated:
        passed = not passed
        score = score if verdict.keeps_score else 1.0 - score
    outcome = Outcome.PASS if passed or assertion.weight == 0 else Outcome.FAIL
    return _result(assertion, seen, outcome, score, verdict.reason)


def _judge(assertion: Assertion, kind: Kind, seen: _Seen) -> Verdict:
    subject = seen.subject
    if kind.reads_output:
        if not seen.found:
            return _nothing_found(assertion)
        if assertion.transform:
            value = _transformed(assertion.transform, subject.value, subject.case, subject.scope)
            if value is NOTHING:
                return _nothing_found(assertion)
            subject = Subject(value, as_text(value), subject.case, subject.output, subject.scope)
    value = _value(assertion, kind, subject, seen.variables)
    settings = fill(assertion.settings, seen.variables) if assertion.settings else assertion.settings
    return kind.check(kind.prepare(value, settings), subject, assertion.threshold)


def _value(assertion: Assertion, kind: Kind, subject: Subject, variables: Mapping[str, Any]) -> Any:
    """The value to judge by: what a file holds or a program returns, else with variables filled in."""
    value = assertion.value
    if kind.name in _AS_WRITTEN:
        return value
    if names_program(value):
        return value_from_program(value, subject, assertion.settings.get("config"))
    if is_file_reference(value):
        return read_value(subject.scope, value)
    if isinstance(value, list) and any(map(is_file_reference, value)):
        return [_item(item, subject.scope, variables) for item in value]
    filled = fill(value, variables)
    return with_texts(filled) if kind.wants_text and filled is not value else filled


def _item(item: Any, scope: Scope, variables: Mapping[str, Any]) -> Any:
    if names_program(item):
        raise BadInput(f"{item} is a program, and inside a list only files with data are read")
    return read_value(scope, item) if is_file_reference(item) else fill(item, variables)


def _nothing_found(assertion: Assertion) -> Verdict:
    """A failure for the negated type as well: nothing good can be said of an answer that is not there."""
    return Verdict(assertion.negated, 1.0 if assertion.negated else 0.0, NOTHING_FOUND)


def _result(assertion: Assertion, seen: _Seen, outcome: Outcome, score: float, reason: str) -> AssertionResult:
    return AssertionResult(
        assertion.label, outcome, score, _clean(reason)[:LONGEST_REASON], _metric(assertion, seen), assertion.weight
    )


def _metric(assertion: Assertion, seen: _Seen) -> str | None:
    """The metric's name; one that cannot be filled in stays as it is written."""
    metric = assertion.metric
    if metric is None or ("{{" not in metric and "{%" not in metric):
        return metric
    try:
        return _clean(as_text(fill(metric, seen.variables)))
    except Exception:
        return metric


def _no_verdict(case: Case, output: Output, reason: str) -> CaseResult:
    try:
        text = "" if output.value is None else _clean(as_text(output.value))
    except Exception:
        text = ""
    return CaseResult(case, Outcome.ERROR, 0.0, _clean(reason)[:LONGEST_REASON], text, (), output)


def _explain(problem: Exception) -> str:
    if isinstance(problem, AutoforgeError):
        return problem.detail
    if isinstance(problem, RecursionError):
        return "the value is nested too deeply to be checked"
    return f"it could not be checked: {type(problem).__name__}: {problem}"


def _clean(text: str) -> str:
    """The text without what a database refuses (U+0000, lone surrogates); transforms may bring such forth."""
    return text if text.isascii() and "\x00" not in text else _UNSTORABLE.sub("\ufffd", text)
