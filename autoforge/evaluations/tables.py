"""Rows of a file of any format: the elements of a JSON list, the lines of JSON Lines, the records of a CSV.

JSON Lines and CSV are streamed; a JSON file is read whole. A row is any JSON value; for CSV it is a mapping of texts.
A JSON object that holds rows by their keys (``{"q1": "Paris"}``, ``{"q1": {"answer": "Paris"}}``) gives rows as well:
each has its key at ``$key``, and at ``$value`` what is no object itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autoforge.reading import Source
from autoforge.reading.documents import iterate_jsonl, read_json
from autoforge.reading.paths import follow
from autoforge.reading.tables import read_table

KEY, VALUE = "$key", "$value"
FORMATS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}


def format_of(source: Source) -> str | None:
    """The format that the ending of the name tells, or None."""
    return FORMATS.get(source.suffix)


def iterate_rows(
    source: Source, file_format: str | None = None, path: str | None = None, *, by_key: bool = True
) -> Iterator[tuple[int, Any]]:
    """Line numbers (for JSON: positions from 1) and rows.

    ``file_format`` is json, jsonl or csv, by default what the name tells; ``path`` leads to the list in a JSON file.
    ``by_key``: whether an object may stand there, as its keys are made use of.
    Raises BadInput and TooLarge.
    """
    chosen = file_format or format_of(source)
    if chosen == "jsonl":
        yield from iterate_jsonl(source)
    elif chosen == "csv":
        for row in read_table(source).strict():
            yield row.line, row.cells
    elif chosen == "json":
        yield from enumerate(rows_of(read_json(source), path, source, by_key=by_key), start=1)
    else:
        raise source.bad("the name does not tell the format; say format: json, jsonl or csv")


def rows_of(value: Any, path: str | None, source: Source, *, by_key: bool = True) -> list[Any]:
    """The rows inside a JSON value: a list, or an object with a row for each key.

    Without a path: the value itself, or the only list that it holds.
    """
    found = value if path is None else follow(value, path)
    if path is None and isinstance(found, dict):
        lists = [item for item in found.values() if isinstance(item, list)]
        found = lists[0] if len(lists) == 1 else found if not lists and _holds_rows(found) else None
    if isinstance(found, list):
        return found
    if isinstance(found, dict):
        return _rows_by_key(found, source, by_key)
    if path is not None:
        raise source.bad(f"there is no list of rows at {path!r}")
    raise source.bad(
        "holds no list of rows at its top; say where they are with rows: PATH (rows: $ when it is an object of rows)"
    )


def _holds_rows(value: dict[str, Any]) -> bool:
    """Whether an object may be one of rows. A single object in another is rather what is around the rows."""
    return len(value) > 1 or any(not isinstance(item, dict) for item in value.values())


def _rows_by_key(value: dict[str, Any], source: Source, by_key: bool) -> list[dict[str, Any]]:
    if not by_key:
        raise source.bad(
            "holds an object and no list of rows; if its keys tell the cases, say which field of the cases they are: "
            "outputs: {join: FIELD}; else say where the rows are with rows: PATH"
        )
    return [{**row, KEY: key} if isinstance(row, dict) else {KEY: key, VALUE: row} for key, row in value.items()]
