"""Keeps files of a database in the machine's memory by reading them through again and again.

On SQLite short statements run on the event loop, on the promise that what they read is in memory: a page that has to
come from a disk holds up every request of the process. The system takes pages out of memory that nobody read for a
while, on some hosts long before memory is short; this process reads them before that. It does so within half a percent
of a core or of the disk: where reading takes long, since memory is short after all, it is done as much less often.

Never in a process that has the database open: closing a file drops the locks that SQLite holds on it there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

_BETWEEN = 3.0
"""Seconds; what is read twice within some ten stays."""
_SHARE = 200
"""So many times as long as reading took, nothing is read."""
_AT_ONCE = 256 * 1024


def keep_warm(paths: Sequence[str], most: int) -> None:
    """For ever; a file of more than ``most`` bytes is left alone, as is one that does not exist (yet)."""
    while True:
        time.sleep(read_through(paths, most))


def read_through(paths: Sequence[str], most: int) -> float:
    """Once; returns the seconds to wait before the next time."""
    began, room = time.monotonic(), bytearray(_AT_ONCE)
    for path in paths:
        try:
            with open(path, "rb", buffering=0) as file:
                if os.fstat(file.fileno()).st_size <= most:
                    while file.readinto(room):
                        pass
        except OSError:
            continue  # it is not there, or its disk fails, which others will say better
    return max(_BETWEEN, (time.monotonic() - began) * _SHARE)
