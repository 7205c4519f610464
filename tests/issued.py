"""What the product asks databases while tests run: each process writes down every new statement, once.

That holds for the process of the tests, for the workers of pytest-xdist, and for the servers, workers and commands that
tests start: the environment (:func:`begin`) has each Python load ``tests/listening/sitecustomize.py``, which listens as
soon as the product's trace is there. Statements are written when they run, so that those of a process that is killed
are kept too. ``tests/suite_plans.py`` explains them at the end. Nothing heavy is imported here.
"""

from __future__ import annotations

import os
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoforge.db.trace import Statement

FOLDER = "AUTOFORGE_TEST_STATEMENTS"
TRACE = "autoforge.db.trace"
ROOT = Path(__file__).parent.parent
LONGEST = 10_000
_TESTS, _PRODUCT, _ROOM = (f"{ROOT / part}{os.sep}" for part in ("tests", "autoforge", "autoforge/db"))
_DOCTOR = f"{ROOT / 'autoforge/operations/doctor'}{os.sep}"  # reads everything from end to end on purpose, when asked
_EXPLAINABLE = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Issued:
    """One statement of the product, with what the driver got for it the first time, and the line that issued it."""

    dialect: str
    name: str
    sql: str
    bound: Any
    line: str


class Listener:
    """A trace hook. What a test itself issues, to prepare or to look, is not the product's and left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[tuple[str, str, str]] = set()

    def __call__(self, ran: Statement) -> None:
        key = (ran.dialect, ran.sql, ran.name)
        if key in self._seen or not _EXPLAINABLE.match(ran.sql):
            return
        if line := _issued_at(sys._getframe(1)):
            self._seen.add(key)
            self._write(Issued(ran.dialect, ran.name, ran.sql, _short(ran.bound), line))

    def _write(self, statement: Issued) -> None:
        try:
            written = pickle.dumps(statement)
        except Exception:  # a parameter that cannot travel; said when the statement is explained
            written = pickle.dumps(replace(statement, bound=None))
        with (self._folder / f"{os.getpid()}.pickles").open("ab", buffering=0) as file:
            file.write(written)


def _issued_at(frame: FrameType | None) -> str:
    """The innermost line of ours outside of the database room: "" when it is a test's.

    What the database room does of its own accord, in a task of its own, counts as the product's.
    """
    line = ""
    while frame is not None:
        code: CodeType = frame.f_code
        name = code.co_filename
        if name.startswith(_DOCTOR) or (name.startswith(_TESTS) and name != __file__):
            return ""
        if name.startswith(_PRODUCT):
            line = f"{name.removeprefix(f'{ROOT}{os.sep}')}:{frame.f_lineno}"
            if not name.startswith(_ROOM):
                return line
        frame = frame.f_back
    return line


def _short(bound: Any) -> Any:
    """Long texts say nothing about a plan, and a view of bytes does not travel."""
    if isinstance(bound, memoryview):
        bound = bytes(bound)
    if isinstance(bound, str | bytes):
        return bound[:LONGEST]
    if isinstance(bound, list | tuple):
        return type(bound)(_short(one) for one in bound)
    return bound


class _OnceTraceIsThere(MetaPathFinder):
    """Calls ``then`` with the trace module as soon as a process has imported it, and not one import earlier."""

    def __init__(self, then: Callable[[ModuleType], object]) -> None:
        self._then = then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != TRACE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            self._listen_after(spec.loader)
        return spec

    def _listen_after(self, loader: Loader) -> None:
        execute = loader.exec_module

        def executed(module: ModuleType) -> None:
            execute(module)
            self._then(module)

        loader.exec_module = executed  # type: ignore[method-assign]


def begin(folder: Path) -> None:
    """From now on this process, and all Python processes that it starts, write what they issue into ``folder``."""
    os.environ[FOLDER] = str(folder)
    paths = [str(ROOT / "tests/listening"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    listen()


def listen() -> None:
    """In a process that was started with the environment of :func:`begin`; once per process."""
    global _listens
    folder = os.environ.get(FOLDER)
    if folder is None or _listens:
        return
    _listens = True
    listener = Listener(Path(folder))
    if TRACE in sys.modules:
        sys.modules[TRACE].add_hook(listener)
    else:
        sys.meta_path.insert(0, _OnceTraceIsThere(lambda module: module.add_hook(listener)))


_listens = False


def heard(folder: Path) -> Iterator[Issued]:
    """All that was written, in no particular order; a record that a killed process left unfinished ends its file."""
    for path in sorted(folder.glob("*.pickles")):
        with path.open("rb") as file:
            try:
                while True:
                    yield pickle.load(file)
            except (EOFError, pickle.UnpicklingError):
                continue
