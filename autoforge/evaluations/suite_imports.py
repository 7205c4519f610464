"""Test cases that come over HTTP: as JSON in a request, or as an uploaded file in any of promptfoo's shapes.

Nothing that an upload names is read: a configuration has no folder here, and a file of tests stands alone in an empty
one. No Python runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autoforge.errors import BadInput, TooLarge
from autoforge.evaluations.cases import Case
from autoforge.evaluations.config import EvaluationConfig, load_config, load_source
from autoforge.evaluations.schemas import MOST_CASES
from autoforge.reading import Source
from autoforge.reading.documents import read_document
from autoforge.reading.source import uploaded

_ROWS = (".csv", ".tsv", ".jsonl", ".ndjson")
_DOCUMENTS = (".yaml", ".yml", ".json")


def config_of_tests(tests: Sequence[Mapping[str, Any]], default_test: Mapping[str, Any] | None) -> EvaluationConfig:
    """The cases of a request's body. BadInput points into it; TooLarge for more than ``MOST_CASES``."""
    root: dict[str, Any] = {"tests": list(tests)}
    if default_test is not None:
        root["defaultTest"] = default_test
    return _few_enough(load_source(Source.of(json.dumps(root).encode(), "body.json")))


def case_of_test(test: Mapping[str, Any]) -> Case:
    """The one case of a request's body."""
    cases = config_of_tests([test], None).cases
    if len(cases) != 1:
        raise BadInput.at("/vars", f"This stands for {len(cases)} cases; lists in vars make one case for each value.")
    return cases[0]


def config_of_upload(data: bytes, name: str) -> EvaluationConfig:
    """A configuration (YAML, JSON) or a file of tests (a list in YAML or JSON, JSON Lines, CSV).

    Raises BadInput, and TooLarge for more than ``MOST_CASES`` or bytes than an upload may have.
    """
    source = uploaded(data, Path(name).name or "upload.yaml")
    if source.suffix in _ROWS:
        return _few_enough(_tests_file(source))
    if source.suffix not in _DOCUMENTS:
        raise source.bad(f"the name must end in {', '.join((*_DOCUMENTS, *_ROWS))}, to tell what it holds")
    document = read_document(source)
    return _few_enough(_tests_file(source) if isinstance(document.value, list) else load_source(source))


def _few_enough(config: EvaluationConfig) -> EvaluationConfig:
    if len(config.cases) > MOST_CASES:
        raise TooLarge(f"These are {len(config.cases):,} cases; over HTTP a suite has at most {MOST_CASES:,}.")
    return config


def _tests_file(source: Source) -> EvaluationConfig:
    """The tests reader wants files; this one gets a folder of its own for as long as it is read."""
    with TemporaryDirectory(prefix="autoforge-import-") as folder:
        packed = ".gz" if (source.data or b"").startswith(b"\x1f\x8b") else ""
        tests = Path(folder) / f"tests{source.suffix}{packed}"
        tests.write_bytes(source.data or b"")
        config = Path(folder) / "upload.json"
        config.write_text(json.dumps({"tests": f"file://{tests.name}"}), encoding="utf-8")
        return load_config(config)
