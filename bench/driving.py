"""A load generator as a child process, and what it answers."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
Segment = tuple[float, float] | tuple[float, float, int]
"""Requests a second (0: a closed loop), seconds, and how many requests of a closed loop at most."""


class Load:
    """Connected to a server; runs segments of (requests a second, seconds) one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load generator ended")
        return json.loads(line)

    def run(self, *segments: Segment) -> dict[str, Any]:
        """``segments`` (see :meth:`bench.load.tally.Tally.summary`) and what the ``generator`` cost."""
        self.tell([(*one, 0)[:3] for one in segments])
        found: dict[str, Any] = self.hear()
        return found

    def run_beside(self, segments: Sequence[Segment], work: Any) -> dict[str, Any]:
        """The same, while ``work`` is called in this thread; what it raises is raised after the segments."""
        self.tell([(*one, 0)[:3] for one in segments])
        found: list[dict[str, Any]] = []
        hearing = threading.Thread(target=lambda: found.append(self.hear()))
        hearing.start()
        try:
            work()
        finally:
            hearing.join()
        return found[0]


@contextmanager
def loading(port: int, connections: int, patience: float = 10.0, **what: Any) -> Iterator[Load]:
    """``what``: ``facts`` or ``requests``, a file (see :mod:`bench.load.__main__`)."""
    command = [sys.executable, "-m", "bench.load"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    load = Load(process)
    try:
        plan = {"host": "127.0.0.1", "port": port, "connections": connections, "patience": patience}
        load.tell(plan | {name: str(value) for name, value in what.items()})
        load.hear()
        yield load
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
