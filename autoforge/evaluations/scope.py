"""Where a suite lives and how much it is trusted: its folder, whether its Python may run, how long a pattern may take.

A configuration names files (`file://schema.json`, `file://checks.py:function`). They are looked up inside the
folder of the configuration and nowhere else: links are followed first, so that a link cannot lead out. Python is
run only for a *trusted* scope, which is one that the command line made for the user's own files; a server never
makes one.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from autoforge.errors import BadInput

FILE_PREFIX = "file://"
LARGEST_FILE = 16 * 1024 * 1024
PROGRAMS = (".py", ".js", ".ts", ".mjs", ".cjs", ".mts", ".cts", ".rb")


@dataclass(frozen=True, slots=True)
class Scope:
    """What scoring may use. ``folder`` is the folder of the configuration, None when there is no folder to read from.

    ``regex_seconds`` is the time limit of one search; ``slow`` counts the searches per pattern that ran into it.
    """

    folder: Path | None = None
    trusted: bool = False
    regex_seconds: float = 1.0
    slow: Counter[str] = field(default_factory=Counter)


def is_file_reference(value: object) -> bool:
    return isinstance(value, str) and value.startswith(FILE_PREFIX)


def names_program(value: object) -> bool:
    """Whether a value is a `file://` text for a program, with or without `:function`."""
    if not isinstance(value, str) or not value.startswith(FILE_PREFIX):
        return False
    return value.endswith(PROGRAMS) or value.rpartition(":")[0].endswith(PROGRAMS)


def resolve_file(scope: Scope, name: str) -> Path:
    """The real path of a file inside the scope's folder; BadInput when it is missing, outside, or not a file."""
    if scope.folder is None:
        raise BadInput(f"{name} cannot be read: files are available only when a configuration file is evaluated")
    root = scope.folder.resolve()
    try:
        path = (root / name.removeprefix(FILE_PREFIX)).resolve()
        inside = path.is_relative_to(root)
        exists = inside and path.is_file()
    except (OSError, ValueError, RuntimeError) as problem:
        raise BadInput(f"{name!r} is not a usable file name") from problem
    if not inside:
        raise BadInput(f"{name} lies outside the folder of the configuration, which is not allowed")
    if not exists:
        raise BadInput(f"{name} does not exist in the folder of the configuration")
    return path


def read_value(scope: Scope, reference: str) -> Any:
    """The content of a `file://` value: parsed for .json, .yaml and .yml, stripped text for anything else."""
    path = resolve_file(scope, reference)
    stat = path.stat()
    if stat.st_size > LARGEST_FILE:
        raise BadInput(f"{reference} is larger than {LARGEST_FILE // 1024 // 1024} MB")
    return _read(path, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _read(path: Path, _mtime: int) -> Any:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInput(f"{path.name} cannot be read as UTF-8 text") from problem
    if path.suffix not in {".json", ".yaml", ".yml"}:
        return text.strip()
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        raise BadInput(f"{path.name} is not valid YAML or JSON: {problem}") from problem


def is_python_reference(reference: str) -> bool:
    """Whether the text names a Python file, with or without `file://` and `:function`."""
    if "\n" in reference:
        return False
    name = reference.removeprefix(FILE_PREFIX)
    file, colon, function = name.rpartition(":")
    return name.endswith(".py") or (bool(colon) and file.endswith(".py") and function.isidentifier())


def user_function(scope: Scope, reference: str, default: str) -> Callable[[Any, Any], Any]:
    """The user's function `file.py:function` as a callable of two arguments (output, context).

    A function that takes one argument is given the output only. BadInput when the scope is not trusted, and when the
    file or the function is missing or cannot be loaded.
    """
    if not scope.trusted:
        raise BadInput(f"{reference} was not run: Python runs only on the command line, for your own configuration")
    name = reference.removeprefix(FILE_PREFIX)
    file, function = (name, default) if name.endswith(".py") else name.rsplit(":", 1)
    path = resolve_file(scope, file)
    return _two_arguments(_module(path, path.stat().st_mtime_ns), function)


@lru_cache(maxsize=256)
def _two_arguments(module: ModuleType, name: str) -> Callable[[Any, Any], Any]:
    function = getattr(module, name, None)
    if not callable(function):
        raise BadInput(f"{module.__file__} has no function {name}")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return lambda output, _context: function(output)
    except ValueError:  # built-in without a signature
        pass
    return function  # type: ignore[no-any-return]


@lru_cache(maxsize=64)
def _module(path: Path, _mtime: int) -> ModuleType:
    """Loads a Python file without leaving byte code beside it; listed in sys.modules because dataclasses need that."""
    module = ModuleType(f"autoforge_user_{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:12]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(path.read_bytes(), path, "exec"), module.__dict__)
    except (Exception, SystemExit) as problem:
        raise BadInput(f"{path.name} could not be loaded: {type(problem).__name__}: {problem}") from problem
    return module
