"""The jobs' routes and pages for an admin, for a member of another workspace, and a pool that runs the jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest

from autoforge.access import Actor
from autoforge.access.deps import Gate
from autoforge.access.limits import Budgets
from autoforge.db import Database
from autoforge.jobs import pages, routes
from tests import make
from tests.queue.conftest import Jobs, jobs, pool, start_pool
from tests.web.client import serving

__all__ = ["jobs", "pool", "start_pool"]


@pytest.fixture
async def owner(database: Database) -> Actor:
    async with database.write() as session:
        return await make.actor(session)


@pytest.fixture
async def client(jobs: Jobs, owner: Actor) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(jobs.database, owner, api=(routes.router,), pages=(pages.router,)) as opened:
        yield opened


@pytest.fixture
async def as_member(client: httpx2.AsyncClient, owner: Actor, database: Database) -> httpx2.AsyncClient:
    """The same client, but who asks is a member of another workspace from now on, and no admin."""
    async with database.write() as session:
        stranger = await make.actor(session, "elsewhere")
    member = replace(stranger, role="user", manages=False)
    client.app.state.gate = Gate(b"", Budgets(database, 0), owner=member)  # type: ignore[attr-defined]
    return client


@pytest.fixture
async def as_colleague(client: httpx2.AsyncClient, owner: Actor, database: Database) -> httpx2.AsyncClient:
    """The same client, but who asks is another member of the owner's workspace from now on, with the role user."""
    async with database.write() as session:
        stranger = await make.actor(session, "elsewhere")
    place = {"workspace_id": owner.workspace_id, "workspace_slug": owner.workspace_slug}
    colleague = replace(stranger, role="user", manages=False, **place)
    client.app.state.gate = Gate(b"", Budgets(database, 0), owner=colleague)  # type: ignore[attr-defined]
    return client
