"""promptfoo's own result files as recorded outputs.

Three shapes are known: version 1 (``{"results": [...]}``, each with prompt, vars, response), version 2 and 3
(``{"results": {"results": [...]}}``) and version 4 (rows with testCase, providerResponse, testIdx); and the same rows
as JSON Lines (``promptfoo eval -o FILE.jsonl``). Every model times prompt is a run. Rows find their cases by their
variables, else by ``testIdx``, else by position; never a case whose variables are others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from autoforge.evaluations.cases import Case, Output
from autoforge.evaluations.config.files import is_reference
from autoforge.evaluations.outputs.extracting import NO_OUTPUT, figure, nano_dollars
from autoforge.evaluations.outputs.joining import Unplaced
from autoforge.reading import Source
from autoforge.reading.documents import iterate_jsonl


@dataclass(frozen=True, slots=True)
class Recorded:
    """One row: which model and prompt it belongs to, how to find its case, and the output."""

    position: int
    model: str | None
    prompt: str | None
    variables: Mapping[str, Any]
    test_index: int | None
    output: Output


def result_lines(source: Source) -> Iterator[tuple[int, Any]] | None:
    """Lines and rows of promptfoo's JSON Lines, or None when the first row is none of its results. Raises BadInput."""
    _, first = next(iterate_jsonl(source), (0, None))
    if not isinstance(first, dict) or not isinstance(first.get("prompt"), dict):
        return None
    answered = any(isinstance(first.get(name), dict) for name in ("response", "providerResponse"))
    return iterate_jsonl(source) if answered or "promptIdx" in first else None


def result_rows(value: Any) -> list[Any] | None:
    """The rows of a promptfoo result file, or None when the value is none."""
    if not isinstance(value, dict):
        return None
    results = value.get("results")
    if isinstance(results, dict):
        results = results.get("results")
    if not isinstance(results, list) or not results or not all(isinstance(row, dict) for row in results):
        return None
    return results if isinstance(results[0].get("prompt"), dict) else None


def recorded(rows: Iterable[tuple[int, Any]], source: Source) -> Iterator[Recorded]:
    """The rows, understood; each comes with its line or position. Raises BadInput, for figures that are none also."""
    for position, row in rows:
        if not isinstance(row, dict):
            raise source.bad("is not a result of promptfoo", position)
        test = _mapping(row.get("testCase"))
        prompt = _mapping(row.get("prompt"))
        yield Recorded(
            position=position,
            model=_model(row.get("provider")),
            prompt=_text(prompt.get("label") or prompt.get("display")),
            variables=_mapping(row.get("vars")) or _mapping(test.get("vars")),
            test_index=row.get("testIdx") if isinstance(row.get("testIdx"), int) else None,
            output=_output(row, source, position),
        )


def _output(row: Mapping[str, Any], source: Source, position: int) -> Output:
    response = _mapping(row.get("providerResponse")) or _mapping(row.get("response"))
    value = response.get("output")
    if value is None:
        return Output(error=_text(row.get("error") or response.get("error")) or NO_OUTPUT)
    tokens = _mapping(response.get("tokenUsage"))
    latency = row.get("latencyMs", response.get("latencyMs"))
    cost = row.get("cost", response.get("cost"))
    counts = [figure(tokens.get(name), source, position) for name in ("prompt", "completion")]
    return Output(
        value=value,
        latency_ms=figure(latency, source, position),
        cost_nano=nano_dollars(cost, source, position),
        tokens_in=None if counts[0] is None else int(counts[0]),
        tokens_out=None if counts[1] is None else int(counts[1]),
        finish_reason=_text(response.get("finishReason")),
    )


def _model(provider: Any) -> str | None:
    if isinstance(provider, dict):
        return _text(provider.get("label") or provider.get("id"))
    return _text(provider)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


@dataclass(slots=True)
class Finder:
    """Finds the case of each row of one run; a case is given away once."""

    cases: Sequence[Case]
    _taken: set[int] = field(default_factory=set)
    _indexes: dict[tuple[str, ...], dict[str, list[int]]] = field(default_factory=dict)
    _rows: int = 0

    def find(self, row: Recorded) -> int | Unplaced:
        """The index of the case that a row answers.

        By its variables; when no case has these, by ``testIdx`` or position, unless the case found there contradicts
        them: the row then belongs to a case that this configuration does not have.
        """
        nth, self._rows = self._rows, self._rows + 1
        alike = self._alike(row.variables) if row.variables else ()
        places = alike or self._there(nth if row.test_index is None else row.test_index, row)
        for index in places:
            if index not in self._taken:
                self._taken.add(index)
                return index
        return Unplaced.ANSWERED if places else Unplaced.NO_CASE

    def _there(self, index: int, row: Recorded) -> Sequence[int]:
        there = 0 <= index < len(self.cases) and not _contradict(self.cases[index].variables, row.variables)
        return (index,) if there else ()

    def _alike(self, variables: Mapping[str, Any]) -> Sequence[int]:
        names = tuple(sorted(variables))
        if names not in self._indexes:
            index: dict[str, list[int]] = {}
            for position, case in enumerate(self.cases):
                if all(name in case.variables for name in names):
                    index.setdefault(_key(case.variables, names), []).append(position)
            self._indexes[names] = index
        return self._indexes[names].get(_key(variables, names), ())


def _key(variables: Mapping[str, Any], names: tuple[str, ...]) -> str:
    values = [variables[name] for name in names]
    return json.dumps([value if isinstance(value, str) else json.dumps(value, sort_keys=True) for value in values])


def _contradict(case: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether the variables of a row cannot be those of a case. What a case leaves open is no contradiction.

    Variables that only one of them has may come from a transform or a default; but none in common, where both have
    some, is another test.
    """
    shared = case.keys() & row.keys()
    if case and row and not shared:
        return True
    return any(not _is_open(case[name]) and _plain(case[name]) != _plain(row[name]) for name in shared)


def _is_open(value: Any) -> bool:
    """Whether it is not known what promptfoo made of a variable: of a file that is not read here, or a template."""
    return isinstance(value, str) and (is_reference(value) or "{{" in value or "{%" in value)


def _plain(value: Any) -> Any:
    """A value as it compares: promptfoo records what it read from files as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError, ValueError, OverflowError):
        return value.strip()
