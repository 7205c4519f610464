"""Clients that begin a download and do not read on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2


@asynccontextmanager
async def stalled(app: Any, path: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[list[int]]:
    """Asks ``app`` for ``path`` and takes the first piece of the body only; goes away at the end of the block.

    Gives the list of the statuses that were answered: one.
    """
    reading, gone = asyncio.Event(), asyncio.Event()
    statuses: list[int] = []
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        if (message := next(asked, None)) is not None:
            return message
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        else:
            reading.set()
            await gone.wait()

    task = asyncio.create_task(app(scope_of(path, headers or {}), receive, send))
    waiting = asyncio.create_task(reading.wait())
    try:
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        yield statuses
    finally:
        gone.set()
        waiting.cancel()
        await asyncio.gather(task, return_exceptions=True)


def scope_of(path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    parts = urlsplit(path)
    sent = {"host": "testserver"} | {name.lower(): value for name, value in headers.items()}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "state": {},
    }


@asynccontextmanager
async def two_stalled(client: httpx2.AsyncClient, path: str) -> AsyncIterator[None]:
    """Two downloads of ``path`` that are not read on, from the application of a client of ``tests.web.client``."""
    app: Any = client.app  # type: ignore[attr-defined]
    async with AsyncExitStack() as stack:
        for _ in range(2):
            assert await stack.enter_async_context(stalled(app, path)) == [200]
        yield
