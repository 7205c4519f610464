"""Prompts to files and back, as tests write and read them; and any prompt, for properties."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from autoforge.errors import BadInput
from autoforge.prompts.formats import (
    ImportOptions,
    PromptRecord,
    RowError,
    VersionRecord,
    read_records,
    write_records,
)
from autoforge.prompts.formats.records import record_data
from autoforge.prompts.names import parse_name
from autoforge.reading import Source
from tests.prompts.contents import LETTERS, contents, texts


def is_name(text: str) -> bool:
    try:
        return bool(parse_name(text))
    except BadInput:
        return False


ODD = [
    "A/B",
    "a/b",
    "con",
    "a:b?",
    ".hidden",
    "日本/プロンプト",
    "x" * 200,
    "漢" * 200,
    "a",
    "a~2",
    "a/b.md",
    "%",
    "a%40",
]
names = st.sampled_from(ODD) | st.text(LETTERS, min_size=1, max_size=20).filter(is_name)
heads = st.sampled_from(["main", "production", "v1.2", "試験", "Main"])
times = st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))


@st.composite
def records(draw: st.DrawFn) -> PromptRecord:
    numbers = sorted(draw(st.sets(st.integers(1, 12), min_size=1, max_size=3)))
    versions = [
        VersionRecord(
            number,
            draw(contents()),
            tuple(draw(st.lists(st.sampled_from(numbers[:index]), max_size=2))) if index else (),
            draw(texts),
            draw(times),
        )
        for index, number in enumerate(numbers)
    ]
    return PromptRecord(
        name=draw(names),
        versions=tuple(versions),
        title=draw(texts),
        description=draw(texts),
        tags=tuple(draw(st.lists(texts, max_size=3))),
        status=draw(st.sampled_from(["draft", "active", "archived"])),
        branches={"main": draw(st.sampled_from(numbers)), **draw(st.dictionaries(heads, st.sampled_from(numbers)))},
        labels=draw(st.dictionaries(heads.filter(lambda name: name != "main"), st.sampled_from(numbers))),
    )


def written(found: list[PromptRecord], format: str) -> bytes:
    out = io.BytesIO()
    assert write_records(found, format, out) == len(found)
    return out.getvalue()


def read(data: str | bytes, name: str, **options: Any) -> list[PromptRecord | RowError]:
    data = data.encode() if isinstance(data, str) else data
    return list(read_records(Source.of(data, name), options=ImportOptions(**options)))


def good(data: str | bytes, name: str, **options: Any) -> list[PromptRecord]:
    found = read(data, name, **options)
    assert [item for item in found if isinstance(item, RowError)] == []
    return [item for item in found if isinstance(item, PromptRecord)]


def as_json(found: list[PromptRecord]) -> list[str]:
    """To compare by: unlike ``==``, it tells 1 from 1.0."""
    return [json.dumps(record_data(record), sort_keys=True) for record in found]
