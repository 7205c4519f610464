"""How prompts and their versions are called: ``support/answer-mail``, ``support/answer-mail@production``, ``...@3``.

A name is a path of folders. It never contains ``@``, so that the part behind it can only mean a version: digits are a
version number, anything else is a label or a branch.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from autoforge.errors import BadInput

MAIN = "main"
"""The branch that every prompt has, and that a reference means which names no other."""
MAX_NAME = 200
MAX_HEAD = 100
_HEAD = re.compile(r"[\w][\w.+-]*")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_NOT_SLUG = re.compile(r"[^\w]+")


@dataclass(frozen=True, slots=True)
class Reference:
    """A prompt, and which of its versions: a ``number``, a ``head`` (label or branch), or neither: the main branch."""

    name: str
    number: int | None = None
    head: str | None = None


def parse_name(text: str, *, at: str = "/name") -> str:
    """The name itself, if it is one. Raises BadInput saying which rule it breaks."""
    problem = _problem_of(text)
    if problem:
        raise BadInput.at(at, problem)
    return text


def folder_of(name: str) -> str:
    """The folders of a name with the slash behind them: ``a/b/`` of ``a/b/c``, "" of ``c``."""
    return name[: name.rfind("/") + 1]


def parse_reference(text: str, *, at: str = "/name") -> Reference:
    """``NAME``, ``NAME@label`` or ``NAME@3``. Raises BadInput."""
    name, separator, version = text.partition("@")
    parse_name(name, at=at)
    if not separator:
        return Reference(name)
    if _NUMBER.fullmatch(version):
        return Reference(name, number=int(version))
    return Reference(name, head=parse_head_name(version, at=at))


def parse_head_name(text: str, *, at: str = "/label") -> str:
    """The name of a label or branch, if it is one. Raises BadInput."""
    if not text or len(text) > MAX_HEAD:
        raise BadInput.at(at, f"A label or branch has 1 to {MAX_HEAD} characters.")
    if text.isdecimal():
        raise BadInput.at(at, f"{text!r} would read as a version number; a label or branch needs a letter.")
    if not _HEAD.fullmatch(text):
        raise BadInput.at(at, f"A label or branch is made of letters, digits and . _ + -, not {text!r}.")
    return text


def parse_label(text: str, *, at: str = "/label") -> str:
    """The name of a label, if it is one. Raises BadInput.

    A reference without a label means the branch ``main``; a label of that name would be taken for it.
    """
    if text == MAIN:
        raise BadInput.at(at, f"{MAIN!r} is the branch that every prompt has; give the label another name.")
    return parse_head_name(text, at=at)


def slug_of(text: str, *, fallback: str = "prompt") -> str:
    """A name segment out of a title: lower case, letters of all scripts kept, everything else a hyphen."""
    text = unicodedata.normalize("NFKC", text).casefold()
    slug = _NOT_SLUG.sub("-", text).strip("-_")[:80].strip("-_")
    return slug or fallback


class UniqueNames:
    """Hands out names, numbering the ones that were given before: ``poet``, ``poet-2``, ``poet-3``."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def take(self, name: str) -> str:
        name = free = name[: MAX_NAME - 8].rstrip(" /-")
        count = self._given.get(name, 0) + 1
        while count > 1 and (free := f"{name}-{count}") in self._given:
            count += 1
        self._given[name] = count  # the next one counts on from here
        self._given.setdefault(free, 1)
        return free


def _problem_of(text: str) -> str | None:
    if not text or len(text) > MAX_NAME:
        return f"A name has 1 to {MAX_NAME} characters."
    if "@" in text:
        return "A name has no @: what follows it names a version."
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text):
        return "A name has no control characters or line breaks."
    for segment in text.split("/"):
        if not segment:
            return "Folders in a name are separated by one /, with nothing empty before, between or after."
        if segment != segment.strip() or segment in (".", ".."):
            return f"{segment!r} is no good folder or name: no spaces around it, and neither . nor .. alone."
    return None
