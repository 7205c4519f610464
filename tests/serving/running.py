"""``autoforge serve`` with several workers, and connections to the one or the other of them."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests import servers

MAIN = "import sys; from autoforge.cli import main; sys.argv[0] = 'autoforge'; sys.exit(main())"
COMMAND = (sys.executable, "-c", MAIN)


@dataclass
class Asking:
    """One keep-alive connection. ``worker`` is the id of the process at its other end."""

    port: int
    headers: dict[str, str]
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=servers.PATIENCE)

    def __call__(self, method: str, path: str, body: Any = None, **more: str) -> tuple[int, Any]:
        """Status and what the JSON says."""
        headers = {"Content-Type": "application/json", **self.headers, **more}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        said = answer.read()
        return answer.status, json.loads(said) if said.startswith((b"{", b"[")) else said

    @property
    def worker(self) -> int:
        assert self.connection.sock is not None
        ours = self.connection.sock.getsockname()[1]
        inode = _sockets()[self.port, ours]
        return next(worker for worker, held in _holders() if held == f"socket:[{inode}]")


def _sockets() -> dict[tuple[int, int], str]:
    """The inode of each TCP socket by its own port and that of the other end."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {(int(row[1].split(":")[1], 16), int(row[2].split(":")[1], 16)): row[9] for row in rows}


def _holders() -> Iterator[tuple[int, str]]:
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            yield int(link.parts[2]), os.readlink(link)
        except OSError:
            continue


def until(found: Callable[[], Any]) -> Any:
    """What ``found`` gives once it is true."""
    deadline = time.monotonic() + servers.PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return value


@dataclass
class Service:
    """A running service: the supervisor's process, its port, data directory, output, and an admin's API key."""

    process: subprocess.Popen[bytes]
    port: int
    data: Path
    log: Path
    headers: dict[str, str] = field(default_factory=dict)
    asking: list[Asking] = field(default_factory=list)

    def ask(self, headers: dict[str, str] | None = None) -> Asking:
        """A new connection, closed with the service."""
        self.asking.append(Asking(self.port, self.headers if headers is None else headers))
        return self.asking[-1]

    def workers(self) -> set[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return set(map(int, listed.split()))

    def one_of_each(self) -> list[Asking]:
        """A connection to each worker."""
        found: dict[int, Asking] = {}

        def all_found() -> bool:
            asking = self.ask()
            if asking("GET", "/api/v1/ready")[0] == 200:
                found.setdefault(asking.worker, asking)
            return len(found) == len(self.workers())

        until(all_found)
        return list(found.values())

    def autoforge(self, *arguments: str) -> str:
        """A command of the product on the same data."""
        command = [*COMMAND, *arguments, "--data", str(self.data)]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=self.data.parent).stdout

    def sign_in(self) -> None:
        link = re.search(r"#token=(\S+)", self.log.read_text())
        assert link is not None
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        asking = self.ask()
        asking.connection.request("POST", "/sign-in/link", urlencode({"token": link[1]}), form)
        answer = asking.connection.getresponse()
        answer.read()
        cookie = str(answer.getheader("Set-Cookie")).partition(";")[0]
        same = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{self.port}", "Sec-Fetch-Site": "same-origin"}
        self.headers = self.new_key(self.ask(same))[1]

    def new_key(self, asking: Asking) -> tuple[str, dict[str, str]]:
        """Its id and its header."""
        status, made = asking("POST", "/api/v1/keys", {"name": "tests", "scopes": ["*:admin"]})
        assert status == 201, made
        return made["id"], {"Authorization": f"Bearer {made['key']}"}


@contextmanager
def running(data: Path, *arguments: str, **environment: str) -> Iterator[Service]:
    """``autoforge serve`` with two workers, until the end of the block."""
    log = data.parent / f"{data.name}.log"
    command = [*COMMAND, "serve", "--workers", "2", "--port", "0", "--data", str(data), "--no-samples"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *arguments], stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
    service = Service(process, 0, data, log)
    try:
        until(lambda: process.poll() is not None or " is at http" in log.read_text())
        assert process.poll() is None, log.read_text()
        service.port = int(re.findall(r" is at http://127.0.0.1:(\d+)", log.read_text())[0])
        until(lambda: servers.answers_http(service.port))
        service.sign_in()
        yield service
    finally:
        for asking in service.asking:
            asking.connection.close()
        process.terminate()
        try:
            assert process.wait(servers.PATIENCE) == 0
        finally:
            process.kill()
