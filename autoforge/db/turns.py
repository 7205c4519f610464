"""Fair turns at a SQLite file among processes: first come, first served, and the dead hold up nobody.

SQLite lets one process write at a time and leaves it to chance who is next: whoever asks at the right moment wins, and
a busy process can keep another out for seconds. So a process that wants to write takes a number first, in a file beside
the database, and waits until all lower numbers are done.

A number is a locked byte: number n is the n-th byte of a file that is never that long. To wait is to ask for a shared
lock on all bytes below one's own, which the kernel grants, and wakes the process for, when the last of them is let go.
It lets go of the locks of a process that dies, in its turn or before, with the process. The locks belong to the open
file (Linux calls them open file description locks), so that two databases of one process take turns as well.

The turns only make it fair. What keeps two from writing at once is SQLite's own lock, as ever: without this file, or
on a system that has no such locks, the product is as right and less fair.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from autoforge.db.admission import no_place_meanwhile
from autoforge.db.hop import ConnectionThread
from autoforge.errors import Overloaded
from autoforge.telemetry.disk import reserve

try:
    import fcntl as system
except ImportError:  # pragma: no cover - Windows
    system = None  # type: ignore[assignment]

_fcntl: Any = system
_SET: int = getattr(_fcntl, "F_OFD_SETLK", -1)
_SET_AND_WAIT: int = getattr(_fcntl, "F_OFD_SETLKW", -1)
_DRAWING = 0  # the byte that is locked while a number is drawn; numbers begin at 1
_FOREVER = 0  # as a length: to the end of all numbers


def _lock(kind: int, start: int, length: int) -> bytes:
    """``struct flock``: kind, whence, start, length, process."""
    return struct.pack("hhqqi0q", kind, os.SEEK_SET, start, length, 0)


_READ, _WRITE, _UNLOCK = (getattr(_fcntl, name, 0) for name in ("F_RDLCK", "F_WRLCK", "F_UNLCK"))
_DRAW = _lock(_WRITE, _DRAWING, 1)
_DRAWN = _lock(_UNLOCK, _DRAWING, 1)
_DONE = _lock(_UNLOCK, 1, _FOREVER)


class Turns:
    """Of one writer, in its event loop; it asks for one turn at a time. ``waited`` counts turns that had to wait."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            reserve(self._file, 8)
        except OSError:
            os.close(self._file)
            raise
        self._memory = mmap.mmap(self._file, 8)
        self._last = memoryview(self._memory).cast("Q")  # the last number that was drawn
        self._before: bytes | None = None  # the numbers below ours, as a lock; None: we have no number
        self._thread: ConnectionThread | None = None
        self._coming: asyncio.Future[None] | None = None
        self._wanted = self._closed = False
        self.waited = 0

    async def take(self, give_up: float) -> None:
        """Return when it is our turn. ``Overloaded`` when it has not come at ``give_up``, a moment of the loop's clock.

        Who gives up keeps the place in the queue for whoever of this process asks next.
        """
        if self._coming is None and self.ask():
            return
        coming = self._coming or self._wait_in_thread()
        self._wanted = True
        try:
            with no_place_meanwhile():
                async with asyncio.timeout_at(give_up):
                    await asyncio.shield(coming)
        except BaseException as error:
            self._wanted = False
            if coming.done():
                self.release()
            if isinstance(error, TimeoutError):
                raise Overloaded("other processes keep the database busy; try again") from error
            raise

    def release(self) -> None:
        """The turn is over; any thread may say so, and it may be said twice."""
        self._before = None
        _fcntl.fcntl(self._file, _SET, _DONE)

    def close(self) -> None:
        """Give up turn and place. The file itself may have to wait for the thread that waits for it."""
        if self._closed:
            return
        self._closed, self._wanted = True, False
        if self._thread is not None:
            self._thread.stop()
        if self._coming is None:
            self._shut()

    def _shut(self) -> None:
        self._last.release()
        with suppress(BufferError):  # the cast of the whole still waits for the garbage collector
            self._memory.close()
        os.close(self._file)

    def ask(self) -> bool:
        """Without waiting: whether it is our turn. Who asks has a place in the queue, as a rule."""
        if self._before is None:
            try:
                _fcntl.fcntl(self._file, _SET, _DRAW)
            except OSError:
                return False  # another process is drawing just now
            self._draw()
        return self._may_enter(_SET)

    def _draw(self) -> None:
        """With the drawing byte locked. Should we die between the two steps, the number is drawn again."""
        number = self._last[0] + 1
        _fcntl.fcntl(self._file, _SET, _lock(_WRITE, number, 1))
        self._last[0] = number
        _fcntl.fcntl(self._file, _SET, _DRAWN)
        self._before = _lock(_READ, 1, number - 1) if number > 1 else b""

    def _may_enter(self, command: int) -> bool:
        try:
            if self._before:
                _fcntl.fcntl(self._file, command, self._before)
        except BlockingIOError:
            return False
        return True

    def _wait_in_thread(self) -> asyncio.Future[None]:
        self.waited += 1
        if self._thread is None:
            self._thread = ConnectionThread("sqlite turns")
        self._coming = self._thread.call(self._queue)
        self._coming.add_done_callback(self._came)
        return self._coming

    def _queue(self) -> None:
        """In the thread: the kernel wakes it."""
        if self._before is None:
            _fcntl.fcntl(self._file, _SET_AND_WAIT, _DRAW)
            self._draw()
        self._may_enter(_SET_AND_WAIT)

    def _came(self, coming: asyncio.Future[None]) -> None:
        self._coming = None
        if coming.cancelled() or coming.exception() is not None or not self._wanted:
            self.release()
        self._wanted = False
        if self._closed:
            self._shut()


def open_turns(database: Path) -> Turns | None:
    """The turns at a database file; None where the system, or the file system, has no such locks."""
    if _SET < 0:
        return None
    try:
        turns = Turns(database.with_name(f"{database.name}-turns"))
    except OSError:
        return None
    try:
        turns.release()
    except OSError:
        turns.close()
        return None
    return turns


@contextmanager
def one_turn(database: Path, patience: float) -> Iterator[None]:
    """A turn of a process without an event loop; begins without it when it has not come in so many seconds."""
    turns, give_up = open_turns(database), time.monotonic() + patience
    while turns is not None and not turns.ask() and time.monotonic() < give_up:
        time.sleep(0.005)
    try:
        yield
    finally:
        if turns is not None:
            turns.close()
