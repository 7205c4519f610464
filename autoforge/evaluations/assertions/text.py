"""Assertions on plain text: equality, substrings, patterns, word counts, edit distance.

Values that are numbers are compared by their text form. As extensions to promptfoo, `contains`, `icontains` and
`regex` take `min`, `max` or `count` (how often, without overlaps), and `ends-with` is the mirror of `starts-with`.
"""

from __future__ import annotations

import csv
from functools import partial
from typing import Any

from autoforge.evaluations.assertions.kinds import (
    RANGE,
    Kind,
    Limit,
    Range,
    Settings,
    Subject,
    Verdict,
    check_keys,
    number_of,
    range_of,
    wrong_value,
    yes_or_no,
)
from autoforge.evaluations.json_text import as_text, parse_json, same_json
from autoforge.evaluations.patterns import compile_pattern, count_matches, first_match, shorten

DEFAULT_DISTANCE = 5.0
_LONGEST_EXACT = 10_000


def _anything(value: Any, _settings: Settings) -> Any:
    return value


def _equals(wanted: Any, subject: Subject, _threshold: float | None) -> Verdict:
    if wanted is None or isinstance(wanted, dict | list):
        passed = _same_structure(wanted, subject.value)
    else:
        wanted = as_text(wanted)
        passed = wanted == subject.text
    relation = "equals" if passed else "does not equal"
    return yes_or_no(passed, f"the output {shorten(subject.text)} {relation} {shorten(as_text(wanted))}")


def _same_structure(wanted: Any, value: Any) -> bool:
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except ValueError:
            return False
    return same_json(wanted, value)


def _needle(value: Any, _settings: Settings) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise wrong_value("the value must be a text that is not empty, or a number")
    return as_text(value)


def _needle_and_range(value: Any, settings: Settings) -> tuple[str, Range | None]:
    return _needle(value, settings), range_of(settings, "")


def _contains(fold: bool, wanted: tuple[str, Range | None], subject: Subject, _threshold: float | None) -> Verdict:
    needle, occurrences = wanted
    text = subject.text.lower() if fold else subject.text
    folded = needle.lower() if fold else needle
    if occurrences is None:
        passed = folded in text
        verb = "contains" if passed else "does not contain"
        return yes_or_no(passed, f"the output {verb} {shorten(needle)}")
    count = text.count(folded)
    reason = f"the output contains {shorten(needle)} {count} times, {_asked(occurrences, count)}"
    return yes_or_no(occurrences.holds(count), reason)


def _asked(wanted: Range, count: float) -> str:
    return f"as asked ({wanted})" if wanted.holds(count) else f"asked for {wanted}"


def needles(value: Any, _settings: Settings) -> list[str]:
    """A list of texts, from a list or from a comma-separated text (quotes protect commas)."""
    if isinstance(value, str):
        value = split_commas(value)
    if not isinstance(value, list | tuple) or not value:
        raise wrong_value("the value must be a list of texts, or one text with commas")
    if any(isinstance(item, dict | list) or item is None for item in value):
        raise wrong_value("each item of the list must be a text or a number")
    return [as_text(item) for item in value]


def split_commas(text: str) -> list[str]:
    try:
        fields = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error:
        fields = text.split(",")
    return [item.strip() for item in fields if item.strip()]


def _contains_many(fold: bool, every: bool, wanted: list[str], subject: Subject, _threshold: float | None) -> Verdict:
    text = subject.text.lower() if fold else subject.text
    missing = [item for item in wanted if (item.lower() if fold else item) not in text]
    passed = not missing if every else len(missing) < len(wanted)
    if every:
        reason = f"the output lacks {_listed(missing)}" if missing else f"the output contains all of {_listed(wanted)}"
    else:
        found = [item for item in wanted if item not in missing]
        reason = f"the output contains {_listed(found)}" if passed else f"the output contains none of {_listed(wanted)}"
    return yes_or_no(passed, reason)


