"""Room on the disk for files that processes map into their memory.

A file that was only made long (``ftruncate``) has no blocks yet. To write through a mapping where the disk has none
left ends the process with SIGBUS, in the middle of whatever it does; so the room is taken before the file is mapped,
where a full disk is an ordinary error.
"""

from __future__ import annotations

import errno
import os

_BLOCK = 512
"""Bytes: no file system has smaller blocks."""
_UNKNOWN = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def reserve(descriptor: int, size: int) -> None:
    """Makes an open file at least ``size`` bytes long, and sees that all of them have their room; what is there stays.

    OSError (ENOSPC) when there is none. Other processes may have the file mapped.
    """
    if hasattr(os, "posix_fallocate"):  # not on macOS
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
        else:
            return
    _touch_blocks(descriptor, size)


def _touch_blocks(descriptor: int, size: int) -> None:
    """Writes a zero over a zero at the end of each block, which gives it its room.

    Should another process store a number there between the two steps, then one byte of it is lost: of a stamp, that is
    a needless miss.
    """
    for last in (*range(_BLOCK - 1, size - 1, _BLOCK), size - 1):
        if os.pread(descriptor, 1, last) in (b"", b"\0"):
            os.pwrite(descriptor, b"\0", last)
