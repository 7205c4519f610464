"""Tests as promptfoo writes them, before defaults and combinations are worked in.

A draft is one entry of ``tests`` (or ``defaultTest``, or the config of a scenario) with its files read and its
assertions understood. What promptfoo can do and this reader cannot is reported as a notice, and the rest of the test
stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoforge.evaluations.cases import Assertion
from autoforge.evaluations.config.context import Context
from autoforge.evaluations.config.files import is_reference
from autoforge.evaluations.config.spots import Spot
from autoforge.evaluations.scope import PROGRAMS
from autoforge.reading.documents import read_document
from autoforge.reading.paths import MISSING

_NOT_TEXT = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".mp3", ".mp4", ".wav", ".pdf", ".xlsx", ".xls")
_IGNORED_KEYS = ("provider", "providers", "prompts", "assertScoringFunction")
_IGNORED_OPTIONS = ("provider", "rubricPrompt", "prefix", "suffix", "transformVars", "storeOutputAs")


@dataclass(slots=True)
class Draft:
    """``variables`` may hold lists that stand for several cases; ``given`` is an output that the test brings along."""

    spot: Spot
    description: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    assertions: tuple[Assertion, ...] = ()
    threshold: float | None = None
    transform: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    given: Any = MISSING
    expands: bool | None = None
    takes_default_assertions: bool = True


def read_draft(raw: Any, spot: Spot, context: Context, near: Path | None = None) -> Draft:
    """One test. Raises BadInput for what makes no sense."""
    if not isinstance(raw, dict):
        raise spot.bad("a test is a mapping with vars and assert")
    raw = context.dereferenced(raw, spot)
    context.note_keys(raw, "test", spot)
    for key in _IGNORED_KEYS:
        if raw.get(key) is not None:
            context.note(spot.child(key).notice(f"{key} of a test is not supported and was ignored"))
    options = _mapping(raw, "options", spot)
    _note_options(options, spot, context)
    return Draft(
        spot,
        description=_text(raw, "description", spot),
        variables=_variables(raw.get("vars"), spot.child("vars"), context, near),
        assertions=context.assertions(raw.get("assert"), spot.child("assert"), near),
        threshold=threshold(raw.get("threshold"), spot, "threshold"),
        transform=_transform(options, spot, context),
        metadata=_mapping(raw, "metadata", spot),
        given=MISSING if raw.get("providerOutput") is None else raw["providerOutput"],
        expands=None if options.get("disableVarExpansion") is None else not options["disableVarExpansion"],
        takes_default_assertions=not options.get("disableDefaultAsserts", False),
    )


def number(value: Any, spot: Spot, *keys: str) -> float | None:
    """A finite number, also written as text; None stays None. BadInput points at ``keys`` below ``spot``."""
    if value is None or value == "":
        return None
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            found = math.nan
        if math.isfinite(found):
            return found
    raise spot.child(*keys).bad("must be a number")


def threshold(value: Any, spot: Spot, *keys: str) -> float | None:
    """The score that a test must reach, 0 to 1: no score is ever beyond. Errors as in ``number``."""
    found = number(value, spot, *keys)
    if found is not None and not 0 <= found <= 1:
        raise spot.child(*keys).bad("the threshold of a test is a score from 0 to 1")
    return found


def _transform(options: Mapping[str, Any], spot: Spot, context: Context) -> Any:
    if not options:
        return None
    key = "transform" if options.get("transform") is not None else "postprocess"
    return context.transform(options.get(key), spot.child("options", key))


def _note_options(options: Mapping[str, Any], spot: Spot, context: Context) -> None:
    if not options:
        return
    context.note_keys(options, "test_options", spot.child("options"))
    for key in _IGNORED_OPTIONS:
        if options.get(key) is not None:
            context.note(spot.child("options", key).notice(f"the option {key} is not supported and was ignored"))


def _variables(raw: Any, spot: Spot, context: Context, near: Path | None) -> dict[str, Any]:
    """The variables; a text or a list names files whose mappings are put together."""
    if raw is None:
        return {}
    if isinstance(raw, dict):
        return {
            key: _read_variable(value, spot.child(key), context, near) if is_reference(value) else value
            for key, value in raw.items()
        }
    names = [raw] if isinstance(raw, str) else raw
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise spot.bad("vars must be a mapping of names to values, or names of files")
    merged: dict[str, Any] = {}
    for name in names:
        for path in context.find(name, spot, near):
            document = read_document(context.source(path))
            if not isinstance(document.value, dict):
                raise Spot(context.source(path).name, "", document).bad("a file of variables must hold a mapping")
            merged.update(document.value)
    return merged


def _read_variable(value: str, spot: Spot, context: Context, near: Path | None) -> Any:
    """What a ``file://`` text names: the file's content, for several files a list of contents."""
    if value.rpartition(":")[0].endswith(PROGRAMS) or value.endswith((*PROGRAMS, *_NOT_TEXT)):
        context.note(spot.notice(f"{value} is not text and was not read; the variable keeps its name"))
        return value
    contents = [context.content(path) for path in context.find(value, spot, near)]
    return (contents[0] if len(contents) == 1 else contents) if contents else value


def _mapping(raw: Mapping[str, Any], key: str, spot: Spot) -> dict[str, Any]:
    value = raw.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise spot.child(key).bad(f"{key} must be a mapping")
    return value


def _text(raw: Mapping[str, Any], key: str, spot: Spot) -> str | None:
    value = raw.get(key)
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int | float):
        return str(value)
    raise spot.child(key).bad(f"{key} must be a text")
