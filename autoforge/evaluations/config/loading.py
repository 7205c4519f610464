"""Loading a configuration: one file in, everything it says and refers to out.

The order: read, check against the schema, find the files, understand prompts, tests and outputs. Broken input raises
BadInput with the file, the line and the pointer; what is merely not supported or not there becomes a notice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from autoforge.evaluations.cases import Case
from autoforge.evaluations.config.combining import read_cases
from autoforge.evaluations.config.context import Context
from autoforge.evaluations.config.files import Files
from autoforge.evaluations.config.model import EvaluationConfig, OutputsSection, Overrides
from autoforge.evaluations.config.outputs_section import read_sections, required
from autoforge.evaluations.config.parameters import plain_name, read_parameters, substitute
from autoforge.evaluations.config.prompts import read_prompts, read_providers
from autoforge.evaluations.config.row_tests import ROW_KEYS, merge_cases, read_row_tests
from autoforge.evaluations.config.schema import check
from autoforge.evaluations.config.spots import Spot
from autoforge.evaluations.scope import Scope
from autoforge.reading import Source
from autoforge.reading.documents import read_document

MAX_CONFIG = 64 * 1024 * 1024
_UPWARDS = 2
_IGNORED = {
    "redteam": "red teaming is not supported; its generated tests were left out",
    "derivedMetrics": "derived metrics are not computed",
    "extensions": "extensions are programs and were not run",
    "nunjucksFilters": "filters in JavaScript are not available",
    "evaluateOptions": "options for calling models have no meaning for recorded outputs and were ignored",
    "commandLineOptions": "command line options of promptfoo were ignored",
    "tracing": "tracing was ignored",
    "outputPath": "results are stored and not written to outputPath; use --results FILE",
}


def load_config(path: Path, overrides: Overrides | None = None) -> EvaluationConfig:
    """The configuration in a YAML or JSON file. Raises BadInput (file, line, pointer) and TooLarge."""
    return load_source(Source.at(path), overrides)


def load_source(source: Source, overrides: Overrides | None = None) -> EvaluationConfig:
    """The same for any source. An upload (``Source.of``) has no folder and cannot name files; outputs come beside it.

    A server must never pass a path here, for the folder around it would be open to the configuration.
    """
    overrides = overrides or Overrides()
    document = read_document(source, limit=MAX_CONFIG)
    spot = Spot(source.name, "", document)
    if not isinstance(document.value, dict):
        raise spot.bad("a configuration is a mapping with prompts, tests and outputs")
    root = _without_nothing(document.value)
    generated = isinstance(root.get("tests"), dict) and "path" in root["tests"]
    tests = None if generated else root.get("tests")
    checked = {key: value for key, value in root.items() if key != "tests"} | (
        {} if tests is None else {"tests": tests}
    )
    check(checked, spot)
    context = _context(root, spot, source, overrides)
    context.note_keys(root, "", spot)
    if generated:
        context.note(spot.child("tests").notice("tests that a program generates are not supported and were left out"))
    for key, message in _IGNORED.items():
        if root.get(key):
            context.note(spot.child(key).notice(message))
    return _assembled(context, source, tests, overrides)


def _assembled(context: Context, source: Source, tests: Any, overrides: Overrides) -> EvaluationConfig:
    root = context.root
    sections = read_sections(root.get("outputs"), overrides.outputs, context)
    alignment: Mapping[int, Sequence[int | None]] = {}
    given: dict[int, Any] = {}
    if isinstance(tests, dict) and ROW_KEYS & tests.keys():
        if tests.get("file") is None:
            sections = _read_alike(sections, tests)
        cases, alignment = _row_cases(tests, sections, context)
    else:
        cases, given = read_cases(context, tests)
    return EvaluationConfig(
        name=root.get("description") or plain_name(source.name),
        folder=context.files.folder,
        description=root.get("description"),
        prompts=read_prompts(root.get("prompts"), context),
        providers=read_providers(root.get("providers", root.get("targets")), context),
        cases=tuple(cases),
        outputs=sections,
        alignment=alignment,
        given_outputs=given,
        notices=tuple(context.notices),
        assertion_types=context.assertion_types(),
        parameters=context.parameters,
        trusted=overrides.trusted,
        files=_files(context, source, sections),
    )


def _files(context: Context, source: Source, sections: Sequence[OutputsSection]) -> tuple[Path, ...]:
    """All files that were read, or will be for the outputs."""
    named = [source, *(one for section in sections for one in section.sources)]
    return tuple(dict.fromkeys([*(one.path for one in named if one.path is not None), *context.opened]))


def _read_alike(sections: Sequence[OutputsSection], tests: Mapping[str, Any]) -> tuple[OutputsSection, ...]:
    """Cases and outputs are the same rows, so what one section says of the file holds for the other."""
    form, rows = tests.get("format"), tests.get("rows")
    return tuple(replace(one, format=one.format or form, rows=one.rows or rows) for one in sections)


def _row_cases(
    raw: Mapping[str, Any], sections: Sequence[OutputsSection], context: Context
) -> tuple[list[Case], Mapping[int, Sequence[int | None]]]:
    """The cases of ``tests: {file...}``, or of the outputs files' own rows when no file is named."""
    spot = context.spot.child("tests")
    tests = read_row_tests(raw, spot, context)
    at = spot.child("file")
    files: list[tuple[Source, str | None]]
    if raw.get("file") is not None:
        name = substitute(raw["file"], context.parameters, at)
        files = [(context.source(path), None) for path in required(name, at, context)]
    else:
        files = [(source, section.model_field) for section in sections for source in section.sources]
        if not files:
            raise spot.bad("the tests are the rows of the outputs file, and none is given; use --outputs FILE")
        tests.file_format, tests.rows = sections[0].format, sections[0].rows
    found = []
    for source, model_field in files:
        found.append(tests.cases(source, model_field))
        tests.report(source)
    if raw.get("file") is not None:
        return [case for rows in found for case, _ in rows if case is not None], {}
    return merge_cases(found)


