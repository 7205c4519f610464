"""Assertions on what was measured of the call, not on its text: cost, latency, reason to stop.

A measurement that was not recorded is an error, never a failure: nothing is known of the model then.
"""

from __future__ import annotations

from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.assertions.kinds import (
    Kind,
    Limit,
    Settings,
    Subject,
    Verdict,
    no_value,
    wrong_value,
    yes_or_no,
)

NANO = 1_000_000_000
# Providers' own words for the four reasons that promptfoo knows.
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "tool_use": "tool_calls",
    "tool-calls": "tool_calls",
    "function_call": "tool_calls",
    "refusal": "content_filter",
    "safety": "content_filter",
    "content-filter": "content_filter",
}


def _cost(_value: None, subject: Subject, threshold: float | None) -> Verdict:
    if subject.output.cost_nano is None:
        raise BadInput("no cost was recorded for this output")
    cost = subject.output.cost_nano / NANO
    if threshold is None:
        return Verdict(True, min(max(cost, 0.0), 1.0), f"the cost is {cost:.6g} USD", keeps_score=True)
    passed = cost <= threshold
    return yes_or_no(passed, f"the cost {cost:.6g} USD is {'within' if passed else 'above'} {threshold:g} USD")


def _latency(_value: None, subject: Subject, threshold: float | None) -> Verdict:
    if subject.output.latency_ms is None:
        raise BadInput("no latency was recorded for this output")
    if threshold is None:
        raise BadInput("latency needs a threshold in milliseconds")
    passed = subject.output.latency_ms <= threshold
    return yes_or_no(
        passed, f"the latency {subject.output.latency_ms:g} ms is {'within' if passed else 'above'} {threshold:g} ms"
    )


def _reason_wanted(value: Any, _settings: Settings) -> str:
    if not isinstance(value, str) or not value.strip():
        raise wrong_value("the value must be a reason to stop, such as stop, length, content_filter or tool_calls")
    return value


def _finish_reason(wanted: str, subject: Subject, _threshold: float | None) -> Verdict:
    if not subject.output.finish_reason:
        raise BadInput("no finish reason was recorded for this output")
    passed = _normal(subject.output.finish_reason) == _normal(wanted)
    return yes_or_no(
        passed, f"the finish reason is {subject.output.finish_reason}, {'as' if passed else 'not'} {wanted}"
    )


def _normal(reason: str) -> str:
    reason = reason.strip().lower()
    return _REASONS.get(reason, reason)


KINDS = (
    Kind("cost", _cost, no_value, Limit.AMOUNT, reads_output=False),
    Kind("latency", _latency, no_value, Limit.AMOUNT, reads_output=False),
    Kind("finish-reason", _finish_reason, _reason_wanted, reads_output=False, wants_text=True),
)
