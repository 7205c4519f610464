"""The whole product as a user starts it: jobs run beside the server, events arrive, and it ends when it is asked to."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests import servers

MAIN = "import sys; from autoforge.cli import main; sys.argv[0] = 'autoforge'; sys.exit(main())"


def autoforge(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", MAIN, *arguments, "--data", str(data)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=data.parent)


def enqueue(data: Path, options: str = "") -> str:
    """The id of a job that another process enqueues: the clean-up, which every installation has."""
    program = f"""
import asyncio, datetime, pathlib
from autoforge.db import clock
from autoforge.jobs.tasks import clean_up
from autoforge.operations.opening import open_services
from autoforge.queue import enqueue
from autoforge.settings import load_settings

async def main():
    async with open_services(load_settings(data=pathlib.Path({str(data)!r}), samples=False)) as services:
        async with services.database.write() as session:
            print(await enqueue(session, services.owner, clean_up, {{}}, {options}))

asyncio.run(main())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=servers.ROOT)
    return ran.stdout.strip()


TOMORROW = "run_after=clock.now() + datetime.timedelta(days=1)"


def shown(job_id: str, data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(autoforge("jobs", "show", job_id, "--json", data=data).stdout)
    return found


@contextmanager
def worker(data: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", MAIN, "worker", "--data", str(data), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=data.parent)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_server_runs_jobs_and_ends_while_somebody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFORGE_SIGN_IN", "false")
    waiting, told, ready = enqueue(tmp_path / "data", TOMORROW), list[str](), threading.Event()

    def watch(url: str) -> None:
        with httpx2.stream("GET", f"{url}/api/v1/jobs/{waiting}/events", timeout=servers.PATIENCE) as answer:
            for line in answer.iter_lines():
                told.append(line)
                if line.startswith("data: "):
                    ready.set()

    with servers.serve(tmp_path / "data", "--no-samples") as served:
        job_id = enqueue(served.data)
        followed = httpx2.get(f"{served.url}/api/v1/jobs/{job_id}/events", timeout=servers.PATIENCE).text
        assert re.search(r'event: end\nid: \d+\ndata: {"status":"completed"', followed)
        watching = threading.Thread(target=watch, args=(served.url,))
        watching.start()
        assert ready.wait(servers.PATIENCE)
    watching.join(servers.PATIENCE)
    assert not watching.is_alive()
    assert "event: progress" in told
    assert shown(waiting, served.data)["status"] == "pending"


def test_a_worker_process_runs_jobs_and_ends_when_asked(tmp_path: Path) -> None:
    data = tmp_path / "data"
    job_id = enqueue(data)
    with worker(data, "--concurrency", "2") as process:
        assert process.stdout is not None
        assert "is ready" in process.stdout.readline()
        while (job := shown(job_id, data))["status"] != "completed":
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(servers.PATIENCE) == 0
    assert job["result"] == {"deleted": 0}


def test_the_command_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert "There are no jobs" in autoforge("jobs", "list", data=data).stdout
    job_id = enqueue(data, TOMORROW)
    assert job_id in autoforge("jobs", "list", data=data).stdout
    listed = json.loads(autoforge("jobs", "list", "--json", "--status", "pending", data=data).stdout)
    assert [job["id"] for job in listed] == [job_id]
    assert json.loads(autoforge("jobs", "cancel", job_id, "--json", data=data).stdout)["status"] == "cancelled"
    again = autoforge("jobs", "cancel", job_id, data=data)
    assert (again.returncode, again.stdout, again.stderr.count("\n")) == (2, "", 1)
    assert "waits again" in autoforge("jobs", "retry", job_id, data=data).stdout
    assert shown(job_id, data)["status"] == "pending"
    assert autoforge("jobs", "show", "nonsense", data=data).returncode == 2
    assert autoforge("worker", "--queues", "nonsense", data=data).returncode == 2
