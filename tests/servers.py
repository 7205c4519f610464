"""Real servers for tests: PostgreSQL, Redis and AutoForgeNexus itself, each on a free port of the loopback interface.

A server is a child process of the test run, so that the run ends it and reaps it whatever happens in between; should
the run itself be killed, Linux tells the server to stop (``setpriv --pdeathsig``).
"""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).parent.parent
_MEMORY = Path("/dev/shm")
PATIENCE = 60.0
"""Seconds that a server may take to come up or to go down on a busy machine."""


class Missing(Exception):
    """The machine lacks a program; the message says which."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Does anything listen on that port of the loopback interface?"""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def answers_http(port: int) -> bool:
    """Does a web server answer there, whatever it says?"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    """Polls until the server is ready; a server that ends or takes too long is an error that shows its log."""
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not come up:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.02)


def _end(process: subprocess.Popen[bytes], polite: signal.Signals) -> None:
    """Asks the server to stop, and ends its whole process group when it does not."""
    if process.poll() is None:
        process.send_signal(polite)
        try:
            process.wait(PATIENCE / 2)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _running_as(user: str | None) -> dict[str, Any]:
    """What makes :mod:`subprocess` run a program as ``user``."""
    return {"user": user, "group": user, "extra_groups": ()} if user else {}


@contextmanager
def child(
    command: Sequence[str],
    folder: Path,
    ready: Callable[[], bool],
    *,
    stop: signal.Signals = signal.SIGTERM,
    **options: Any,
) -> Iterator[Path]:
    """Runs a server until the block ends; ``stop`` asks it to, ``options`` are those of ``Popen``.

    Gives the file that its output goes to.
    """
    leash = ["setpriv", "--pdeathsig", stop.name.removeprefix("SIG")] if shutil.which("setpriv") else []
    options |= {"cwd": folder, "stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "start_new_session": True}
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*leash, *command], stdout=output, **options)
    try:
        _wait(process, ready, log)
        yield log
    finally:
        _end(process, stop)


@contextmanager
def _folder(name: str, user: str | None = None, within: Path | None = None) -> Iterator[Path]:
    """A temporary folder that ``user`` may use; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix=f"autoforge-{name}-", dir=within))
    try:
        if user:
            shutil.chown(folder, user, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """A folder in memory with room enough: making a database takes a third of the time there."""
    has_room = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 4 * 2**30
    return _MEMORY if has_room else None


def _postgres_programs() -> Path:
    """The folder of the newest PostgreSQL server here; Debian keeps it off the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("initdb")
    if not found:
        raise Missing("no PostgreSQL server on this machine (Debian, Ubuntu: apt-get install postgresql)")
    return Path(found).resolve().parent


def _account(name: str) -> str | None:
    """PostgreSQL refuses to run as root: then it runs as the account of its package."""
    if os.getuid() != 0:
        return None
    import pwd  # not on Windows

    try:
        pwd.getpwnam(name)
    except KeyError:
        raise Missing(f"PostgreSQL does not run as root, and there is no account {name!r} to run it as") from None
    return name


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[str]:
    """A PostgreSQL server that forgets everything; gives the URL of its database ``postgres``.

    ``durable`` keeps the settings that a real one has: a commit is on disk before it is acknowledged.
    """
    programs, account = _postgres_programs(), _account("postgres")
    with _folder("postgres", account, None if durable else _memory()) as folder:
        data, port = folder / "data", free_port()
        identity = _running_as(account)
        initialise = [
            str(programs / "initdb"),
            "-D",
            str(data),
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run([*initialise, "--no-sync"], cwd=folder, check=True, capture_output=True, **identity)
        options = ["timezone=UTC", "max_connections=200"]
        options += [] if durable else ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        listen = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", str(folder)]
        command = [str(programs / "postgres"), "-D", str(data), *listen, *(part for o in options for part in ("-c", o))]
        with child(command, folder, lambda: _speaks_postgres(port), stop=signal.SIGINT, **identity):
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _speaks_postgres(port: int) -> bool:
    """Is it past recovery? It answers a start-up message with an authentication request (R), not an error (E)."""
    start = b"\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall((len(start) + 4).to_bytes(4) + start)
            answer = connection.recv(1)
            connection.sendall(b"X\x00\x00\x00\x04")
            return answer == b"R"
    except OSError:
        return False


def on_postgres(url: str, statement: str) -> None:
    """Runs one statement outside of any transaction."""
    asyncio.run(_on_postgres(url, lambda connection: connection.execute(statement)))


def create_database(url: str, name: str, template: str) -> None:
    """A copy of the database ``template``; where its files are in memory, a copy of these."""

    async def create(connection: Any) -> None:
        folder = await connection.fetchval("SELECT current_setting('data_directory', true)")
        in_memory = Path(folder or "").is_relative_to(_MEMORY) and connection.get_server_version().major >= 15
        strategy = " STRATEGY FILE_COPY" if in_memory else ""
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}{strategy}")

    asyncio.run(_on_postgres(url, create))


async def _on_postgres(url: str, work: Callable[[Any], Awaitable[object]]) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await work(connection)
    finally:
        await connection.close()


def naming(url: str, database: str) -> str:
    """The URL of another database on the same server."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


@contextmanager
def redis() -> Iterator[str]:
    """A Redis server that keeps nothing; gives its URL."""
    program = shutil.which("redis-server")
    if not program:
        raise Missing("no Redis server on this machine (Debian, Ubuntu: apt-get install redis-server)")
    port = free_port()
    with _folder("redis") as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with child(command, folder, lambda: accepts(port)):
            yield f"redis://127.0.0.1:{port}/0"


@dataclass(frozen=True, slots=True)
class Served:
    """A running AutoForgeNexus: its address (no slash at the end), its data directory, the file with its output.

    ``link`` signs in the owner, once, within 15 minutes; "" where nobody has to sign in. ``cookie`` is that of the
    owner, signed in.
    """

    url: str
    data: Path
    log: Path
    link: str = ""
    cookie: str = ""

    @property
    def cookies(self) -> list[dict[str, str]]:
        """For a browser: what makes it the owner's."""
        return [{"name": "autoforge_session", "value": self.cookie, "url": self.url}] if self.cookie else []


@contextmanager
def serve(data: Path, *arguments: str, sign_in: bool = False) -> Iterator[Served]:
    """``autoforge serve`` as a user starts it, on a free port; without ``sign_in`` everybody is the owner."""
    port = free_port()
    with _folder("serve") as folder:
        main = "import sys; from autoforge.cli import main; sys.argv[0] = 'autoforge'; sys.exit(main())"
        command = [sys.executable, "-c", main, "serve", "--port", str(port), "--data", str(data), *arguments]
        environment = {"AUTOFORGE_SIGN_IN": str(sign_in), **os.environ}
        with child(command, folder, lambda: answers_http(port), env=environment) as log:
            link = re.search(r"http\S+#token=\S+", log.read_text(errors="replace"))
            yield Served(f"http://127.0.0.1:{port}", data, log, link[0] if link else "")


def signed_in(served: Served) -> Served:
    """The same server, with the cookie of its owner: the link that it printed is used up."""
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=PATIENCE)
    try:
        form = urlencode({"token": urlsplit(served.link).fragment})
        connection.request("POST", "/sign-in/link", form, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        cookie = re.search(r"autoforge_session=([^;]+)", answer.getheader("Set-Cookie") or "")
        assert cookie is not None, answer.read()
        return replace(served, cookie=cookie[1])
    finally:
        connection.close()
