"""Files that are read through so that they stay in memory; the supervisor does so for SQLite's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoforge import warmth
from autoforge.cli.serve import files_of
from autoforge.settings import DatabaseSettings, Settings
from tests.serving.running import until
from tests.serving.test_supervisor import supervised


def read_bytes(paths: list[Path], most: int) -> int:
    """How many bytes a process asks the system for that reads these through, as the kernel counts them."""
    code = (
        "import sys; from autoforge.warmth import read_through\n"
        "def read(): return int(open('/proc/self/io').readline().split()[1])\n"
        "read(); before = read(); unread = read() - before; before = read()\n"
        "read_through(sys.argv[2:], int(sys.argv[1])); print(read() - before - unread)"
    )
    given = [sys.executable, "-c", code, str(most), *map(str, paths)]
    return int(subprocess.run(given, capture_output=True, text=True, check=True).stdout)


def test_all_of_a_file_is_read_and_nothing_of_one_that_is_too_large(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x" * 1_000_000)
    large.write_bytes(b"x" * 1_000_001)
    read = read_bytes([large, tmp_path / "missing", tmp_path, small], 1_000_000)
    assert 0 <= read - 1_000_000 < 1_000


def test_what_takes_long_is_done_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((10.0, 10.001, 20.0, 21.0))
    monkeypatch.setattr(warmth.time, "monotonic", lambda: next(moments))
    assert warmth.read_through([], 1) == 3.0
    assert warmth.read_through([], 1) == 200.0


def test_the_files_are_those_of_sqlite(tmp_path: Path) -> None:
    def of(url: str) -> list[str]:
        return files_of(Settings(data=tmp_path, database=DatabaseSettings(url=url)))

    assert of("") == [str(tmp_path / "autoforge.db"), str(tmp_path / "autoforge.db-wal")]
    assert of("sqlite:////var/x.db") == ["/var/x.db", "/var/x.db-wal"]
    assert of("postgresql://localhost/x") == []


def test_the_supervisor_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "file"
    os.mkfifo(file)

    def is_being_read() -> bool:
        try:
            os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # nobody has opened it
            return False
        return True

    with supervised(tmp_path, warm=[str(file)], warm_bytes=10) as started:
        until(lambda: len(started.ready()) == 2)
        until(is_being_read)
