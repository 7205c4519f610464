"""Assertions on XML and HTML.

XML is read by expat, event by event: no tree, no limit on depth, no network. A document type with declarations of
its own is not accepted, so that no entity is ever expanded. `requiredElements` are dot-separated paths from the
root; `@_name` as the last part asks for an attribute. HTML is judged by its tags: `is-html` wants nothing but
balanced HTML elements, `contains-html` wants two signs of HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from autoforge.evaluations.assertions.kinds import (
    Kind,
    Settings,
    Subject,
    Verdict,
    check_keys,
    no_value,
    wrong_value,
    yes_or_no,
)

# ---- XML ----


class _Declaration(Exception):
    """The document declares entities, elements or attributes."""


class _Finder:
    """Notes which of the wanted paths occur, without keeping the path of the current element as text."""

    def __init__(self, wanted: list[tuple[str, ...]]) -> None:
        self.wanted = wanted
        self.reached = [0] * len(wanted)
        self.found: set[int] = set()
        self.depth = 0

    def start(self, name: str, attributes: list[str]) -> None:
        for index, path in enumerate(self.wanted):
            if self.reached[index] == self.depth < len(path) and path[self.depth] == name:
                self.reached[index] += 1
                rest = path[self.depth + 1 :]
                if not rest or (len(rest) == 1 and rest[0] in {f"@_{key}" for key in attributes[::2]}):
                    self.found.add(index)
        self.depth += 1

    def end(self, _name: str) -> None:
        self.depth -= 1
        for index, reached in enumerate(self.reached):
            self.reached[index] = min(reached, self.depth)


def _paths_in(text: str, wanted: list[tuple[str, ...]]) -> set[int] | str:
    """Which of the wanted paths a well-formed document has, or the reason why the text is none."""
    finder = _Finder(wanted)
    parser = expat.ParserCreate("utf-8")
    parser.ordered_attributes = True
    parser.buffer_text = True
    parser.StartElementHandler = finder.start
    parser.EndElementHandler = finder.end
    parser.EntityDeclHandler = parser.ElementDeclHandler = parser.AttlistDeclHandler = _refuse
    try:
        parser.Parse(text.encode("utf-8"), True)
    except _Declaration:
        return "documents with declarations of their own (a DTD) are not supported"
    except (expat.ExpatError, UnicodeEncodeError) as problem:
        return str(problem)
    return finder.found


def _refuse(*_declaration: Any) -> None:
    raise _Declaration


def _elements(value: Any, _settings: Settings) -> list[str]:
    if value is None or value == "":
        return []
    if isinstance(value, dict):
        check_keys(value, ("requiredElements",), "/value")
    wanted = value.get("requiredElements", []) if isinstance(value, dict) else None
    if not isinstance(wanted, list) or not all(isinstance(item, str) and item for item in wanted):
        raise wrong_value("the value must be an object with requiredElements, a list of paths such as root.child")
    return wanted


def _split(elements: list[str]) -> list[tuple[str, ...]]:
    return [tuple(element.split(".")) for element in elements]


def _is_xml(elements: list[str], subject: Subject, _threshold: float | None) -> Verdict:
    found = _paths_in(subject.text, _split(elements))
    if isinstance(found, str):
        return yes_or_no(False, f"the output is not XML: {found}")
    return _required("the output is XML", elements, found)


def _contains_xml(elements: list[str], subject: Subject, _threshold: float | None) -> Verdict:
    wanted = _split(elements)
    found: set[int] = set()
    fragments = 0
    for fragment in _fragments(subject.text):
        paths = _paths_in(fragment, wanted)
        if not isinstance(paths, str):
            fragments += 1
            found |= paths
    if not fragments:
        return yes_or_no(False, "the output contains no XML")
    return _required("the output contains XML", elements, found)


def _required(claim: str, elements: list[str], found: set[int]) -> Verdict:
    missing = [element for index, element in enumerate(elements) if index not in found]
    if missing:
        return yes_or_no(False, f"{claim} without the required elements {', '.join(missing)}")
    return yes_or_no(True, f"{claim} with the required elements {', '.join(elements)}" if elements else claim)


@dataclass(slots=True)
class _Tag:
    name: str
    start: int
    end: int
    opens: bool
    closes: bool


# No part of a tag may contain "<", so that a search that fails never reads further than the next one; possessive, so
# that it does not try again how much of a long word is the name.
_TAG = re.compile(r"<(?P<slash>/?)(?P<name>[^\W\d][\w:.\-]*+)(?P<rest>(?:[^<>\"']|\"[^<\"]*\"|'[^<']*')*+)>")
_DECLARATION = re.compile(r"<[!?][^<>]*>")
_BLOCKS = {"<!--": "-->", "<![CDATA[": "]]>"}


def _tags(text: str) -> Iterator[_Tag]:
    """The tags of a text; comments and declarations come as tags without a name, a bare "<" is skipped."""
    position, without_end = 0, set[str]()
    while (position := text.find("<", position)) >= 0:
        tag = _block(text, position, without_end) or _declaration(text, position) or _tag(text, position)
        if tag is not None:
            yield tag
        position = tag.end if tag else position + 1


def _block(text: str, position: int, without_end: set[str]) -> _Tag | None:
    for opening, closing in _BLOCKS.items():
        if text.startswith(opening, position) and opening not in without_end:
            end = text.find(closing, position + len(opening))
            if end >= 0:
                return _Tag("", position, end + 3, False, False)
            without_end.add(opening)
    return None


def _declaration(text: str, position: int) -> _Tag | None:
    match = _DECLARATION.match(text, position)
    return _Tag("", position, match.end(), False, False) if match else None


def _tag(text: str, position: int) -> _Tag | None:
    match = _TAG.match(text, position)
    if match is None:
        return None
    closes = bool(match["slash"])
    return _Tag(match["name"], position, match.end(), not closes, closes or match["rest"].rstrip().endswith("/"))


def _fragments(text: str) -> list[str]:
    """The largest balanced elements of a text. A closing tag that fits nothing starts the search anew."""
    spans: list[tuple[int, int]] = []
    stack: list[_Tag] = []
    for tag in _tags(text):
        if not tag.name:
            continue
        if tag.opens and tag.closes:
            spans.append((tag.start, tag.end))
        elif tag.opens:
            stack.append(tag)
        elif stack and stack[-1].name == tag.name:
            spans.append((stack.pop().start, tag.end))
        else:
            stack.clear()
    largest: list[str] = []
    covered = -1
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= covered:
            largest.append(text[start:end])
            covered = end
    return largest


# ---- HTML ----

_NAMES_VOID = "area base br col embed hr img input link meta param source track wbr"
_NAMES_OPTIONAL_END = "html head body p li dt dd tr td th thead tbody tfoot option optgroup colgroup rt rp"
_NAMES_OTHER = (
    "a abbr acronym address article aside audio b bdi bdo big blockquote button canvas caption center "
    "cite code data datalist del details dfn dialog dir div dl em fieldset figcaption figure font footer "
    "form frame frameset h1 h2 h3 h4 h5 h6 header hgroup i iframe ins kbd label legend main map mark menu "
    "meter nav noframes noscript object ol output picture pre progress q ruby s samp search section "
    "select slot small span strike strong sub summary sup table template time tt u ul var video"
)
_VOID = frozenset(_NAMES_VOID.split())
_OPTIONAL_END = frozenset(_NAMES_OPTIONAL_END.split())
_RAW = frozenset(("script", "style", "textarea", "title"))
_FOREIGN = frozenset(("svg", "math"))
_KNOWN = _VOID | _OPTIONAL_END | _RAW | _FOREIGN | frozenset(_NAMES_OTHER.split())
_SIGNS = (
    (
        re.compile(
            r"<(?:html|head|body|div|span|p|a|img|h[1-6]|ul|ol|li|table|tr|td|th|form|input|button|br|hr)\b", re.I
        ),
        2,
    ),
    (re.compile(r"<!doctype\s+html", re.IGNORECASE), 2),
    (re.compile(r"<[a-zA-Z][\w-]*(?:\s[^<>]*)?>"), 1),
    (re.compile(r"</[a-zA-Z][\w-]*\s*>"), 1),
    (re.compile(r"<[a-zA-Z][\w-]*(?:\s[^<>]*)?/>"), 1),
    (re.compile(r"&(?:[a-zA-Z]{2,32}|#\d{1,7}|#x[0-9a-fA-F]{1,6});"), 1),
    (re.compile(r"\s[a-zA-Z-]{1,40}\s?=\s?[\"']"), 1),
)


def _contains_html(_value: None, subject: Subject, _threshold: float | None) -> Verdict:
    signs = sum(weight for pattern, weight in _SIGNS if pattern.search(subject.text))
    comment = subject.text.find("<!--")
    signs += comment >= 0 and subject.text.find("-->", comment) > 0
    return yes_or_no(signs >= 2, f"the output contains {'HTML' if signs >= 2 else 'no HTML'}")


def _is_html(_value: None, subject: Subject, _threshold: float | None) -> Verdict:
    problem = _html_problem(subject.text.strip())
    return yes_or_no(problem is None, "the output is HTML" if problem is None else f"the output is not HTML: {problem}")


def _html_problem(text: str) -> str | None:
    """Why a text is not HTML and nothing else, or None."""
    if not text.startswith("<") or not text.endswith(">"):
        return "there is text outside the elements"
    if text[:5].lower() == "<?xml":
        return "it is an XML document"
    stack = _Open()
    position = elements = 0
    raw: str | None = None
    for tag in _tags(text):
        name = tag.name.lower()
        if raw is not None and not (name == raw and not tag.opens):
            continue
        if not stack and text[position : tag.start].strip():
            return "there is text outside the elements"
        position = tag.end
        if not name:
            continue
        elements += 1
        problem = _open(name, tag, stack) if tag.opens else _close(name, stack)
        if problem:
            return problem
        raw = name if tag.opens and not tag.closes and name in _RAW else None
    if unclosed := [name for name in stack if name not in _OPTIONAL_END]:
        return f"<{unclosed[-1]}> is never closed"
    if text[position:].strip() and not stack:
        return "there is text outside the elements"
    return None if elements else "there are no elements"


class _Open(list[str]):
    """The names of the open elements; ``foreign`` counts those that may contain other names, such as svg."""

    foreign = 0

    def append(self, name: str) -> None:
        self.foreign += name in _FOREIGN
        super().append(name)

    def close(self) -> None:
        self.foreign -= self.pop() in _FOREIGN


def _open(name: str, tag: _Tag, stack: _Open) -> str | None:
    if name not in _KNOWN and "-" not in name and not stack.foreign:
        return f"<{name}> is not an HTML element"
    foreign = name in _FOREIGN or stack.foreign > 0
    if name not in _VOID and not (tag.closes and (foreign or "-" in name)):
        stack.append(name)
    return None


def _close(name: str, stack: _Open) -> str | None:
    if name in _VOID or name == "p":
        if stack and stack[-1] == name:
            stack.close()
        return None
    while stack and stack[-1] != name and stack[-1] in _OPTIONAL_END:
        stack.close()
    if not stack or stack[-1] != name:
        return f"</{name}> closes an element that is not open"
    stack.close()
    return None


KINDS = (
    Kind("is-xml", _is_xml, _elements),
    Kind("contains-xml", _contains_xml, _elements),
    Kind("is-html", _is_html, no_value),
    Kind("contains-html", _contains_html, no_value),
)
