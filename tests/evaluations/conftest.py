"""Two people with a suite and runs each, and the routes and pages of evaluations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import httpx2
import pytest

from autoforge.access import Actor
from autoforge.analytics import pages as analytics_pages
from autoforge.analytics import routes as analytics_routes
from autoforge.db import Database
from autoforge.evaluations import pages, routes, run_editing, suite_pages, suite_routes
from autoforge.evaluations.cases import Outcome
from autoforge.evaluations.suite_commands import StoredSuite
from tests import make
from tests.web.client import serving


@dataclass
class World:
    database: Database
    owner: Actor
    stranger: Actor
    suite: StoredSuite
    prompt: tuple[UUID, UUID]
    runs: list[UUID]
    foreign_run: UUID
    foreign_suite: UUID


@pytest.fixture
async def world(database: Database) -> World:
    async with database.write() as session:
        owner, stranger = await make.actor(session), await make.actor(session, "other")
        suite = await make.suite(session, owner, 8, name="math")
        prompt = await make.prompt(session, owner, "mail")
        made = {"prompt_id": prompt[0], "version_id": prompt[1]}
        runs = [
            await make.evaluation(session, owner, suite, outcomes=[Outcome.FAIL, Outcome.PASS], **made),
            await make.evaluation(session, owner, suite, **made),
        ]
        theirs = await make.suite(session, stranger)
        foreign = await make.evaluation(session, stranger, theirs)
    return World(database, owner, stranger, suite, prompt, runs, foreign, theirs.suite_id)


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    api = (suite_routes.router, routes.router, analytics_routes.router)
    shown = (run_editing.router, suite_pages.router, pages.router, analytics_pages.router)
    async with serving(world.database, world.owner, api=api, pages=shown) as opened:
        yield opened


async def more_runs(world: World) -> None:
    """As many runs and suites again, and a prompt for the analysis."""
    async with world.database.write() as session:
        made = {"prompt_id": world.prompt[0], "version_id": world.prompt[1]}
        for _ in range(6):
            await make.evaluation(session, world.owner, world.suite, **made)
            await make.suite(session, world.owner)
