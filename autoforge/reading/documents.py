"""JSON, JSON Lines and YAML as plain values, refusing what could not be stored or shown again.

JSON is read by msgspec (strict: RFC 8259). Refused on top of what the grammar refuses: nesting deeper than
``MAX_DEPTH``, numbers that no double or 1,000-digit integer holds, and U+0000 in strings. A repeated key keeps its
last value, as JavaScript does.

YAML is built from the parser's events and not by a loader, which keeps three promises cheaply: nothing recurses
(nesting is bounded), aliases are shared and their expansion is counted before anyone walks it, and only plain data
comes out (tags that would build objects are refused). Scalars follow the YAML 1.2 core schema, as promptfoo's reader
does: ``Yes`` is text, ``2024-01-01`` is text, ``010`` is ten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from autoforge.reading.source import MAX_STREAM, MAX_WHOLE, Source
from autoforge.reading.text import lines, read_text
from autoforge.reading.yaml_values import MAX_DEPTH, Document, build_yaml

__all__ = [
    "MAX_DEPTH",
    "Document",
    "holds_nul",
    "iterate_jsonl",
    "parse_json",
    "parse_yaml",
    "read_document",
    "read_json",
    "read_jsonl",
    "read_yaml",
]

MAX_ROWS = 10_000_000
MAX_DIGITS = 1_000

_BYTE = re.compile(r" ?\(byte (\d+)\)")
_LONE_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]")
_NESTS = (dict, list)
_decoder = msgspec.json.Decoder()


def read_json(source: Source, *, limit: int = MAX_WHOLE) -> Any:
    """The one JSON value of a file. Raises BadInput with line and column, and TooLarge."""
    return parse_json(read_text(source, limit=limit, guess=False), source)


def read_yaml(source: Source, *, limit: int = MAX_WHOLE) -> Document:
    """The one YAML document of a file and the places of its values. Raises BadInput with line and column, TooLarge."""
    return parse_yaml(read_text(source, limit=limit, guess=False), source)


def read_document(source: Source, *, limit: int = MAX_WHOLE) -> Document:
    """JSON or YAML by the file's ending; anything that does not end in ``.json`` is read as YAML."""
    if source.suffix == ".json":
        return Document(read_json(source, limit=limit), {})
    return read_yaml(source, limit=limit)


def read_jsonl(source: Source, *, limit: int = MAX_WHOLE) -> list[Any]:
    """All values of a JSON Lines file."""
    return [value for _, value in iterate_jsonl(source, limit=limit)]


def iterate_jsonl(source: Source, *, limit: int = MAX_STREAM) -> Iterator[tuple[int, Any]]:
    """Line numbers (from 1) and values, streamed; blank lines are skipped."""
    for number, line in islice(lines(source, limit=limit, guess=False), MAX_ROWS):
        if line and not line.isspace():
            yield number, parse_json(line, source, line=number)


def parse_json(text: str, source: Source, *, line: int | None = None) -> Any:
    """One JSON value. ``line`` is where the text stands when it is one line of a file. Raises BadInput."""
    try:
        value = _decoder.decode(text)
    except msgspec.DecodeError as error:
        raise _malformed(text, source, line, str(error)) from None
    except UnicodeEncodeError:
        raise source.bad("contains a lone surrogate, which is not valid Unicode", line) from None
    except RecursionError:
        raise source.bad(f"is nested deeper than {MAX_DEPTH} levels", line) from None
    except (ValueError, OverflowError):
        raise source.bad(f"contains a number with more than {MAX_DIGITS:,} digits", line) from None
    if "\\u0000" in text and holds_nul(value):
        raise source.bad("contains a NUL character (\\u0000) in a string", line)
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise source.bad(f"is nested deeper than {MAX_DEPTH} levels", line)
    return value


def parse_yaml(text: str, source: Source) -> Document:
    """One YAML document. Raises BadInput with line and column."""
    return build_yaml(text, source)


def _malformed(text: str, source: Source, line: int | None, message: str) -> Exception:
    found = _BYTE.search(message)
    message = _BYTE.sub("", message).removeprefix("JSON is malformed: ")
    if not text.strip():
        return source.bad("is empty; a JSON value was expected", line)
    if "surrogate" in message or _LONE_SURROGATE.search(text):
        return source.bad("contains a lone surrogate (half of a character), which is not valid Unicode", line)
    if "out of range" in message:
        return source.bad(f"contains a number that is too large (over 1.8e308, or {MAX_DIGITS:,} digits)", line)
    if "truncated" in message:
        return source.bad("is not valid JSON (it ends too early)", line)
    if not found:
        return source.bad(f"is not valid JSON ({message})", line)
    before = text.encode("utf-8", "surrogatepass")[: int(found[1])].decode("utf-8", "ignore")
    row = before.count("\n")
    column = len(before) - before.rfind("\n")
    return source.bad(f"is not valid JSON ({message})", (line or 1) + row, column)


def _depth(value: Any) -> int:
    """Lists and mappings in each other, level by level and so without recursion; stops counting beyond the bound."""
    depth = 0
    level = [value] if isinstance(value, _NESTS) else []
    while level and depth <= MAX_DEPTH:
        inside = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for children in inside for child in children if isinstance(child, _NESTS)]
        depth += 1
    return depth


def holds_nul(value: Any) -> bool:
    """Whether a text or a key anywhere in a JSON value holds U+0000."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and "\x00" in item:
            return True
        if isinstance(item, Mapping):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item
    return False