def _context(root: dict[str, Any], spot: Spot, source: Source, overrides: Overrides) -> Context:
    folder = source.path.parent if source.path is not None else None
    parameters = read_parameters(root.get("parameters") or {}, overrides.parameters, spot)
    others: list[Path] = []
    # Only who runs a configuration may open a folder outside of it, never its own default.
    data = Path(overrides.parameters["data"]).absolute() if "data" in overrides.parameters else None
    data = data or (None if "data" in parameters else _data_folder(root, overrides))
    if data is not None:
        parameters["data"] = str(data)
        others.append(data)
    scope = Scope(folder=folder, trusted=overrides.trusted)
    return Context(Files(folder, others), root, spot, scope, parameters)


def _data_folder(root: dict[str, Any], overrides: Overrides) -> Path | None:
    """Where ``${data}`` is when nobody said so: at or above the given outputs, where the tests' file is found."""
    tests = root.get("tests")
    name = tests.get("file") if isinstance(tests, dict) else None
    first = next((output.path for output in overrides.outputs if output.path is not None), None)
    if first is None or not isinstance(name, str) or "${data}/" not in name:
        return None
    folders = first.resolve().parents[: _UPWARDS + 1]
    wanted = name.partition("${data}/")[2]
    return next((folder for folder in folders if (folder / wanted).is_file()), folders[0])


def _without_nothing(root: dict[str, Any]) -> dict[str, Any]:
    """Keys that stand there without a value (``tests:``) count as not written."""
    plain = {key: value for key, value in root.items() if value is not None}
    for key in ("defaultTest", "tests"):
        value = plain.get(key)
        if isinstance(value, dict):
            plain[key] = {name: item for name, item in value.items() if item is not None}
        elif isinstance(value, list):
            plain[key] = [
                {name: part for name, part in item.items() if part is not None} if isinstance(item, dict) else item
                for item in value
            ]
    return plain
