"""Where figures are counted: a row of floating-point numbers, in a memory-mapped file where several processes count.

Each series (a metric's name with the values of its labels) has its place in the row. To count is to add to a number in
memory, which costs some 60 ns and no lock: only the thread of the event loop counts. With a folder, each process has a
file of its own there, so that whichever of them is asked can add up all; reading a process's figures takes nothing
from it, and not its cooperation. Aligned 8-byte stores are atomic on every machine that we run on.

A process holds a lock on its file, which ends with it however it ends. The file of a process that died stays, and the
process that takes its place counts on in it, since what was counted has happened; only when nobody counts any more
does the next one begin anew.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from autoforge.telemetry.disk import reserve

try:
    import fcntl
except ImportError:  # Windows: each process counts for itself
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

PLACES = 65_536
_REST = 64
"""The first places take what finds no other any more."""

Series = tuple[str, ...]
"""A metric's name, then the values of its labels."""


class Cells:
    """The figures of this process; with ``path`` (without suffix) in files that others can read."""

    def __init__(self, path: Path | None = None) -> None:
        self.places: dict[Series, int] = {}
        self._next = _REST
        self._names = -1
        if path is None:
            self._memory = mmap.mmap(-1, PLACES * 8)
        else:
            self._memory = _mapped(path.with_suffix(".cells"), mmap.ACCESS_WRITE)
            self._names = os.open(path.with_suffix(".names"), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._go_on(path.with_suffix(".names"))
        self.values = memoryview(self._memory).cast("d")

    def _go_on(self, path: Path) -> None:
        """Finds the places of a process that counted here before; a line that it did not finish is cut off."""
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        os.ftruncate(self._names, len(whole))
        for place, width, series in _places(whole):
            self.places[series] = place
            self._next = max(self._next, place + width)

    def place(self, series: Series, width: int) -> int:
        """The first of the ``width`` places of a series. 0 when there is none for it now: what is put there is lost."""
        found = self.places.get(series)
        if found is not None:
            return found
        if self._next + width > PLACES:
            log.error("there are too many series of metrics; %s is not counted", series)
            return 0
        place = self._next
        if self._names >= 0 and not self._tell(json.dumps([place, width, *series]).encode() + b"\n"):
            return 0
        self._next += width
        self.places[series] = place
        return place

    def _tell(self, line: bytes) -> bool:
        """Writes down whose place it is: the whole line or, on a full disk, nothing of it."""
        size = os.fstat(self._names).st_size
        try:
            if os.write(self._names, line) == len(line):
                return True
        except OSError as error:
            log.warning("a new series of metrics is not counted: %s", error)
        with suppress(OSError):
            os.ftruncate(self._names, size)
        return False

    def close(self) -> None:
        self.values.release()
        self._memory.close()
        if self._names >= 0:
            os.close(self._names)


@dataclass(frozen=True, slots=True)
class Counted:
    """What one process counted. Of one that is gone, only what was counted holds, not what was the case."""

    number: int
    alive: bool
    places: Mapping[Series, int]
    values: Sequence[float]


class Slot:
    """A process's place among those that count in ``folder``; ``number`` is 1 for the first of them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        with _undisturbed(folder):
            self.number, self._lock = _free_slot(folder)
            self.cells = Cells(folder / str(self.number))

    def all(self) -> Iterator[Counted]:
        """The figures of all processes of the folder."""
        with _undisturbed(self._folder):
            alive = {number: _is_held(self._folder / f"{number}.cells") for number in _numbers(self._folder)}
        for number, lives in sorted(alive.items()):
            path = self._folder / str(number)
            places = {series: place for place, _, series in _places(path.with_suffix(".names").read_bytes())}
            with _mapped(path.with_suffix(".cells"), mmap.ACCESS_READ) as memory:
                values = memoryview(memory[: PLACES * 8]).cast("d")
            yield Counted(number, lives, places, values)

    def close(self) -> None:
        self.cells.close()
        os.close(self._lock)


def _places(names: bytes) -> Iterator[tuple[int, int, Series]]:
    """What the lines of a file of names say; the last may be half written."""
    for line in names[: names.rfind(b"\n") + 1].splitlines():
        place, width, *series = json.loads(line)
        yield place, width, tuple(series)


def _mapped(path: Path, access: int) -> mmap.mmap:
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(opened).st_size < PLACES * 8:
            reserve(opened, PLACES * 8)
        return mmap.mmap(opened, PLACES * 8, access=access)
    finally:
        os.close(opened)


def _numbers(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob("*.cells") if path.stem.isdigit())


def _free_slot(folder: Path) -> tuple[int, int]:
    """The number and the held lock of the first slot that no process has. When all are free, all begin at zero."""
    taken = {number for number in _numbers(folder) if _is_held(folder / f"{number}.cells")}
    if not taken:
        for path in folder.glob("*.*"):
            if path.suffix in (".cells", ".names"):
                path.unlink()
    number = next(number for number in range(1, len(taken) + 2) if number not in taken)
    lock = os.open(folder / f"{number}.cells", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return number, lock


def _is_held(path: Path) -> bool:
    opened = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(opened)
    return False


@contextmanager
def _undisturbed(folder: Path) -> Iterator[None]:
    """Nobody else takes a slot meanwhile, or asks who has one: to ask is to hold the lock for a moment."""
    opened = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):
            os.close(opened)


def can_share() -> bool:
    """Whether this system has the locks that sharing needs."""
    return fcntl is not None
