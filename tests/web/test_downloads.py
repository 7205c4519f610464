"""Downloads that are not read on hold their place and nobody else's connection, and give it back however they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from starlette.responses import Response

from autoforge.db import Database
from autoforge.web import downloads, problems
from autoforge.web.downloads import Download, TooSlow
from tests.web.stalled import scope_of, stalled

pytestmark = pytest.mark.anyio


def serving(database: Database) -> tuple[FastAPI, list[str]]:
    """An application with a download, and what became of the bodies that were begun."""
    app, told = FastAPI(), []
    problems.install(app)

    async def body(request: Request) -> AsyncGenerator[bytes, None]:
        try:
            async with database.read():
                told.append(f"begun with {request.app.state.downloads}")
                yield b"a piece"
                if "fails" in request.query_params:
                    raise ValueError("in the middle")
                yield b"another"
        finally:
            told.append(f"ended with {request.app.state.downloads}")

    async def download(request: Request) -> Response:
        made = Download(body(request), media_type="text/plain")
        return Response(status_code=204) if "dropped" in request.query_params else made

    app.add_api_route("/file", download, response_model=None)
    return app, told


async def answer(app: FastAPI, path: str = "/file") -> httpx2.Response:
    transport: Any = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.get(path)


async def test_two_that_are_not_read_on_leave_connections_to_others(database: Database) -> None:
    app, told = serving(database)
    async with stalled(app, "/file") as first:
        async with stalled(app, "/file") as second:
            assert (first, second) == ([200], [200])
            refused = await answer(app)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert "Two downloads are running already" in refused.json()["detail"]
            async with database.read(), database.read():
                pass
        assert (await answer(app)).text == "a pieceanother"
    assert app.state.downloads == 0
    assert told[-1] == "ended with 1", "the body is closed before its place is free"
    other, _ = serving(database)
    assert (await answer(other)).status_code == 200


async def test_many_at_once_do_not_slip_through(database: Database) -> None:
    """Found by reading: the gate was looked at in the route and taken in the body."""
    app, told = serving(database)
    async with AsyncExitStack() as stack:
        clients = [stack.enter_async_context(stalled(app, "/file")) for _ in range(6)]
        statuses = [status for found in [await one for one in clients] for status in found]
        assert sorted(statuses) == [200, 200, 503, 503, 503, 503]
        assert len(told) == 2
    assert app.state.downloads == 0


async def test_a_place_is_free_again_however_it_ends(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    app, told = serving(database)
    await answer(app, "/file?fails=1")
    assert (await answer(app, "/file?dropped=1")).status_code == 204
    assert (await answer(app)).status_code == 200
    assert (app.state.downloads, len(told)) == (0, 4)
    begun = asyncio.Event()
    task = asyncio.create_task(_held(app, begun))
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (app.state.downloads, told[-1]) == (0, "ended with 1")
    monkeypatch.setattr(downloads, "PATIENCE", 0.001)
    with pytest.raises(TooSlow):
        await _held(app, asyncio.Event())
    assert (app.state.downloads, told[-1]) == (0, "ended with 1")


async def _held(app: FastAPI, begun: asyncio.Event) -> None:
    """A download whose client is there and takes nothing, until it is cancelled or given up."""

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            begun.set()
            await asyncio.Event().wait()

    await app(scope_of("/file", {}), receive, send)
