"""The keyword `format` of JSON Schema, by the rules of ajv-formats, which promptfoo asserts.

Formats that are not listed here are not checked.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.patterns import compile_pattern

_DATE = r"\d{4}-\d\d-\d\d"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
_ZONE = r"(?:[zZ]|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_IN_URI = r"(?:[!#$&-;=?-Z\[\]_a-z~]|%[0-9A-Fa-f]{2})"
_PATTERNS = {
    "time": _TIME + _ZONE,
    "iso-time": f"{_TIME}{_ZONE}?",
    "duration": r"P(?!$)(?:(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+S)?)?|\d+W)",
    "email": rf"(?i:{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL})",
    "hostname": rf"(?i:(?=.{{1,253}}\.?$){_LABEL}(?:\.{_LABEL})*\.?)",
    "uuid": r"(?i:(?:urn:uuid:)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})",
    "uri": rf"[A-Za-z][A-Za-z0-9+.-]*:{_IN_URI}+",
    "url": rf"(?i:https?|ftp)://{_IN_URI}+",
    "uri-reference": f"{_IN_URI}*",
    "json-pointer": "(?:/(?:[^~/]|~[01])*)*",
}
_COMPILED = {name: re.compile(pattern, re.ASCII) for name, pattern in _PATTERNS.items()}
_WITH_DATE = {
    "date": re.compile(_DATE, re.ASCII),
    "date-time": re.compile(rf"{_DATE}[tT\s]{_TIME}{_ZONE}", re.ASCII),
    "iso-date-time": re.compile(rf"{_DATE}[tT\s]{_TIME}{_ZONE}?", re.ASCII),
}


@lru_cache(maxsize=1)
def format_checker() -> Any:
    """The checker for validators of the library jsonschema. Values that are no texts fit every format."""
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())
    for name, pattern in _COMPILED.items():
        checker.checks(name)(_texts(_matches(pattern)))
    for name, pattern in _WITH_DATE.items():
        checker.checks(name, raises=ValueError)(_texts(_dated(pattern)))
    checker.checks("ipv4", raises=ValueError)(_texts(lambda text: bool(ipaddress.IPv4Address(text))))
    checker.checks("ipv6", raises=ValueError)(_texts(lambda text: not ipaddress.IPv6Address(text).scope_id))
    checker.checks("regex", raises=BadInput)(_texts(lambda text: compile_pattern(text) is not None))
    return checker


Test = Callable[[str], bool]


def _texts(test: Test) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or test(value)


def _matches(pattern: re.Pattern[str]) -> Test:
    return lambda text: pattern.fullmatch(text) is not None


def _dated(pattern: re.Pattern[str]) -> Test:
    return lambda text: pattern.fullmatch(text) is not None and bool(date.fromisoformat(text[:10]))
