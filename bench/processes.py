"""Programs that a measurement starts, and what they take: memory and processor time of a process and its children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import answers_http, free_port

PATIENCE = 180.0
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Running:
    """A server: its process, port, output and how many seconds it took until it answered."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    started_in: float

    @property
    def family(self) -> list[int]:
        """The process and all that descend from it."""
        return family(self.process.pid)


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    ready: Callable[[int], bool] = answers_http,
) -> Iterator[Running]:
    """The program until the block ends; then it is asked to stop, and its family is ended when it does not."""
    log = folder / "output.log"
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while not ready(port):
            if process.poll() is not None or time.monotonic() - began > PATIENCE:
                raise RuntimeError(f"{command[0]} did not come up:\n{log.read_text(errors='replace')[-2_000:]}")
            time.sleep(0.02)
        yield Running(process, port, log, time.monotonic() - began)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    members = family(process.pid)
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
    for member in members:
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


@contextmanager
def autoforge(
    data: Path, *arguments: str, environment: Mapping[str, str] | None = None, sign_in: bool = True
) -> Iterator[Running]:
    """``autoforge serve`` as a user starts it, on a free port."""
    port, root = free_port(), Path(__file__).parent.parent
    main = "import sys; from autoforge.cli import main; sys.argv[0] = 'autoforge'; sys.exit(main())"
    command = [sys.executable, "-c", main, "serve", "--port", str(port), "--data", str(data), "--no-samples"]
    settings = {"PYTHONPATH": str(root), "AUTOFORGE_SIGN_IN": str(sign_in), **(environment or {})}
    with running([*command, *arguments], port, data, settings) as server:
        yield server


def family(pid: int) -> list[int]:
    """The process and its descendants, oldest first."""
    found = [pid]
    for member in found:
        found += _children(member)
    return [member for member in found if Path(f"/proc/{member}").exists()]


def _children(pid: int) -> list[int]:
    try:
        texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(part) for text in texts for part in text.split()]


def memory(pids: Sequence[int]) -> tuple[float, float]:
    """Megabytes: resident (pages that are shared counted in each process), and proportional (counted once)."""
    return _megabytes(pids, "Rss:"), _megabytes(pids, "Pss:")


def _megabytes(pids: Sequence[int], name: str) -> float:
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith(name))
    return total / 1024


def processor(pids: Sequence[int]) -> float:
    """Seconds of user and system time so far."""
    total = 0
    for pid in pids:
        try:
            parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(parts[11]) + int(parts[12])
    return total / _TICK
