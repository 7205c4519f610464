"""Pairing cases with recorded outputs: one run per model (and prompt, where a recording tells them apart).

Every run holds its cases in order, each with one output. A case that the recording does not answer gets an Output with
an error, a row that no case wants is reported; nothing is dropped in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.cases import Case, Output
from autoforge.evaluations.config.model import EvaluationConfig, Fields, OutputsSection
from autoforge.evaluations.config.parameters import plain_name, substitute
from autoforge.evaluations.config.spots import Notice, Spot
from autoforge.evaluations.outputs.extracting import NO_OUTPUT, Extractor
from autoforge.evaluations.outputs.joining import LeftOut, Places, Unplaced, cases_by_key
from autoforge.evaluations.outputs.promptfoo_results import Finder, recorded, result_lines, result_rows
from autoforge.evaluations.scope import Scope
from autoforge.evaluations.tables import format_of, iterate_rows
from autoforge.reading import Source
from autoforge.reading.documents import read_json
from autoforge.reading.paths import follow

RECORDED = "recorded"


@dataclass(frozen=True, slots=True)
class Run:
    """One model's outputs for its cases. ``positions`` says which cases of the plan they are, in the same order."""

    model: str
    prompt: str | None
    source: str
    positions: Sequence[int]
    pairs: Sequence[tuple[Case, Output]]


@dataclass(frozen=True, slots=True)
class Plan:
    """The cases of the suite and the runs over them, with notices about what did not fit together."""

    cases: Sequence[Case]
    runs: Sequence[Run]
    notices: Sequence[Notice]


def plan_runs(config: EvaluationConfig) -> Plan:
    """Reads the recorded outputs of a configuration. Raises BadInput (also without cases or outputs) and TooLarge."""
    if not config.cases:
        raise BadInput(f"{config.name}: there are no test cases{_reasons(config)}")
    planner = _Planner(config)
    position = 0
    for section in config.outputs:
        for source in section.sources:
            planner.read(section, source, config.alignment.get(position))
            position += 1
    if position == 0 and config.given_outputs:
        planner.read_given()
    if not planner.runs:
        raise BadInput(f"{config.name}: there are no recorded outputs; name them under outputs, or give --outputs FILE")
    return Plan(config.cases, _named_apart(planner.runs, planner.sources), tuple(planner.notices))


def _reasons(config: EvaluationConfig) -> str:
    return f"; {config.notices[0]}" if config.notices else ""


def _named_apart(runs: Sequence[Run], sources: Sequence[Source]) -> tuple[Run, ...]:
    """Runs whose model and prompt are the same are told apart by their files."""
    alike: dict[tuple[str, str | None], list[int]] = {}
    for place, run in enumerate(runs):
        alike.setdefault((run.model, run.prompt), []).append(place)
    named = list(runs)
    for (model, _), places in alike.items():
        if len(places) > 1:
            for place, title in zip(places, _titles([sources[place] for place in places]), strict=True):
                named[place] = replace(runs[place], model=f"{model} ({title})")
    return tuple(named)


def _titles(sources: Sequence[Source]) -> list[str]:
    """What to call files: their names, with the folder where these are the same, else with a number."""
    names = [plain_name(source.name) for source in sources]
    if len(set(names)) < len(names):
        folders = [source.path.absolute().parent.name if source.path else "" for source in sources]
        names = [f"{folder}/{name}" if folder else name for folder, name in zip(folders, names, strict=True)]
    counts = Counter(names)
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        if counts[name] > 1:
            seen[name] += 1
            names[place] = f"{name}, {seen[name]}"
    return names


@dataclass(slots=True)
class _Collected:
    """The outputs of one model, by case, while a file is read."""

    outputs: dict[int, Output] = field(default_factory=dict)
    rows: int = 0
    seen: Counter[str] = field(default_factory=Counter)


