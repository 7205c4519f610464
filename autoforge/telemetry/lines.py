"""Log lines on their way to stderr: those of requests gathered, all others at once, and all in their order.

A server that logs every request writes thousands of lines a second. Writing each by itself would cost more than the
request, and whoever reads slowly (a full pipe) would hold up the event loop. So lines of requests wait a moment for
each other, and a thread writes them together. Any other line is written at once, after those that wait: errors are out
when the process dies of them. What waits is written at the end of the process, and lost only when it is killed.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections import deque
from contextlib import suppress

TOGETHER = 0.1
"""Seconds that lines wait for each other at most."""
MOST = 20_000
"""Lines that may wait; who adds one more writes them all, however long that takes: none is ever dropped."""


class Lines:
    """Where lines go. Each ends with a line break; ``later`` is for the event loop, ``now`` for any thread."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._writing = threading.Lock()
        self._wanted = threading.Event()
        self._asked = False
        self._thread: threading.Thread | None = None

    def later(self, line: str) -> None:
        """Written with others soon, in order. Costs some 100 ns."""
        self._waiting.append(line)
        if not self._asked:
            self._asked = True
            self._start()
            self._wanted.set()
        elif len(self._waiting) > MOST:
            self.flush()

    def now(self, line: str) -> None:
        """Written before this returns."""
        self._waiting.append(line)
        self.flush()

    def flush(self) -> None:
        """Writes what waits; it is lost when nobody reads any more."""
        with self._writing:
            self._asked = False  # before taking: what is added from here on asks again
            taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if taken:
                with suppress(OSError, ValueError):  # nobody reads any more: no reason to fail a request
                    sys.stderr.write("".join(taken))
                    sys.stderr.flush()

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():  # a fork has the object without its thread
            self._thread = threading.Thread(target=self._write, name="log lines", daemon=True)
            self._thread.start()

    def _write(self) -> None:
        pause = threading.Event()
        while self._wanted.wait():
            self._wanted.clear()
            pause.wait(TOGETHER)
            self.flush()


LINES = Lines()
"""The lines of this process."""


atexit.register(LINES.flush)