def _listed(items: list[str]) -> str:
    shown = ", ".join(shorten(item, 60) for item in items[:10])
    return f"[{shown}]" if len(items) <= 10 else f"[{shown} and {len(items) - 10} more]"


def _starts_with(wanted: str, subject: Subject, _threshold: float | None) -> Verdict:
    passed = subject.text.startswith(wanted)
    return yes_or_no(passed, f"the output {'starts' if passed else 'does not start'} with {shorten(wanted)}")


def _ends_with(wanted: str, subject: Subject, _threshold: float | None) -> Verdict:
    passed = subject.text.endswith(wanted)
    return yes_or_no(passed, f"the output {'ends' if passed else 'does not end'} with {shorten(wanted)}")


def _pattern(value: Any, settings: Settings) -> tuple[str, Range | None]:
    if not isinstance(value, str) or not value:
        raise wrong_value("the value must be a regular expression")
    compile_pattern(value)
    return value, range_of(settings, "")


def _regex(wanted: tuple[str, Range | None], subject: Subject, _threshold: float | None) -> Verdict:
    pattern, occurrences = wanted
    if occurrences is None:
        passed = first_match(pattern, subject.text, subject.scope) is not None
        return yes_or_no(passed, f"the output {'matches' if passed else 'does not match'} {shorten(pattern)}")
    count = count_matches(pattern, subject.text, subject.scope)
    reason = f"the output matches {shorten(pattern)} {count} times, {_asked(occurrences, count)}"
    return yes_or_no(occurrences.holds(count), reason)


def _words_wanted(value: Any, _settings: Settings) -> Range:
    if isinstance(value, dict):
        check_keys(value, sorted(RANGE), "/value")
        wanted = range_of(value, "/value")
    else:
        number = number_of(value)
        wanted = None if number is None or number < 0 else Range(number, number)
    if wanted is None:
        raise wrong_value("the value must be a number of words, or min and/or max")
    return wanted


def _word_count(wanted: Range, subject: Subject, _threshold: float | None) -> Verdict:
    count = len(subject.text.split())
    return yes_or_no(wanted.holds(count), f"the output has {count} words, {_asked(wanted, count)}")


def _text_or_number(value: Any, _settings: Settings) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise wrong_value("the value must be a text")
    return as_text(value)


def _levenshtein(wanted: str, subject: Subject, threshold: float | None) -> Verdict:
    from rapidfuzz.distance import Levenshtein

    limit = DEFAULT_DISTANCE if threshold is None else threshold
    longest = max(len(subject.text), len(wanted))
    exact = longest <= _LONGEST_EXACT
    distance = Levenshtein.distance(subject.text, wanted, score_cutoff=None if exact else int(limit))
    if distance <= limit:
        return yes_or_no(True, f"the edit distance is {distance}, within {limit:g}")
    known = f"{distance}, more than" if exact else "more than"  # beyond the limit it is not counted any further
    return yes_or_no(False, f"the edit distance is {known} {limit:g}")


KINDS = (
    Kind("equals", _equals, _anything, needs_value=True),
    Kind("contains", partial(_contains, False), _needle_and_range, settings=RANGE, wants_text=True),
    Kind("icontains", partial(_contains, True), _needle_and_range, settings=RANGE, wants_text=True),
    Kind("contains-all", partial(_contains_many, False, True), needles, wants_text=True),
    Kind("contains-any", partial(_contains_many, False, False), needles, wants_text=True),
    Kind("icontains-all", partial(_contains_many, True, True), needles, wants_text=True),
    Kind("icontains-any", partial(_contains_many, True, False), needles, wants_text=True),
    Kind("starts-with", _starts_with, _needle, wants_text=True),
    Kind("ends-with", _ends_with, _needle, wants_text=True),
    Kind("regex", _regex, _pattern, settings=RANGE, wants_text=True),
    Kind("word-count", _word_count, _words_wanted),
    Kind("levenshtein", _levenshtein, _text_or_number, Limit.AMOUNT, wants_text=True),
)
