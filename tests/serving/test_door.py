"""What stands between granian and the application, and what the application says of its readiness."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from autoforge.serving import Door
from autoforge.web.closing import close_soon
from tests.web.site import opened, settings

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """A worker sets it up for itself; the process of the tests goes on with what it had."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


SCOPE = {"type": "http", "http_version": "1.1"}


class Application:
    def __init__(self) -> None:
        self.state = SimpleNamespace(closing=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.startup.complete"})
            await receive()
        else:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})


async def headers(door: Door) -> Any:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await door(SCOPE, None, send)  # type: ignore[arg-type]
    return sent[0]["headers"]


@asynccontextmanager
async def living() -> AsyncIterator[tuple[Door, Application, socket.socket, socket.socket]]:
    """A door whose application has started, the supervisor's end of its channel, and its listening socket."""
    ours, theirs = socket.socketpair()
    over = asyncio.Event()

    async def send(message: Any) -> None:
        assert message["type"] == "lifespan.startup.complete"

    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        app = Application()
        door = Door(app, theirs, listening.fileno())
        life = asyncio.ensure_future(door({"type": "lifespan"}, over.wait, send))  # type: ignore[arg-type]
        assert await asyncio.to_thread(ours.recv, 64) == b"ready\n"
        yield door, app, ours, listening
        over.set()
        await life


def accepted(listening: socket.socket) -> Any:
    connection, address = listening.accept()
    connection.close()
    return address


async def until_closing(app: Application) -> None:
    async with asyncio.timeout(60):
        while not app.state.closing:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_who_hands_over_accepts_nobody_and_answers_each_connection_once_more() -> None:
    async with living() as (door, app, supervisor, listening):
        address = listening.getsockname()
        waiting = socket.create_connection(address)
        assert await headers(door) == [(b"a", b"b")]
        successors = listening.dup()
        supervisor.send(b"hand over\n")
        await until_closing(app)
        with pytest.raises(BlockingIOError):
            listening.accept()
        assert accepted(successors) == waiting.getsockname()
        assert await headers(door) == [(b"a", b"b"), (b"connection", b"close")]
        for one in (waiting, successors):
            one.close()


async def test_who_is_about_to_end_goes_on_accepting() -> None:
    async with living() as (door, app, supervisor, listening):
        supervisor.send(b"away\n")
        await until_closing(app)
        with socket.create_connection(listening.getsockname()) as waiting:
            assert accepted(listening) == waiting.getsockname()
        assert await headers(door) == [(b"a", b"b")]


async def test_a_worker_ends_when_its_supervisor_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, asked.set)
    try:
        async with living() as (_, _, supervisor, _):
            supervisor.close()
            await asyncio.wait_for(asked.wait(), 60)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_it_is_ready_with_its_migrations_and_until_its_end_is_near(tmp_path: Path, database_url: str) -> None:
    async with opened(settings(tmp_path, database_url, samples=False)) as site:

        async def ready() -> tuple[int, str]:
            answer = await site.client.get("/api/v1/ready")
            assert (await site.client.get("/api/v1/health")).status_code == 200
            return answer.status_code, answer.json().get("detail", "")

        async def at(revision: str) -> None:
            async with site.database.write() as session:
                await session.execute(text("UPDATE alembic_version SET version_num = :at"), {"at": revision})

        assert await ready() == (200, "")
        await at("0001")
        status, detail = await ready()
        assert (status, detail.startswith("the database is at revision 0001")) == (503, True)
        await at("9999")  # a newer version is about to take over
        assert await ready() == (200, "")
        close_soon(site.app.state)
        assert await ready() == (503, "this process is about to end")
