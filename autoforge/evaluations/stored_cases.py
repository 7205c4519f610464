"""Test cases and outcomes as the database keeps them.

A case is stored as canonical JSON (sorted keys, no white space), so that equal cases have equal texts and equal hashes
whatever order they were written in. The hash leaves the case's name out: a name is a label, and a case that is only
renamed stays the case that earlier runs were scored on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.case_json import case_from_json, case_to_json
from autoforge.evaluations.cases import Case, Outcome
from autoforge.reading.documents import holds_nul

HASH_SCHEME = "sha256:"

CODES = {Outcome.ERROR: 0, Outcome.FAIL: 1, Outcome.PASS: 2}
"""What ``test_results.outcome`` holds: ascending order shows problems first."""
OUTCOMES = {code: outcome for outcome, code in CODES.items()}

_canonical = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), default=lambda value: _plain(value)
)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"a {type(value).__name__} is not a JSON value")


def case_content(case: Case) -> str:
    """The canonical JSON of everything but the name. BadInput for what no database and no JSON can hold."""
    document = case_to_json(case)
    del document["name"]
    try:
        text = _canonical.encode(document)
    except RecursionError:
        raise BadInput(f"The case {case.name[:80]!r} is nested too deeply to be stored.") from None
    except (TypeError, ValueError) as problem:
        raise BadInput(f"The case {case.name[:80]!r} cannot be stored: {problem}.") from None
    if "\\u0000" in text and holds_nul(document):
        raise BadInput(f"The case {case.name[:80]!r} holds the character U+0000, which cannot be stored.")
    return storable(text, "A case")


def content_hash(content: str) -> str:
    return HASH_SCHEME + hashlib.sha256(content.encode()).hexdigest()


def case_document(content: str) -> dict[str, Any]:
    """The stored content as a mapping: vars, expected, assert (type, value, ...), threshold, metadata."""
    document: dict[str, Any] = json.loads(content)
    return document


def case_from(name: str, content: str) -> Case:
    """The case that was stored."""
    return case_from_json({"name": name, **case_document(content)})


def storable(text: str, what: str) -> str:
    """The text itself. BadInput for U+0000 and lone surrogates, which databases refuse."""
    if "\x00" in text:
        raise BadInput(f"{what} holds the character U+0000, which cannot be stored.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadInput(f"{what} holds half of a surrogate pair, which cannot be stored.") from None
    return text
