"""What is written to a file reads back as the same, whatever it was."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoforge.errors import BadInput
from autoforge.prompts.content import from_text
from autoforge.prompts.formats import (
    FORMATS,
    PromptRecord,
    RowError,
    VersionRecord,
    encoder_for,
    read_records,
    write_records,
)
from autoforge.prompts.formats.yaml_text import yaml_text
from autoforge.reading import Source
from autoforge.reading.documents import parse_yaml
from tests.prompts.contents import json_values
from tests.prompts.files import as_json, good, read, records, written


class TestRoundTrip:
    @pytest.mark.parametrize("format", ["csv", "json", "jsonl", "yaml"])
    @given(found=st.lists(records(), max_size=3, unique_by=lambda record: record.name))
    @settings(max_examples=30, deadline=None)
    def test_files(self, format: str, found: list[PromptRecord]) -> None:
        assert as_json(good(written(found, format), f"x.{format}")) == as_json(found)

    @given(found=st.lists(records(), max_size=3, unique_by=lambda record: record.name))
    @settings(max_examples=30, deadline=None)
    def test_folders(self, found: list[PromptRecord]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_records(found, "markdown", Path(folder, "out"))
            back = list(read_records(Path(folder, "out")))
        assert [item for item in back if isinstance(item, RowError)] == []
        assert sorted(as_json(back)) == sorted(as_json(found))  # type: ignore[arg-type]

    @given(json_values)
    def test_yaml_reads_as_what_was_written(self, value: Any) -> None:
        back = parse_yaml(yaml_text(value), Source.of(b"", "x")).value
        assert json.dumps(back, sort_keys=True) == json.dumps(value, sort_keys=True)

    def test_yaml_keys_that_look_special(self) -> None:
        value: dict[str, Any] = {"<<": {"a": 1}, "no": "yes", "1": "1e3", "~": "0x1f", "": "2024-01-01"}
        value |= {"? x": "- y", "#": "&a", "=": "="}
        assert parse_yaml(yaml_text(value), Source.of(b"", "x")).value == value

    @pytest.mark.parametrize("format", FORMATS)
    def test_nothing(self, format: str, tmp_path: Path) -> None:
        out = tmp_path / ("folder" if format == "markdown" else f"x.{format}")
        assert write_records([], format, out) == 0
        assert list(read_records(out)) == []

    def test_a_text_prompt_is_easy_to_read(self, tmp_path: Path) -> None:
        record = PromptRecord("mail/answer", (VersionRecord(1, from_text("Dear {{name}},\n\nthank you.")),), "Answer")
        write_records([record], "markdown", tmp_path)
        assert (tmp_path / "mail" / "answer.md").read_text() == (
            "---\nname: mail/answer\ntitle: Answer\nstatus: draft\nversion: 1\nengine: mustache\n---\n"
            "Dear {{name}},\n\nthank you.\n"
        )
        assert "content:\n    messages:\n    - role: user\n      content: |-\n" in written([record], "yaml").decode()

    def test_writing_streams(self) -> None:
        version = VersionRecord(1, from_text("text"))

        def endless() -> Iterator[PromptRecord]:
            number = 0
            while True:
                number += 1
                yield PromptRecord(f"p{number}", (version,), branches={"main": 1})

        for format in ("csv", "json", "jsonl", "yaml"):
            encoder = encoder_for(format)
            pieces = [encoder.head(), *(encoder.record(record) for record in islice(endless(), 3)), encoder.tail()]
            assert len(good(b"".join(pieces), f"x.{format}")) == 3

    def test_unknown_formats_are_refused(self) -> None:
        with pytest.raises(BadInput, match="no format 'xlsx'"):
            encoder_for("xlsx")
        with pytest.raises(BadInput, match="into a folder"):
            write_records([], "markdown", io.BytesIO())
        with pytest.raises(BadInput, match="say which one"):
            read("x", "prompts.txt")
