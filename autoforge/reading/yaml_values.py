"""Plain values out of YAML's events, one at a time and without recursion.

libyaml (through PyYAML) turns text into events; this module keeps its own stack. Sources: the YAML 1.2.2 specification,
chapter 10.3 (core schema), and the merge key of YAML 1.1 (``<<``), which configurations still use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from autoforge.errors import escaped
from autoforge.reading.source import Source

MAX_DEPTH = 100
"""Levels of lists and mappings in each other."""
MAX_ALIASED = 1_000_000
"""Nodes (and blocks of 16 characters) that aliases may stand for, all together."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,1000}\Z")
_OCTAL = re.compile(r"0o[0-7]{1,300}\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,300}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_A_NUMBER = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/*'\"`{[(<")
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Document:
    """A value, and where its parts stand: JSON Pointer to (line, column), both from 1. JSON has no places."""

    value: Any
    places: Mapping[str, tuple[int, int]]

    def place(self, pointer: str) -> tuple[int, int] | None:
        """Where a part stands, or the nearest part around it."""
        while pointer not in self.places:
            if not pointer:
                return None
            pointer = pointer.rpartition("/")[0]
        return self.places[pointer]


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being filled."""

    value: Any
    pointer: str
    anchor: str | None
    key: Any = None
    has_key: bool = False
    merges: bool = False
    weight: int = 1
    merged: list[dict[Any, Any]] = field(default_factory=list)


def build_yaml(text: str, source: Source) -> Document:
    """The document's value. Raises BadInput with line and column for every kind of fault."""
    builder = _Builder(source)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"is not valid YAML ({error.problem or error.context})"
        raise source.bad(message, *((mark.line + 1, mark.column + 1) if mark else ())) from None
    except yaml.YAMLError as error:
        raise source.bad(f"is not valid YAML ({_first_line(error)})") from None
    except UnicodeEncodeError:
        raise source.bad("contains a lone surrogate, which is not valid Unicode") from None
    return Document(builder.root, builder.places)


def _first_line(error: yaml.YAMLError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error).split("\n", 1)[0]


class _Builder:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Any = None
        self.places: dict[str, tuple[int, int]] = {}
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliased = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        match event:
            case yaml.ScalarEvent():
                self._add(event, self._scalar(event), 1 + len(event.value) // 16)
            case yaml.MappingStartEvent():
                self._begin(event, {})
            case yaml.SequenceStartEvent():
                self._begin(event, [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._bad(event, "a second document begins here; only one is read")

    def _bad(self, event: Any, message: str) -> Exception:
        return self.source.bad(message, event.start_mark.line + 1, event.start_mark.column + 1)

    def _begin(self, event: Any, value: Any) -> None:
        if event.tag not in (None, "!", f"{_TAG}map", f"{_TAG}seq"):
            raise self._bad(event, f"the tag {_shown(event.tag)} is not allowed; only plain data is read")
        if len(self._stack) >= MAX_DEPTH:
            raise self._bad(event, f"is nested deeper than {MAX_DEPTH} levels")
        if self._expects_key():
            raise self._bad(event, "a key must be text; lists and mappings cannot be keys")
        pointer = self._pointer()
        self._mark(event, pointer)
        self._stack.append(_Open(value, pointer, event.anchor))

    def _end(self) -> None:
        done = self._stack.pop()
        for merged in done.merged:
            for key, value in merged.items():
                done.value.setdefault(key, value)
        self._place(done.value, done.weight)
        if done.anchor:
            self._anchors[done.anchor] = (done.value, done.weight)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise self._bad(event, f"the alias *{event.anchor} has no anchor before it, or lies inside it")
        value, weight = self._anchors[event.anchor]
        self._aliased += weight
        if self._aliased > MAX_ALIASED:
            raise self._bad(event, "the aliases of this document expand to more than it may hold")
        if self._expects_key() and not isinstance(value, str | int | float | bool | None):
            raise self._bad(event, "a key must be text; lists and mappings cannot be keys")
        self._add(event, value, weight)

    def _add(self, event: Any, value: Any, weight: int) -> None:
        if not self._expects_key():
            self._mark(event, self._pointer())
            self._place(value, weight)
        else:
            self._key(event, value)
        anchor = getattr(event, "anchor", None)
        if anchor and isinstance(event, yaml.ScalarEvent):
            self._anchors[anchor] = (value, weight)

    def _key(self, event: Any, value: Any) -> None:
        top = self._stack[-1]
        key = value if isinstance(value, str) else _key_text(event, value)
        # Quoted, it is a key like any other.
        merges = key == "<<" and isinstance(event, yaml.ScalarEvent) and bool(event.implicit[0])
        if key in top.value and not merges:
            raise self._bad(event, f"the key {_shown(key)} appears twice in one mapping")
        top.key, top.has_key, top.merges = key, True, merges

    def _place(self, value: Any, weight: int) -> None:
        if not self._stack:
            self.root = value
            return
        top = self._stack[-1]
        top.weight += weight
        if isinstance(top.value, list):
            top.value.append(value)
            return
        if top.merges:
            top.merged.extend(self._mergeable(top, value))
        else:
            top.value[top.key] = value
        top.has_key = False

    def _mergeable(self, top: _Open, value: Any) -> list[dict[Any, Any]]:
        sources = value if isinstance(value, list) else [value]
        if all(isinstance(source, dict) for source in sources):
            return sources
        raise self.source.bad("a merge key (<<) needs a mapping or a list of them", *self.places[f"{top.pointer}/<<"])

    def _expects_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and not self._stack[-1].has_key

    def _pointer(self) -> str:
        if not self._stack:
            return ""
        top = self._stack[-1]
        part = str(len(top.value)) if isinstance(top.value, list) else escaped(top.key)
        return f"{top.pointer}/{part}"

    def _mark(self, event: Any, pointer: str) -> None:
        self.places[pointer] = (event.start_mark.line + 1, event.start_mark.column + 1)

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if "\x00" in text:
            raise self._bad(event, "contains a NUL character (\\0) in a string")
        tag = event.tag
        if tag is None:
            return self._resolved(event, text) if event.implicit[0] else text
        if tag in ("!", f"{_TAG}str"):
            return text
        if tag not in (f"{_TAG}int", f"{_TAG}float", f"{_TAG}bool", f"{_TAG}null"):
            raise self._bad(event, f"the tag {_shown(tag)} is not allowed; only plain data is read")
        return self._resolved(event, text)

    def _resolved(self, event: Any, text: str) -> Any:
        """A plain scalar's value by the core schema."""
        if text[:1] in _PLAIN and text not in _WORDS:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.match(text):
            return int(text)
        if _OCTAL.match(text):
            return int(text[2:], 8)
        if _HEX.match(text):
            return int(text[2:], 16)
        if _NOT_A_NUMBER.match(text):
            raise self._bad(event, "NaN and infinities cannot be stored; quote the value to mean the text")
        if _FLOAT.match(text):
            number = float(text)
            if not math.isfinite(number):
                raise self._bad(event, "the number is too large")
            return number
        return text


def _key_text(event: Any, value: Any) -> str:
    """Keys are text, as in JSON: a number keeps its spelling."""
    if isinstance(event, yaml.ScalarEvent):
        return str(event.value)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _shown(text: str) -> str:
    text = text.replace(_TAG, "!!")
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
