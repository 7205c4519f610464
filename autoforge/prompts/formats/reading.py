"""Files as records: the format by the file's ending, the shape row by row, faults as RowError instead of an end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autoforge.errors import BadInput
from autoforge.prompts.formats import markdown, table
from autoforge.prompts.formats.foreign import Importer
from autoforge.prompts.formats.options import ImportOptions
from autoforge.prompts.formats.records import PromptRecord, RowError, parse_record
from autoforge.prompts.formats.yaml_text import documents
from autoforge.reading import Source
from autoforge.reading.documents import parse_json, parse_yaml
from autoforge.reading.tables import Row, Table, read_table
from autoforge.reading.text import lines, read_text

FORMATS = ("csv", "json", "jsonl", "yaml", "markdown")
_ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".md": "markdown",
    ".markdown": "markdown",
}
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
Found = Iterator[PromptRecord | RowError]


def read_records(source: Source | Path, format: str | None = None, options: ImportOptions | None = None) -> Found:
    """The prompts of a file, an upload, or (``markdown``) a folder.

    Streams, except ``json``, which is one value. Raises BadInput when the file as a whole cannot be read in its
    format, TooLarge when it is beyond all bounds; a row that is no prompt is given as RowError.
    """
    options = options or ImportOptions()
    options.check()
    path = source if isinstance(source, Path) else source.path
    if path is not None and path.is_dir():
        return markdown.read_folder(path)
    source = Source.at(source) if isinstance(source, Path) else source
    format = format or _ENDINGS.get(source.suffix)
    if format not in FORMATS:
        raise source.bad(f"its name tells no format; say which one it is: {', '.join(FORMATS)}")
    return _READERS[format](source, options)


def _read_csv(source: Source, options: ImportOptions) -> Found:
    found = read_table(source)
    if table.is_native(found.columns) and not options.mapping:
        return table.read_rows(found, source)
    return _foreign_rows(found, Importer(options))


def _foreign_rows(found: Table, importer: Importer) -> Found:
    for row in found:
        yield _foreign_row(found.source, row, importer)


def _foreign_row(source: Source, row: Row, importer: Importer) -> PromptRecord | RowError:
    try:
        if row.problem:
            raise source.bad(row.problem, row.line)
        return importer.record(row.cells)
    except BadInput as error:
        return RowError.of(error, row.line)


def _read_jsonl(source: Source, options: ImportOptions) -> Found:
    importer = Importer(options)
    for number, line in lines(source, guess=False):
        if not line or line.isspace():
            continue
        try:
            yield _record(*_parsed(line, source, number), importer)
        except BadInput as error:
            yield RowError.of(error, number)


def _read_json(source: Source, options: ImportOptions) -> Found:
    value, is_mended = _parsed(read_text(source, guess=False), source, None)
    yield from _items(_unwrapped(value), Importer(options), None, is_mended)


def _read_yaml(source: Source, options: ImportOptions) -> Found:
    importer = Importer(options)
    for start, text in documents(lines(source, guess=False)):
        value = parse_yaml(text, _Part(source.name, before=start - 1, count=text.count("\n"))).value
        if value is not None:  # nothing but comments
            yield from _items(_unwrapped(value), importer, start)


@dataclass(frozen=True, slots=True)
class _Part(Source):
    """A part of a file: ``count`` lines, with so many ``before``. What is missing at its end is missing in its last."""

    before: int = 0
    count: int = 0

    def bad(self, message: str, line: int | None = None, column: int | None = None) -> BadInput:
        if line is not None and line > self.count:
            line, column = self.count, None
        return Source.bad(self, message, None if line is None else line + self.before, column)


def _read_markdown(source: Source, options: ImportOptions) -> Found:
    if source.path is None:
        raise source.bad("Markdown is read from a file or folder on this machine; upload another format")
    yield markdown.read_file(source.path)


def _unwrapped(value: Any) -> list[Any]:
    """The rows of a document: a list, a list inside of an object (``prompts``, ``data``), or the one object."""
    if isinstance(value, dict) and not ("versions" in value or "messages" in value):
        for key in ("prompts", "data", "items", "templates", "agents"):
            if isinstance(value.get(key), list):
                return list(value[key])
    return value if isinstance(value, list) else [value]


def _parsed(text: str, source: Source, line: int | None) -> tuple[Any, bool]:
    """The JSON value, and whether it had to be mended.

    Data sets of others hold U+0000 (mostly half of an escape that somebody broke), which no database here can. One
    such character must not cost a prompt, so it becomes U+FFFD; what our own exports hold is never mended.
    """
    try:
        return parse_json(text, source, line=line), False
    except BadInput:
        mended = _NUL.sub(r"\1\\ufffd", text)
        if mended == text:
            raise
        return parse_json(mended, source, line=line), True


def _items(items: Iterable[Any], importer: Importer, line: int | None, is_mended: bool = False) -> Found:
    for position, item in enumerate(items, start=1):
        try:
            yield _record(item, is_mended, importer)
        except BadInput as error:
            yield RowError.of(error, line, place=f"prompt {position}" if line is None else f"line {line}")


def _record(item: Any, is_mended: bool, importer: Importer) -> PromptRecord:
    if isinstance(item, str):
        item = {"prompt": item}
    if not isinstance(item, dict):
        raise BadInput.at("", "This is no prompt: an object with fields was expected.")
    if not isinstance(item.get("versions"), list):
        return _noted(importer.record(item)) if is_mended else importer.record(item)
    if is_mended:
        raise BadInput.at("", "This contains the character U+0000, which cannot be stored.")
    return parse_record(item)


def _noted(record: PromptRecord) -> PromptRecord:
    message = f"{record.current.message} (U+0000, which cannot be stored, became U+FFFD)".lstrip()
    return replace(record, versions=(replace(record.current, message=message),))


_READERS = {
    "csv": _read_csv,
    "json": _read_json,
    "jsonl": _read_jsonl,
    "yaml": _read_yaml,
    "markdown": _read_markdown,
}
