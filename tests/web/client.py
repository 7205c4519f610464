"""A client that speaks to some routers over ASGI, on a database that the test has: no server, no port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from types import SimpleNamespace
from typing import Any

import httpx2
from fastapi import APIRouter, FastAPI
from starlette.datastructures import State

from autoforge.access import Actor
from autoforge.access.deps import Gate
from autoforge.access.limits import Budgets
from autoforge.cache import Cache
from autoforge.db import Database
from autoforge.web import problems
from autoforge.web.middleware import Edge

HOST = "testserver"
API = "/api/v1"


_MADE: dict[tuple[tuple[int, ...], ...], tuple[FastAPI, object]] = {}


def _application(api: tuple[APIRouter, ...], pages: tuple[APIRouter, ...]) -> FastAPI:
    """Made once for all tests of the same routers: the framework takes a tenth of a second to work their routes out.

    The routers are kept beside it, so that no other can get the address that one is known by here.
    """
    key = tuple(map(id, api)), tuple(map(id, pages))
    if key not in _MADE:
        app = FastAPI()
        problems.install(app)
        for router in api:
            app.include_router(router, prefix=API)
        for router in pages:
            app.include_router(router, include_in_schema=False)
        _MADE[key] = app, (api, pages)
    return _MADE[key][0]


@asynccontextmanager
async def serving(
    database: Database, owner: Actor, *, api: tuple[APIRouter, ...] = (), pages: tuple[APIRouter, ...] = ()
) -> AsyncIterator[httpx2.AsyncClient]:
    """``owner`` is who asks, and may do everything.

    Errors become problem documents, as in the product; nothing is raised into the test.
    """
    app = copy(_application(api, pages))
    app.state, app.middleware_stack = State(), None
    kept = Cache()
    database.touched = lambda tags: kept.forget(*tags)
    app.state.services = SimpleNamespace(settings=None, database=database, cache=kept, owner=owner)
    app.state.gate = Gate(b"", Budgets(database, 0), owner=owner)
    edge: Any = Edge(app, hosts={HOST}, most_bytes=16 * 1024 * 1024)
    transport = httpx2.ASGITransport(app=edge, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        client.app = app  # type: ignore[attr-defined]
        yield client