class _Planner:
    def __init__(self, config: EvaluationConfig) -> None:
        self.config = config
        self.runs: list[Run] = []
        self.sources: list[Source] = []
        self.notices: list[Notice] = []
        self._scope = Scope(folder=config.folder, trusted=config.trusted)

    def read(self, section: OutputsSection, source: Source, alignment: Sequence[int | None] | None) -> None:
        """The runs of one file."""
        results = self._promptfoo_rows(section, source) if alignment is None else None
        if results is not None:
            self._read_results(results, source)
            return
        by_field = cases_by_key(self.config.cases, section.join, source)
        places = Places(len(self.config.cases), alignment, section.join, by_field)
        columns = _Columns(section, self._fields(section, source), source, self._scope)
        left_out = LeftOut()
        limit = None if alignment is None else len(alignment)
        by_key = alignment is not None or section.join is not None
        rows = islice(iterate_rows(source, section.format, section.rows, by_key=by_key), limit)
        for index, (line, row) in enumerate(rows):
            answers = columns.of(row, line)
            first = answers[0][0]
            place = places.of(row, first.rows if alignment is None else index, first.seen)
            first.rows += 1
            if isinstance(place, Unplaced):
                left_out.add(place, line)
                continue
            for collected, extractor in answers:
                collected.outputs[place] = extractor.output_of(row, line)
        if alignment is None:
            places.check(source)
            self.notices += left_out.notices(source)
        for model, collected in columns.collected.items():
            wanted = range(len(self.config.cases)) if alignment is None else sorted(collected.outputs)
            self._add(model, self._prompt(), source, wanted, collected.outputs)

    def read_given(self) -> None:
        """The run of the outputs that the tests themselves bring along."""
        outputs = {index: Output(value=value) for index, value in self.config.given_outputs.items()}
        source = Source.of(b"", "the tests")
        self._add(self._provider() or RECORDED, self._prompt(), source, range(len(self.config.cases)), outputs)

    def _read_results(self, rows: Iterable[tuple[int, Any]], source: Source) -> None:
        runs: dict[tuple[str, str | None], tuple[Finder, dict[int, Output]]] = {}
        left_out = LeftOut()
        for row in recorded(rows, source):
            run = (row.model or self._provider() or RECORDED, row.prompt)
            finder, outputs = runs.setdefault(run, (Finder(self.config.cases), {}))
            place = finder.find(row)
            if isinstance(place, Unplaced):
                left_out.add(place, row.position)
            else:
                outputs[place] = row.output
        self.notices += left_out.notices(source)
        for (model, prompt), (_, outputs) in runs.items():
            self._add(model, prompt, source, range(len(self.config.cases)), outputs)

    def _promptfoo_rows(self, section: OutputsSection, source: Source) -> Iterable[tuple[int, Any]] | None:
        """The rows of a promptfoo result file; None when the file is none and the section does not say so."""
        plain = section.rows is None and not section.models and section.fields == Fields()
        form, told = format_of(source), section.format == "promptfoo"
        if not told and not (plain and section.format is None and form in ("json", "jsonl")):
            return None
        if form == "jsonl":
            found = result_lines(source)
        else:
            rows = result_rows(read_json(source))
            found = None if rows is None else enumerate(rows, start=1)
        if found is None and told:
            raise source.bad("is not a result file of promptfoo")
        return found

    def _fields(self, section: OutputsSection, source: Source) -> Mapping[str, Fields]:
        """The models of a file and their fields; with ``model_field`` the one name has no meaning."""
        if section.models:
            return section.models
        if section.model is not None:
            names = {**self.config.parameters, "outputs_name": plain_name(source.name)}
            return {substitute(section.model, names, Spot(self.config.name, "/outputs/model")): section.fields}
        files = sum(len(other.sources) for other in self.config.outputs)
        return {(self._provider() if files == 1 else None) or plain_name(source.name): section.fields}

    def _provider(self) -> str | None:
        """The model's name when the configuration names exactly one."""
        return self.config.providers[0].label if len(self.config.providers) == 1 else None

    def _prompt(self) -> str | None:
        return self.config.prompts[0].label if len(self.config.prompts) == 1 else None

    def _add(
        self, model: str, prompt: str | None, source: Source, wanted: Sequence[int], outputs: Mapping[int, Output]
    ) -> None:
        missing = Output(error=NO_OUTPUT)
        pairs = [(self.config.cases[index], outputs.get(index, missing)) for index in wanted]
        self.runs.append(Run(model, prompt, source.name, tuple(wanted), pairs))
        self.sources.append(source)
        absent = len(wanted) - sum(index in outputs for index in wanted)
        if absent:
            self.notices.append(Notice(f"{absent} of {len(wanted)} cases have no output of {model}", source.name))


@dataclass(slots=True)
class _Columns:
    """Which models a row answers for, and where in it their outputs are."""

    section: OutputsSection
    fields: Mapping[str, Fields]
    source: Source
    scope: Scope
    collected: dict[str, _Collected] = field(default_factory=dict)
    _answers: dict[str, list[tuple[_Collected, Extractor]]] = field(default_factory=dict)
    _all: list[tuple[_Collected, Extractor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.section.model_field is None:
            for name, fields in self.fields.items():
                self._all.append(self._new(name, fields))

    def of(self, row: Any, line: int) -> list[tuple[_Collected, Extractor]]:
        path = self.section.model_field
        if path is None:
            return self._all
        name = follow(row, path)
        if not isinstance(name, str) or not name:
            raise self.source.bad(f"the row does not name its model at {path!r}", line)
        if name not in self._answers:
            self._answers[name] = [self._new(name, self.section.fields)]
        return self._answers[name]

    def _new(self, name: str, fields: Fields) -> tuple[_Collected, Extractor]:
        collected = self.collected[name] = _Collected()
        return collected, Extractor(fields, self.source, self.scope)
