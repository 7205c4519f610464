"""The supervisor with workers that do nothing but say that they are ready, or not."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from autoforge.cli.serve import must_be_alone
from autoforge.db.driver import dbapi
from autoforge.settings import DatabaseSettings, Settings
from tests import servers
from tests.serving.running import COMMAND, until

WORKER = """
import json, os, select, signal, socket, sys
given, folder = json.loads(sys.argv[2]), sys.argv[1]
if os.path.exists(folder + "/broken"):
    sys.exit(7)
deaf = os.path.exists(folder + "/deaf")
channel = socket.socket(fileno=given["channel"])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
channel.send(b"ready\\n")
open(folder + f"/ready-{os.getpid()}", "w").close()
while True:
    if select.select([channel], [], [], 0.02)[0]:
        if not (heard := channel.recv(64)):
            break
        with open(folder + f"/told-{os.getpid()}", "ab") as file:
            file.write(heard)
    elif signal.sigpending() and not deaf:  # what was said before is heard first
        break
"""


class Started:
    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder, self.process = folder, process

    def ready(self) -> set[int]:
        """The workers that are there, once they have said that they are ready."""
        named = {int(path.name.removeprefix("ready-")) for path in self.folder.glob("ready-*")}
        return {one for one in named if Path(f"/proc/{one}").exists()}

    def told(self, worker: int) -> str:
        file = self.folder / f"told-{worker}"
        return file.read_text() if file.exists() else ""

    def errors(self) -> str:
        return (self.folder / "errors").read_text()

    def lines(self) -> list[dict[str, str]]:
        """What the supervisor has said: each line is JSON, with the keys of the workers' lines."""
        said = [json.loads(line) for line in self.errors().splitlines()]
        for line in said:
            assert list(line) == ["event", "level", "timestamp"]
            assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
        return said


@contextmanager
def supervised(folder: Path, **plan: Any) -> Iterator[Started]:
    """Two workers, until the end of the block."""
    listening = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    with (folder / "errors").open("w") as errors, next(listening) as one, next(listening) as two:
        sockets = [one.fileno(), two.fileno()]
        command = [sys.executable, "-S", "-c", WORKER, str(folder)]
        given = {"sockets": sockets, "drain": 0.0, "delay": 0.0, "patience": 30.0, "alone": False, "command": command}
        process = subprocess.Popen(
            [sys.executable, "-m", "autoforge.supervisor", json.dumps(given | plan)],
            pass_fds=sockets,
            cwd=servers.ROOT,
            text=True,
            stderr=errors,
        )
    try:
        yield Started(folder, process)
    finally:
        process.kill()
        process.wait()


def test_workers_start_are_replaced_and_end(tmp_path: Path) -> None:
    with supervised(tmp_path) as started:
        first = until(lambda: len(started.ready()) == 2 and started.ready())
        started.process.send_signal(signal.SIGHUP)
        until(lambda: len(started.ready()) == 2 and not started.ready() & first)
        assert [started.told(worker) for worker in first] == ["hand over\n"] * 2
        started.process.terminate()
        assert started.process.wait(servers.PATIENCE) == 0
        assert started.ready() == set()
        assert [(line["level"], line["event"]) for line in started.lines()] == [
            ("info", "asked to replace the workers (2)"),
            ("info", "worker 1 is replaced; the old one answers for 0 s more"),
            ("info", "worker 2 is replaced; the old one answers for 0 s more"),
            ("info", "asked to end (SIGTERM); the workers end"),
        ]


def test_the_least_that_is_logged_holds_for_the_supervisor_too(tmp_path: Path) -> None:
    with supervised(tmp_path, level="error") as started:
        first = until(lambda: len(started.ready()) == 2 and started.ready())
        subprocess.run(["kill", "-KILL", str(min(first))], check=True)
        until(lambda: len(started.ready() - first) == 1)
        started.process.terminate()
        assert started.process.wait(servers.PATIENCE) == 0
        (line,) = started.lines()
        assert (line["level"], "signal SIGKILL" in line["event"]) == ("error", True)


def test_a_new_version_that_does_not_start_replaces_nobody(tmp_path: Path) -> None:
    with supervised(tmp_path) as started:
        first = until(lambda: len(started.ready()) == 2 and started.ready())
        (tmp_path / "broken").touch()
        started.process.send_signal(signal.SIGHUP)
        until(lambda: "exit code 7) before it was ready; nothing is replaced" in started.errors())
        assert started.ready() == first
        (tmp_path / "broken").unlink()
        started.process.send_signal(signal.SIGHUP)
        until(lambda: len(started.ready()) == 2 and not started.ready() & first)


def test_a_service_whose_workers_do_not_start_ends(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with supervised(tmp_path) as started:
        assert started.process.wait(servers.PATIENCE) == 3
        assert "the service does not start" in started.lines()[0]["event"]


def test_a_worker_that_dies_is_replaced_and_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, patience=0.2) as started:
        first = until(lambda: len(started.ready()) == 2 and started.ready())
        (tmp_path / "deaf").touch()
        dead = min(first)
        subprocess.run(["kill", "-KILL", str(dead)], check=True)
        until(lambda: len(started.ready() - first) == 1)
        assert "signal SIGKILL" in started.errors()
        started.process.terminate()
        assert started.process.wait(servers.PATIENCE) == 0
        assert "is killed" in started.errors()
        assert {line["level"] for line in started.lines()} == {"info", "warning", "error"}
        assert started.ready() == set()


def test_where_only_one_process_may_write_the_old_one_ends_first(tmp_path: Path) -> None:
    with supervised(tmp_path, alone=True) as started:
        first = until(lambda: len(started.ready()) == 2 and started.ready())
        started.process.send_signal(signal.SIGHUP)
        until(lambda: len(started.ready()) == 2 and not started.ready() & first)
        assert [started.told(worker) for worker in first] == ["", ""]


def test_before_the_end_a_load_balancer_has_time_to_notice(tmp_path: Path) -> None:
    with supervised(tmp_path, delay=30.0) as started:
        first = until(lambda: len(started.ready()) == 2 and started.ready())
        started.process.terminate()
        until(lambda: [started.told(worker) for worker in first] == ["away\n"] * 2)
        assert started.ready() == first
        started.process.terminate()  # asked twice, it does not wait
        assert started.process.wait(servers.PATIENCE) == 0


def test_workers_notice_that_their_supervisor_is_gone(tmp_path: Path) -> None:
    with supervised(tmp_path) as started:
        until(lambda: len(started.ready()) == 2)
        started.process.kill()
        until(lambda: not started.ready())


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*COMMAND, "serve", "--port", str(taken.getsockname()[1]), "--data", str(tmp_path)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 3
    assert ran.stderr.startswith("autoforge: Cannot listen on 127.0.0.1")


def test_several_processes_write_to_a_file_only_where_that_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    def settings(url: str, mmap_mb: int = 0) -> Settings:
        return Settings(database=DatabaseSettings(url=url, mmap_mb=mmap_mb))

    assert must_be_alone(settings("sqlite:///x.db")) == ""
    assert "MMAP_MB" in must_be_alone(settings("sqlite:///x.db", mmap_mb=64))
    monkeypatch.setattr(dbapi, "sqlite_version_info", (3, 51, 2))
    assert "3.51.2" in must_be_alone(settings("sqlite:///x.db"))
    assert must_be_alone(settings("postgresql://localhost/x")) == ""
