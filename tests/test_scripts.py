"""``script/server`` on a machine that has nothing yet (with a product that only echoes), and what ``bench/`` prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.run import main as run_bench
from bench.table import Table
from tests.servers import ROOT

ECHO = "import sys\n\ndef main():\n    print(sys.argv[1:])\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh checkout in a folder with a space in its name; it pins nothing, so that no registry is asked."""
    root = tmp_path / "fresh checkout"
    shutil.copytree(ROOT / "script", root / "script")
    (root / "requirements.txt").touch()
    (root / "autoforge" / "cli").mkdir(parents=True)
    (root / "autoforge" / "__init__.py").touch()
    (root / "autoforge" / "cli" / "__init__.py").write_text(ECHO)
    return root


def start(checkout: Path, *arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AUTOFORGE_PYTHON": python}
    environment.pop("PYTHONPATH", None)  # it would lead to this repository
    command = [str(checkout / "script" / "server"), *arguments]
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)


def interpreter(folder: Path, refuse: str) -> str:
    """A Python that fails whenever its arguments speak of ``refuse``."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\ncase "$*" in *"{refuse}"*) exit 1;; esac\nexec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_server_makes_its_environment_once_and_passes_its_arguments_on(checkout: Path) -> None:
    first = start(checkout, "--port", "8123", "--data", "a b")
    assert first.stdout == "['serve', '--port', '8123', '--data', 'a b']\n", first.stderr
    assert "Installing" in first.stderr
    second = start(checkout)
    assert (second.stdout, second.stderr) == ("['serve']\n", "")


def test_server_notices_that_the_folder_moved_and_that_the_pins_changed(checkout: Path) -> None:
    start(checkout)
    moved = checkout.rename(checkout.with_name("moved"))
    assert start(moved, "here").stdout == "['serve', 'here']\n"
    (moved / "requirements.txt").write_text("# a new pin\n")
    assert "Installing" in start(moved).stderr


def test_server_replaces_an_environment_that_does_not_work(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to("/nowhere")
    assert start(checkout).stdout == "['serve']\n"


def test_server_says_what_is_missing(checkout: Path, tmp_path: Path) -> None:
    without_venv = start(checkout, python=interpreter(tmp_path, "import ensurepip"))
    assert without_venv.returncode == 3
    assert "python3-venv" in without_venv.stderr
    too_old = start(checkout, python=interpreter(tmp_path, "version_info <"))
    assert too_old.returncode == 3
    assert "not a Python 3.11 or newer" in too_old.stderr


def test_bench_says_which_measurements_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_bench(["no-such-thing"]) == 2
    assert "no measurement no-such-thing" in capsys.readouterr().out


def test_table_is_aligned_markdown() -> None:
    table = Table("Inserts", ["rows", "ms"], [[10, 1.5], [10000, 120]], "Median of 5.")
    lines = ["| rows  | ms  |", "|-------|-----|", "| 10    | 1.5 |", "| 10000 | 120 |"]
    assert str(table) == "\n".join(["## Inserts", "", *lines, "", "Median of 5."])
