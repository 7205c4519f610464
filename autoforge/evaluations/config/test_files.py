"""Files of tests in promptfoo's shapes: YAML, JSON and JSON Lines hold tests, CSV holds a test per row.

Columns of a CSV are variables, but for those that promptfoo reserves: ``__expected`` and ``__expected1`` ... are
assertions in short form, ``__description``, ``__metric``, ``__threshold``, ``__providerOutput``, ``__metadata:NAME``
(``__metadata:NAME[]`` splits at commas) and ``__config:__expectedN:KEY`` set what their names say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.assertions import expand_short
from autoforge.evaluations.config.context import Context
from autoforge.evaluations.config.drafts import Draft, number, read_draft, threshold
from autoforge.evaluations.config.spots import Spot
from autoforge.evaluations.near_words import near_word
from autoforge.reading import Source
from autoforge.reading.documents import Document, iterate_jsonl, read_document
from autoforge.reading.paths import MISSING
from autoforge.reading.tables import Row, read_table

MAX_NESTING = 5

_EXPECTED = re.compile(r"__expected(\d*)\Z")
_CONFIG = re.compile(r"__config:(__expected\d*):(\w+)\Z")
_SINGLE_UNDERSCORE = re.compile(r"_(expected\d*|prefix|suffix|description|providerOutput|metric|threshold)\Z")
_IGNORED = ("__prefix", "__suffix", "__provider", "__evaluateOptions")
_KNOWN = ("__expected", "__description", "__metric", "__threshold", "__providerOutput")
_METADATA = "__metadata:"


def read_tests(raw: Any, spot: Spot, context: Context, near: Path | None = None) -> Iterator[Draft]:
    """The tests of a list, a single test, or a text that names files. Raises BadInput."""
    if isinstance(raw, str):
        yield from _referenced(raw, spot, context, near)
    elif isinstance(raw, dict):
        yield from _entry(raw, spot, context, near)
    elif isinstance(raw, list):
        for index, item in enumerate(raw):
            at = spot.child(index)
            yield from (
                _referenced(item, at, context, near) if isinstance(item, str) else _entry(item, at, context, near)
            )
    elif raw is not None:
        raise spot.bad("tests must be a list of tests or the name of a file")


def _entry(raw: Any, spot: Spot, context: Context, near: Path | None) -> Iterator[Draft]:
    if isinstance(raw, dict) and "path" in raw and "vars" not in raw and "assert" not in raw:
        context.note(spot.notice("tests that a program generates are not supported and were left out"))
        return
    yield read_draft(raw, spot, context, near)


def _referenced(reference: str, spot: Spot, context: Context, near: Path | None) -> Iterator[Draft]:
    for path in context.find(reference, spot, near):
        if path.resolve() in context.reading or len(context.reading) >= MAX_NESTING:
            raise spot.bad(f"{reference} includes itself, or is included too deeply")
        context.reading.append(path.resolve())
        try:
            yield from _file(path, spot, context)
        finally:
            context.reading.pop()


def _file(path: Path, spot: Spot, context: Context) -> Iterator[Draft]:
    source = context.source(path)
    match source.suffix:
        case ".yaml" | ".yml" | ".json":
            yield from _document(read_document(source), source, context, path.parent)
        case ".jsonl" | ".ndjson":
            for line, value in iterate_jsonl(source):
                yield read_draft(value, Spot(source.name, fixed_line=line), context, path.parent)
        case ".csv" | ".tsv":
            yield from _table(source, context)
        case _:
            context.note(spot.notice(f"{source.name} holds no tests that can be read here and was left out"))


def _document(document: Document, source: Source, context: Context, near: Path) -> Iterator[Draft]:
    value, spot = document.value, Spot(source.name, "", document)
    if isinstance(value, dict) and "tests" in value:
        value, spot = value["tests"], spot.child("tests")
    if isinstance(value, str):
        raise spot.bad("a file of tests must hold a list of tests")
    yield from read_tests(value, spot, context, near)


def _table(source: Source, context: Context) -> Iterator[Draft]:
    table = read_table(source)
    spot = Spot(source.name, fixed_line=1)
    for notice in table.notices:
        context.note(spot.notice(notice))
    for column in table.columns:
        _check_column(column, spot, context)
    for row in table.strict():
        yield _row(row, Spot(source.name, fixed_line=row.line), context)


def _check_column(column: str, spot: Spot, context: Context) -> None:
    """Nothing that is called as a reserved column is lost in silence: a slip is refused, all else is reported."""
    if _SINGLE_UNDERSCORE.match(column):
        raise spot.bad(f"the column {column!r} begins with one underscore; did you mean '_{column}'?")
    if not column.startswith("__") or column in _KNOWN or _EXPECTED.match(column) or _CONFIG.match(column):
        return
    if column.startswith("__metadata"):
        if not column.startswith(_METADATA) or not _metadata_name(column):
            context.note(spot.notice(f"the column {column!r} names no metadata and was ignored; write __metadata:NAME"))
    elif column.startswith(_IGNORED) or (near := near_word(column, _KNOWN)) is None:
        context.note(spot.notice(f"the column {column!r} is not supported and was ignored"))
    else:
        raise spot.bad(f"there is no reserved column {column!r}; did you mean {near!r}?")


def _metadata_name(column: str) -> str:
    return column.removeprefix(_METADATA).removesuffix("[]")


def _row(row: Row, spot: Spot, context: Context) -> Draft:
    draft = Draft(spot)
    expected: dict[str, str] = {}
    settings: dict[str, dict[str, Any]] = {}
    for column, cell in row.cells.items():
        if not column.startswith("__"):
            draft.variables[column] = cell
        elif _EXPECTED.match(column):
            expected[column] = cell
        elif found := _CONFIG.match(column):
            settings.setdefault(found[1], {})[found[2]] = cell
        else:
            _reserved(draft, column, cell, spot)
    metric = row.cells.get("__metric") or None
    assertions = []
    for column, cell in expected.items():
        if cell.strip():
            raw = _expected(cell, metric, settings.get(column) or settings.get(f"{column}1") or {}, spot)
            assertions.append(context.assertion(raw, spot.child(column)))
    draft.assertions = tuple(assertions)
    return draft


def _expected(cell: str, metric: str | None, settings: Mapping[str, Any], spot: Spot) -> dict[str, Any]:
    try:
        raw = dict(expand_short(cell.strip()))
    except BadInput as problem:
        raise spot.located(problem) from None
    if metric:
        raw["metric"] = metric
    for key, value in settings.items():
        if value != "":
            raw[key] = number(value, spot) if key in ("threshold", "weight") else value
    return raw


def _reserved(draft: Draft, column: str, cell: str, spot: Spot) -> None:
    if column == "__description":
        draft.description = cell or None
    elif column == "__threshold":
        draft.threshold = threshold(cell.strip(), spot)
    elif column == "__providerOutput":
        draft.given = cell if cell else MISSING
    elif column.startswith(_METADATA) and cell and (name := _metadata_name(column)):
        several = column.endswith("[]")
        draft.metadata[name] = [part.strip() for part in cell.split(",") if part.strip()] if several else cell
