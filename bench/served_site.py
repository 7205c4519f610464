"""A filled AutoForgeNexus that is served for a measurement, on SQLite or on PostgreSQL with Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.driving import ROOT
from bench.processes import Running, autoforge, running
from tests.servers import Missing, accepts, free_port, postgres

SETTINGS = {"AUTOFORGE_LOG_REQUESTS": "true", "AUTOFORGE_REQUESTS_PER_MINUTE": "600000"}
"""A line of log for every request (into a file), and limits that are counted but not reached."""


@dataclass(frozen=True, slots=True)
class Setup:
    """``database`` is sqlite or postgresql (then with Redis); ``workers`` are processes of the server."""

    database: str
    workers: int

    def __str__(self) -> str:
        name = "SQLite" if self.database == "sqlite" else "PostgreSQL + Redis"
        return f"{name}, {self.workers} worker{'s' if self.workers > 1 else ''}"


class Redis:
    """A Redis server that can be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.port, self._folder, self._stack = free_port(), folder, ExitStack()
        self._server: Running | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        try:
            self._server = self._stack.enter_context(running(command, self.port, self._folder, ready=accepts))
        except FileNotFoundError:
            raise Missing("no Redis server on this machine (Debian, Ubuntu: apt-get install redis-server)") from None

    def kill(self) -> None:
        if self._server is not None:
            self._server.process.kill()
            self._server.process.wait()

    def close(self) -> None:
        self._stack.close()


@dataclass(frozen=True, slots=True)
class Site:
    setup: Setup
    server: Running
    facts: Path
    redis: Redis | None

    def kill_a_worker(self) -> None:
        """Without a warning, as the kernel does it when memory is short."""
        os.kill(self.server.family[-1], signal.SIGKILL)


@contextmanager
def served(setup: Setup) -> Iterator[Site]:
    """Filled, started and answering. Missing when the machine lacks PostgreSQL or Redis."""
    with tempfile.TemporaryDirectory(prefix="autoforge-bench-") as name, ExitStack() as stack:
        folder, arguments, redis = Path(name), ["--workers", str(setup.workers)], None
        if setup.database == "postgresql":
            url = stack.enter_context(postgres(durable=True))
            (folder / "redis").mkdir()
            redis = Redis(folder / "redis")
            stack.callback(redis.close)
            redis.start()
            arguments += ["--database-url", url, "--cache-url", redis.url]
        filling = [sys.executable, "-m", "bench.site", name, *arguments[3:4]]
        subprocess.run(filling, cwd=ROOT, check=True)
        server = stack.enter_context(autoforge(folder, *arguments, environment=SETTINGS))
        time.sleep(1.0)  # what a start does beside answering is no part of a measurement
        yield Site(setup, server, folder / "facts.json", redis)
