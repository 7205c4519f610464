"""What all readers of one configuration share: its files, what has been noticed so far, and how references resolve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autoforge.errors import BadInput, steps_of
from autoforge.evaluations.assertions import UNAVAILABLE, expand_short, ignored_settings, parse_assertion
from autoforge.evaluations.assertions.schema import slips
from autoforge.evaluations.cases import Assertion
from autoforge.evaluations.config.files import Files, Unresolved, is_reference
from autoforge.evaluations.config.filling import protect
from autoforge.evaluations.config.provider_tools import ProviderTools
from autoforge.evaluations.config.schema import unknown_keys
from autoforge.evaluations.config.spots import Notice, Spot
from autoforge.evaluations.scope import PROGRAMS, Scope, is_python_reference, names_program
from autoforge.evaluations.transforms import parse_transform
from autoforge.reading import Source
from autoforge.reading.documents import read_document
from autoforge.reading.paths import MISSING, follow
from autoforge.reading.text import read_text

_WITH_SCHEMA = ("is-json", "contains-json")
_STRUCTURED = (".json", ".yaml", ".yml")

MAX_CASES = 1_000_000
MAX_REFERENCES = 8
MAX_SETS = 10
MAX_NESTED = 10_000


@dataclass(slots=True)
class Context:
    """``root`` is the whole configuration, for ``$ref``; ``reading`` holds the files of tests that are being read,
    ``opened`` all that were named so far.

    ``notices`` are the keys: each one once, in order.
    """

    files: Files
    root: Mapping[str, Any]
    spot: Spot
    scope: Scope
    parameters: Mapping[str, str] = field(default_factory=dict)
    notices: dict[Notice, None] = field(default_factory=dict)
    reading: list[Path] = field(default_factory=list)
    opened: dict[Path, None] = field(default_factory=dict)
    _nested: int = 0
    _tools: ProviderTools | None = None
    declared: dict[tuple[str, str, int | None], str] = field(default_factory=dict)

    def note(self, notice: Notice) -> None:
        self.notices[notice] = None

    def note_keys(self, raw: Mapping[str, Any], definition: str, spot: Spot) -> None:
        """Reports unknown keys. Raises BadInput for what looks like a slip."""
        for notice in unknown_keys(raw, definition, spot):
            self.note(notice)

    def find(self, reference: str, spot: Spot, near: Path | None) -> list[Path]:
        """The files that a reference means; none, with a notice, when it leads nowhere."""
        try:
            return self.files.find(reference, near)
        except Unresolved as problem:
            self.note(spot.notice(str(problem)))
            return []

    def source(self, path: Path) -> Source:
        """A file of the configuration, called as seen from its folder."""
        folder = self.files.folder
        self.opened[path] = None
        try:
            name = str(path.relative_to(folder)) if folder else path.name
        except ValueError:
            name = path.name
        return Source.at(path, name)

    def dereferenced(self, raw: Mapping[str, Any], spot: Spot) -> Mapping[str, Any]:
        """The mapping that ``$ref`` names, under the keys that stand beside it. Raises BadInput when there is none."""
        for _ in range(MAX_REFERENCES):
            reference = raw.get("$ref")
            if not isinstance(reference, str):
                return raw
            target = self._referenced(reference, spot)
            raw = {**target, **{key: value for key, value in raw.items() if key != "$ref"}}
        raise spot.bad("the $ref leads in a circle")

    def _referenced(self, reference: str, spot: Spot) -> Mapping[str, Any]:
        if not reference.startswith("#/"):
            raise spot.child("$ref").bad(f"{reference!r} must point into this file, as #/assertionTemplates/NAME")
        target: Any = self.root
        for key in steps_of(reference[1:]):
            target = (
                target.get(key, MISSING)
                if isinstance(target, dict)
                else follow(target, f"[{key}]")
                if key.isdecimal()
                else MISSING
            )
        if not isinstance(target, dict):
            raise spot.child("$ref").bad(f"{reference!r} names nothing in this configuration")
        return target

    def assertions(self, raw: Any, spot: Spot, near: Path | None = None) -> tuple[Assertion, ...]:
        """The list under ``assert``. Raises BadInput with the place of what makes no sense."""
        items = [] if raw is None else raw if isinstance(raw, list) else [raw]
        return tuple(self.assertion(item, spot.child(index), near) for index, item in enumerate(items))

    def assertion(self, raw: Any, spot: Spot, near: Path | None = None) -> Assertion:
        """One assertion; short texts and ``$ref`` are understood, files and types that are not there are reported."""
        key = (spot.file, spot.pointer, spot.fixed_line)
        if isinstance(raw, dict) and "$ref" in raw:
            self.declared[key] = "$ref"
            raw = self.dereferenced(raw, spot)
        raw = self._plain(raw, spot, near)
        transform = None
        if isinstance(raw, dict) and "transform" in raw:
            transform = self.transform(raw.pop("transform"), spot.child("transform"))
        try:
            assertion = parse_assertion(raw, spot.pointer)
        except BadInput as problem:
            raise spot.located(problem) from None
        if transform is not None:
            assertion = replace(assertion, transform=transform)
        self.declared.setdefault(key, assertion.label)
        self._report(assertion, spot)
        return assertion

    def transform(self, raw: Any, spot: Spot, *, tolerant: bool = True) -> str | tuple[str, ...] | None:
        """A transform, checked. Raises BadInput.

        ``tolerant`` (in promptfoo's own sections) keeps and reports a text that is none, because there it is
        JavaScript: what it should transform will score as an error. A broken pattern is ours.
        """
        try:
            return parse_transform(raw or None, spot.pointer)
        except BadInput as problem:
            if tolerant and isinstance(raw, str) and "regex:" not in raw and "regex-last:" not in raw:
                self.note(spot.notice("a transform in JavaScript cannot be run; its cases will come out as errors"))
                return raw
            raise spot.located(problem) from None

    def content(self, path: Path) -> Any:
        """What a file holds: the value of JSON and YAML, else its text without the white space around it."""
        source = self.source(path)
        return read_document(source).value if source.suffix in _STRUCTURED else read_text(source).strip()

    def _plain(self, raw: Any, spot: Spot, near: Path | None) -> Any:
        """Without remarks, which are no settings, and with the content of files in place of their names."""
        if isinstance(raw, str):
            raw = expand_short(raw)
        if not isinstance(raw, dict):
            return raw
        plain = {
            key: value for key, value in raw.items() if key != "$comment" and (value is not None or key == "value")
        }
        value: Any = plain.get("value")
        if is_reference(value):
            plain["value"] = self._named_value(value, spot.child("value"), near)
        elif isinstance(value, list) and any(map(is_reference, value)):
            plain["value"] = [
                self._named_value(item, spot.child("value", index), near) if is_reference(item) else item
                for index, item in enumerate(value)
            ]
        plain = self.tools().given_to(plain, spot, self)
        if isinstance(plain.get("assert"), list):
            plain["assert"] = [
                self._part(part, spot.child("assert", index), near) for index, part in enumerate(raw["assert"])
            ]
        return plain

    def tools(self) -> ProviderTools:
        """What the models declare, read when the first assertion is."""
        if self._tools is None:
            self._tools = ProviderTools(self.root.get("providers", self.root.get("targets")), self)
        return self._tools

    def _part(self, raw: Any, spot: Spot, near: Path | None) -> Any:
        """An assertion inside a set, which may be a ``$ref`` to another set."""
        self._nested += isinstance(raw, dict) and "$ref" in raw
        if spot.pointer.count("/assert/") > MAX_SETS or self._nested > MAX_NESTED:
            raise spot.bad("assertions are nested too deeply, or a $ref leads in a circle")
        return self._plain(self.dereferenced(raw, spot) if isinstance(raw, dict) else raw, spot, near)

    def _named_value(self, reference: str, spot: Spot, near: Path | None) -> Any:
        """The content of a file, which is data and no template. A program keeps its name, as seen from the folder."""
        name, colon, function = reference.rpartition(":")
        program = name if name.endswith(PROGRAMS) else reference
        paths = self.find(program, spot, near)
        if not paths:
            return reference
        if program.endswith(PROGRAMS):
            called = f"{colon}{function}" if program == name else ""
            return f"file://{self.source(paths[0]).name}{called}"
        return protect(self.content(paths[0]))

    def _report(self, assertion: Assertion, spot: Spot) -> None:
        if assertion.type in UNAVAILABLE:
            self.note(spot.notice(f"{assertion.label} cannot be scored here; its cases will come out as errors"))
        elif assertion.type != "python":
            self._report_programs(assertion.value, spot.child("value"))
        for key in ignored_settings(assertion):
            self.note(spot.child(key).notice(f"the key {key!r} means nothing to {assertion.label} and was ignored"))
        if assertion.type in _WITH_SCHEMA and isinstance(assertion.value, dict):
            for place, near in slips(assertion.value):
                at = spot.child("value", *place)
                self.note(at.notice(f"{place[-1]!r} is no keyword of JSON Schema and checks nothing; {near!r} is"))
        for index, part in enumerate(assertion.parts):
            self._report(part, spot.child("assert", index))

    def _report_programs(self, value: Any, spot: Spot) -> None:
        """Programs in place of a value: Python is run on the command line, everything else is not."""
        runs = self.scope.trusted and isinstance(value, str) and is_python_reference(value)
        for item in value if isinstance(value, list) else [value]:
            if names_program(item) and not runs:
                self.note(spot.notice(f"{item} is a program and is not run here; its cases will come out as errors"))

    def assertion_types(self) -> dict[str, int]:
        """How often each type is written, each place counted once, the most frequent first."""
        return dict(Counter(self.declared.values()).most_common())
