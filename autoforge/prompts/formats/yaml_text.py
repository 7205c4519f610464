"""JSON values as YAML that people like to read: texts of several lines as blocks, everything else unmistakable.

YAML has too many ways to take a text for something else (``no``, ``1e3``, ``2024-01-01``), and readers differ. So a
text is written bare only when it is plain words, as a block only when no reader can change its line ends, and in
double quotes otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

_PLAIN_WORDS = re.compile(r"[A-Za-z][A-Za-z0-9_/.-]*(?: [A-Za-z0-9_/.-]+)*")
_RESERVED = frozenset("true false null yes no on off y n".split())  # noqa: SIM905
# Printable, no line end but \n, no blank at the end of a line, no blank or line end at the start.
_BLOCK = re.compile(r"[^\s\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]|[ \t]\n|[ \t]\Z")
_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Base):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


_Dumper.add_representer(str, _represent_text)


def yaml_text(value: Any) -> str:
    """The value as one YAML document, without markers."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=2**30, indent=2
    )
    return text


def documents(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The documents of a stream: the line that each begins at, and its text.

    A line that begins with ``---`` at its very start always separates documents: whatever is inside of a text is
    indented or quoted. Directives (``%YAML 1.2``) belong to the document behind the ``---`` that follows them.
    """
    start = 1
    gathered: list[str] = []
    for number, line in lines:
        is_marker = line == "---" or line.startswith(("--- ", "---\t"))
        if is_marker and _is_prologue(gathered):
            gathered.append(line)
            continue
        if is_marker or line == "...":
            yield from _document(start, gathered)
            start, gathered = number, [line[3:]]
            continue
        if not gathered:
            start = number
        gathered.append(line)
    yield from _document(start, gathered)


def _document(start: int, gathered: list[str]) -> Iterator[tuple[int, str]]:
    if any(part and not part.isspace() for part in gathered):
        yield start, "\n".join(gathered) + "\n"


def _is_prologue(gathered: list[str]) -> bool:
    """Whether there are only directives, with comments and blank lines, so far."""
    parts = [part for part in gathered if part and not part.isspace()]
    return any(part[0] == "%" for part in parts) and all(part[0] in "%#" for part in parts)


def _style(text: str) -> str | None:
    if _PLAIN_WORDS.fullmatch(text) and text.lower() not in _RESERVED and len(text) <= 200:
        return None
    if "\n" in text and _BLOCK.match(text) and not _UNSAFE.search(text):
        return "|"
    return '"'
