"""Tag stamps in a memory-mapped file: every process of one host sees a change at once, without a message.

A tag hashes to one of 65,536 slots of 8 bytes. Forgetting it writes a random value there; a reader compares the
value with the one that it kept. Two tags in one slot cost a needless miss, never a stale hit. Aligned 8-byte stores
are atomic on every machine we run on, so there is no lock.

With Redis, two more values stand beside each stamp. The file also says which change of a slot Redis was told of: until
then nobody on this host believes what Redis has of that slot. And the process counts what other hosts said of it.
"""

from __future__ import annotations

import mmap
import os
import secrets
import zlib
from collections.abc import Iterable
from pathlib import Path

from autoforge.db.private import make_folder
from autoforge.errors import AutoforgeError
from autoforge.telemetry.disk import reserve

SLOTS = 65_536
_ERA = SLOTS
"""One slot more, which no tag has: what the process heard of it changes when it may have missed something."""

Mark = tuple[tuple[int, int, int], ...]
"""Of each tag: its slot, the host's stamp, and what this process had heard from other hosts."""


class Stamps:
    """The shared stamps of one data directory; with no path, those of this process alone.

    AutoforgeError where the file cannot be made, on a full disk for example: several processes without it would show
    each other's changes late, which nobody would notice.
    """

    def __init__(self, path: Path | None = None) -> None:
        size = 2 * (SLOTS + 1) * 8
        self.identity = secrets.token_hex(8) if path is None else ""
        self._memory = mmap.mmap(-1, size) if path is None else self._shared(path, size)
        both = memoryview(self._memory).cast("Q")
        self._slots, self._told = both[: SLOTS + 1], both[SLOTS + 1 :]
        self._heard_memory = mmap.mmap(-1, (SLOTS + 1) * 8)
        self._heard = memoryview(self._heard_memory).cast("Q")
        self.linked = False
        """Whether other hosts can be heard: then a mark also depends on having missed nothing."""

    def read(self, tags: Iterable[str]) -> Mark:
        """The present stamps of ``tags``, to be kept beside a value that is loaded after this call."""
        slots, heard = self._slots, self._heard
        mark = tuple((slot, slots[slot], heard[slot]) for slot in map(slot_of, tags))
        return (*mark, (_ERA, 0, heard[_ERA])) if self.linked else mark

    def hold(self, mark: Mark) -> bool:
        """Whether none of the tags has been forgotten since ``mark`` was read, as far as this process knows."""
        slots, heard = self._slots, self._heard
        for slot, stamp, word in mark:  # noqa: SIM110 (a generator would double the cost of a hit)
            if slots[slot] != stamp or heard[slot] != word:
                return False
        return True

    def change(self, tags: Iterable[str]) -> None:
        """Forgets the tags in every process that maps the same file."""
        for tag in tags:
            self._slots[slot_of(tag)] = secrets.randbits(63) | 1

    # --- what other hosts say, and what they have been told -----------------------------------------------------------

    def hear(self, slots: Iterable[int]) -> None:
        """Another host forgot these slots."""
        for slot in slots:
            if 0 <= slot < SLOTS:
                self._heard[slot] += 1

    def doubt(self) -> None:
        """Something may have been missed: no mark that was read before this holds any more."""
        self._heard[_ERA] += 1

    def untold(self, slots: Iterable[int]) -> list[tuple[int, int]]:
        """Those of the slots that changed on this host without Redis having been told, each with its stamp."""
        return [(slot, self._slots[slot]) for slot in slots if self._slots[slot] != self._told[slot]]

    def tell(self, changes: Iterable[tuple[int, int]]) -> None:
        """Redis has been told, after these stamps were read by :meth:`untold`.

        A slot that changed again meanwhile stays untold. Should two processes tell at once and leave a slot untold that
        is not, then whoever needs it next tells it again.
        """
        for slot, stamp in changes:
            if self._slots[slot] == stamp:
                self._told[slot] = stamp

    def close(self) -> None:
        for view in (self._slots, self._told, self._heard):
            view.release()
        for memory in (self._memory, self._heard_memory):
            try:
                memory.close()
            except BufferError:  # the cast of the whole still waits for the garbage collector
                continue

    def _shared(self, path: Path, size: int) -> mmap.mmap:
        try:
            return self._mapped(path, size)
        except OSError as error:
            what = f"{path} cannot be made, through which processes tell each other what changed ({size:,} bytes)"
            raise AutoforgeError(
                f"{what}: {error.strerror}. Make room or give access there, then start again."
            ) from error

    def _mapped(self, path: Path, size: int) -> mmap.mmap:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            reserve(descriptor, size)  # always: a file of an older version is long enough, and has no room
            status = os.fstat(descriptor)
            self.identity = f"{_boot()}:{status.st_dev}:{status.st_ino}"
            return mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)


def slot_of(tag: str) -> int:
    return zlib.crc32(tag.encode()) % SLOTS


def slots_of(tags: Iterable[str]) -> tuple[int, ...]:
    return tuple(map(slot_of, tags))


def _boot() -> str:
    """Names this host and its run: two processes with one name and one file share memory for certain.

    A copied or network-mounted data directory does not make two hosts one.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return secrets.token_hex(8)  # elsewhere each process listens for itself, which costs only needless misses
