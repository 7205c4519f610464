"""The filters and tests that prompts may use, each paying for what it does (see :mod:`autoforge.llm.budget`).

Jinja's own, minus those that make HTML, look around or have no bound, plus what prompts in the wild rely on:
``dump`` (nunjucks), ``choice`` and ``most_frequent`` (promptsource). ``choice`` and ``random`` depend on nothing but
the variables, so that the same case always gives the same prompt.
"""

from __future__ import annotations

import functools
import html
import re
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

import jinja2
from jinja2 import filters, tests

from autoforge.llm.budget import MAX_WIDTH, STEP, Refused, as_list, current_budget, measure, spend, text_of, weight
from autoforge.llm.plain import json_text


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def concat(parts: list[Any]) -> str:
    return join_texts("", parts)


@jinja2.pass_environment
def _join(environment: jinja2.Environment, value: Any, d: Any = "", attribute: Any = None) -> str:
    if attribute is not None:
        value = map(filters.make_attrgetter(environment, attribute), value)
    return join_texts(text_of(d), value)


def join_texts(separator: str, value: Any) -> str:
    parts = [text_of(part) for part in as_list(value)]
    spend(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    text, old, new = text_of(value), text_of(old), text_of(new)
    spend(len(text) + text.count(old) * len(new))
    return text.replace(old, new, -1 if count is None else count)


def percent(value: Any, *args: Any, **kwargs: Any) -> str:
    """``"%.2f"|format(x)``: widths are bounded, and so is what the arguments can add up to."""
    text = text_of(value)
    if re.search(r"%[^%a-zA-Z]*(\d{4}|\*)", text):
        raise Refused("a format with such a width")
    holes = text.count("%")
    for arg in (*args, *kwargs.values()):
        size = len(text_of(arg))
        spend(holes * size)
    return text % (kwargs or args)


def _escape(value: Any) -> str:
    """HTML escapes, as plain text: Jinja's own answers with a kind of text that escapes all that it touches later."""
    return html.escape(text_of(value))


def _to_json(value: Any, indent: int | None = None) -> str:
    value = measure(value if isinstance(value, dict | str | int | float | None) else as_list(value))
    if indent is not None and not 0 <= indent <= 16:
        raise Refused("an indent of more than 16")
    return json_text(value, indent=indent)


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    if abs(precision) > 100:
        raise Refused("rounding to more than 100 places")
    return filters.do_round(value, precision, method)  # type: ignore[arg-type]


def _indent(value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    text = text_of(value)
    if isinstance(width, int) and width > MAX_WIDTH:
        raise Refused(f"a width of more than {MAX_WIDTH}")
    spend(text.count("\n") * (width if isinstance(width, int) else len(width)))
    return filters.do_indent(text, width, first, blank)


def _wordwrap(value: Any, width: int = 79, break_long_words: bool = True) -> str:
    if width < 1:
        raise Refused("a line width below 1")
    paragraphs = text_of(value).splitlines()
    # textwrap copies what is left of a word for each line that it breaks off.
    spend(sum(len(word) ** 2 for text in paragraphs for word in text.split() if len(word) > width) // width // 1024)
    wrap = functools.partial(textwrap.wrap, width=width, break_long_words=break_long_words, drop_whitespace=True)
    return "\n".join("\n".join(wrap(paragraph)) for paragraph in paragraphs)


@jinja2.pass_environment
def _sum(environment: jinja2.Environment, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    """As Jinja's own, but a sum of lists copies what it has for each of them, and that is paid for."""
    if attribute is not None:
        value = map(filters.make_attrgetter(environment, attribute), value)
    for item in as_list(value):
        spend(weight(start) + weight(item))
        start = start + item
    return start


def _most_frequent(value: Any) -> list[Any]:
    """All elements that occur most often, in order of first appearance (promptsource's filter of this name)."""
    counts: dict[str, int] = {}
    first: dict[str, Any] = {}
    for item in as_list(value):
        key = json_text(measure(item))
        counts[key] = counts.get(key, 0) + 1
        first.setdefault(key, item)
    most = max(counts.values(), default=0)
    return [first[key] for key, count in counts.items() if count == most]


def _choose(value: Any) -> Any:
    """An element that looks random and depends on nothing but the variables: the same case gives the same prompt."""
    return current_budget().choose(as_list(value))


def _center(value: Any, width: int = 80) -> str:
    check_widths((width,))
    return text_of(value).center(width)


def check_widths(args: Iterable[Any]) -> None:
    if any(isinstance(arg, int) and abs(arg) > MAX_WIDTH for arg in args):
        raise Refused(f"a width of more than {MAX_WIDTH}")


def _batch(value: Any, linecount: int, fill_with: Any = None) -> list[list[Any]]:
    check_widths((linecount,))
    return list(filters.do_batch(value, linecount, fill_with))


def _slice(value: Any, slices: int, fill_with: Any = None) -> list[list[Any]]:
    check_widths((slices,))
    return list(filters.sync_do_slice(as_list(value), slices, fill_with))


_JINJA_FILTERS = words(
    "abs capitalize count d default dictsort first float groupby int items last length list "
    "lower map max min reject rejectattr reverse select selectattr sort string striptags title trim "
    "truncate unique upper urlencode wordcount"
)
# Filters that walk through nested values (to compare them or to make text of them) pay for all that they can reach.
_DEEP = words(
    "capitalize center dictsort groupby lower max min sort string striptags sum title trim truncate "
    "unique upper urlencode wordcount"
)
_OURS: dict[str, Callable[..., Any]] = {
    "batch": _batch,
    "center": _center,
    "choice": _choose,
    "dump": _to_json,
    "e": _escape,
    "escape": _escape,
    "format": percent,
    "indent": _indent,
    "join": _join,
    "most_frequent": _most_frequent,
    "random": _choose,
    "replace": replace,
    "round": _round,
    "safe": text_of,
    "slice": _slice,
    "sum": _sum,
    "tojson": _to_json,
    "wordwrap": _wordwrap,
}
_TESTS = words(
    "boolean callable defined divisibleby eq equalto even false filter float ge gt greaterthan in integer iterable le "
    "lessthan lower lt mapping ne none number odd sameas sequence string test true undefined upper == != > >= < <="
)


def _paid(function: Callable[..., Any], deep: bool) -> Callable[..., Any]:
    """The filter or test, paying for what it reads and for what it returns."""

    @functools.wraps(function)  # copies the mark that tells Jinja to pass the environment or the context
    def run(*args: Any, **kwargs: Any) -> Any:
        spend(STEP)
        for arg in (*args, *kwargs.values()):
            if deep and isinstance(arg, list | tuple | dict):
                measure(arg)
        result = function(*args, **kwargs)
        spend(weight(result))
        return result

    return run


_jinja_filters: dict[str, Any] = filters.FILTERS
_jinja_tests: dict[str, Any] = tests.TESTS
FILTERS: dict[str, Callable[..., Any]] = {
    **{name: _paid(_jinja_filters[name], name in _DEEP) for name in _JINJA_FILTERS},
    **{name: _paid(function, name in _DEEP) for name, function in _OURS.items()},
}
TESTS: dict[str, Callable[..., Any]] = {name: _paid(_jinja_tests[name], True) for name in _TESTS}
