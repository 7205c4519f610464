"""CSV: one row per version, so that a prompt's history can be read in a spreadsheet.

Columns: name, title, description, tags, status, version, parents, message, created_at, branches, labels, prompt,
content. What belongs to the prompt is repeated on each of its rows; branches and labels stand on the row of the
version that they point at. ``prompt`` is the text to read. ``content`` is JSON with what the text cannot hold: for a
text prompt everything but the text (so that editing the text in a spreadsheet works), for a chat everything.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from autoforge.errors import BadInput
from autoforge.prompts.content import PromptContent, plain_text, readable_text, to_data
from autoforge.prompts.formats.records import PromptRecord, RowError, parse_record, time_text
from autoforge.reading import Source
from autoforge.reading.documents import parse_json
from autoforge.reading.tables import Row

COLUMNS = (
    "name",
    "title",
    "description",
    "tags",
    "status",
    "version",
    "parents",
    "message",
    "created_at",
    "branches",
    "labels",
    "prompt",
    "content",
)


def is_native(columns: Iterable[str]) -> bool:
    """Whether a header is ours: what is written by hand may leave out columns, but not these."""
    return {"name", "version", "prompt", "content"} <= set(columns)


def csv_text(rows: Iterable[Iterable[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def rows_of(record: PromptRecord) -> Iterator[list[str]]:
    """The cells of each version's row."""
    head = [record.name, record.title, record.description, _json(list(record.tags)), record.status]
    for version in record.versions:
        text, rest = _cells_of(version.content)
        yield [
            *head,
            str(version.number),
            _json(list(version.parents)),
            version.message,
            time_text(version.created_at) or "",
            _json([name for name, number in record.branches.items() if number == version.number]),
            _json([name for name, number in record.labels.items() if number == version.number]),
            text,
            rest,
        ]


def read_rows(rows: Iterable[Row], source: Source) -> Iterator[PromptRecord | RowError]:
    """Consecutive rows of one name are one prompt; a fault in one of its rows refuses the prompt."""
    group: list[Row] = []
    for row in rows:
        if group and row.cells["name"] != group[0].cells["name"]:
            yield _record(group, source)
            group = []
        group.append(row)
    if group:
        yield _record(group, source)


def _record(rows: list[Row], source: Source) -> PromptRecord | RowError:
    line = rows[0].line
    try:
        data = _head_data(rows[0].cells, source, line)
        for row in rows:
            line = row.line
            if row.problem:
                raise source.bad(row.problem, line)
            data["versions"].append(_version_data(row.cells, source, line, data))
        return parse_record(data)
    except BadInput as error:
        return RowError.of(error, line)


def _head_data(cells: Mapping[str, str], source: Source, line: int) -> dict[str, Any]:
    return {
        "name": cells["name"],
        "title": cells.get("title", ""),
        "description": cells.get("description", ""),
        "tags": _names(cells.get("tags", ""), source, line),
        "status": cells.get("status", ""),
        "branches": {},
        "labels": {},
        "versions": [],
    }


def _version_data(cells: Mapping[str, str], source: Source, line: int, data: dict[str, Any]) -> dict[str, Any]:
    number = int(cells["version"]) if cells["version"].isdecimal() and len(cells["version"]) < 10 else cells["version"]
    for column in ("branches", "labels"):
        for name in _names(cells.get(column, ""), source, line):
            if not isinstance(name, str):
                raise source.bad(f"{column} are names, not {str(name)[:50]!r}", line)
            data[column][name] = number
    content = parse_json(cells["content"], source, line=line) if cells["content"].strip() else {}
    if isinstance(content, dict) and "messages" not in content:
        content = {**content, "messages": [{"role": "user", "content": cells["prompt"]}]}
    parents = parse_json(cells["parents"], source, line=line) if cells.get("parents", "").strip() else []
    return {
        "number": number,
        "parents": parents if isinstance(parents, list) else [parents],
        "message": cells.get("message", ""),
        "created_at": cells.get("created_at", ""),
        "content": content,
    }


def _names(cell: str, source: Source, line: int) -> list[Any]:
    """A JSON list, or names with commas as people write them."""
    if cell.lstrip().startswith("["):
        names = parse_json(cell, source, line=line)
        return names if isinstance(names, list) else [names]
    return [name.strip() for name in cell.split(",") if name.strip()]


def _cells_of(content: PromptContent) -> tuple[str, str]:
    text = plain_text(content)
    data = to_data(content)
    if text is not None:
        del data["messages"]
    return readable_text(content), _json(data)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
