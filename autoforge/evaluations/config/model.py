"""What a configuration amounts to, once its files are read: prompts, models, cases, and where outputs are recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoforge.evaluations.cases import Case
from autoforge.evaluations.config.spots import Notice
from autoforge.reading import Source


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the one who runs a configuration adds to it.

    ``outputs``: recorded outputs, instead of the files that the configuration names. ``parameters``: values for its
    ``${name}`` references; ``data`` among them also opens that folder for reading. ``trusted``: transforms may call the
    user's Python files (command line only).
    """

    outputs: Sequence[Source] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class ConfigPrompt:
    """A prompt as written. ``text`` is a template; for a chat it is the JSON (or a template of it) of its messages."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class ConfigProvider:
    """A model that the configuration names: promptfoo's id (``openai:gpt-4o``) and the label people gave it."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Join:
    """How rows find their cases: ``output`` is a path into the row, ``case`` a path into the case's fields."""

    output: str
    case: str


@dataclass(frozen=True, slots=True)
class Fields:
    """Where in a row the parts of an output are: field paths, and a transform for the text itself."""

    output: str | None = None
    transform: str | tuple[str, ...] | None = None
    latency_ms: str | None = None
    cost_usd: str | None = None
    tokens_in: str | None = None
    tokens_out: str | None = None
    finish_reason: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class OutputsSection:
    """Recorded outputs: one or more files of the same shape, holding one or more models each.

    ``models`` names the models of every file and their fields; without them there is one model per file, called
    ``model`` (a text that may hold ``${outputs_name}``), or one per value of ``model_field``.
    """

    sources: tuple[Source, ...]
    fields: Fields = Fields()
    format: str | None = None
    rows: str | None = None
    join: Join | None = None
    models: Mapping[str, Fields] = field(default_factory=dict)
    model: str | None = None
    model_field: str | None = None


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """A loaded configuration.

    ``cases`` are complete: defaults, scenarios and lists of variables are worked in. ``alignment`` is set when the
    cases were made from the rows of the output files themselves: for each source, counted through all sections, the
    case (index) of each of its rows, None for a row that became no case. ``given_outputs`` holds outputs that the
    configuration gives inline, by case index. ``assertion_types`` counts the assertions as written, each place once.
    ``files`` are those that were read for it, itself included.
    """

    name: str
    folder: Path | None = None
    description: str | None = None
    prompts: tuple[ConfigPrompt, ...] = ()
    providers: tuple[ConfigProvider, ...] = ()
    cases: tuple[Case, ...] = ()
    outputs: tuple[OutputsSection, ...] = ()
    alignment: Mapping[int, Sequence[int | None]] = field(default_factory=dict)
    given_outputs: Mapping[int, Any] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    assertion_types: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    trusted: bool = False
    files: tuple[Path, ...] = ()
