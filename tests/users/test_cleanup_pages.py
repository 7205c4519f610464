"""The page of the clean-up: the dry run before anything happens, following a clean-up, and undoing it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, insert, select

from autoforge.db import Database, clock
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.users import cleanup_pages
from tests.users.importing import World
from tests.users.importing import world as make_world
from tests.web.client import serving

pytestmark = pytest.mark.anyio
URL = "/people/cleanup"
FOLLOWING = 'hx-trigger="every 2s"'


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> World:
    made = await make_world(database, tmp_path)
    await away(made, 3, days=500)
    await away(made, 2, days=100)
    return made


async def away(world: World, number: int, *, days: int) -> None:
    """So many people who came last so many days ago."""
    then = clock.now() - timedelta(days=days)
    fixed = {"created_at": then, "updated_at": then}
    names = [f"away {days} {index}" for index in range(number)]
    rows = [{"id": new_id(), "name": name, "email": f"{name.replace(' ', '-')}@example.org", **fixed} for name in names]
    async with world.database.write() as session:
        await session.execute(insert(m.User), rows)


@asynccontextmanager
async def asked_by(world: World, **changes: Any) -> AsyncIterator[httpx2.AsyncClient]:
    actor = replace(world.actor, **changes)
    async with serving(world.database, actor, pages=(cleanup_pages.router,)) as client:
        client.app.state.services.settings = world.settings  # type: ignore[attr-defined]
        yield client


async def run_all(world: World) -> None:
    async with world.working(), asyncio.timeout(60):
        for job_id in await _open(world):
            while (await world.job(job_id)).ended_at is None:  # noqa: ASYNC110 - the table has no event
                await asyncio.sleep(0.01)


async def _open(world: World) -> list[Any]:
    async with world.database.read() as session:
        return [row.id for row in await session.all(select(m.Job.id).where(m.Job.ended_at.is_(None)))]


async def test_the_page_lists_first_then_removes_and_undoes(world: World) -> None:
    async with asked_by(world) as client:
        before = (await client.get(URL)).text
        assert "Remove 3 people" in before
        assert before.count("away 500") == 3
        assert "away 100" not in before
        assert "Remove 5 people" in (await client.get(URL, params={"days": 90})).text
        assert await world.count(m.User, m.User.deleted_at.is_not(None)) == 0
        started = await client.post(URL, data={"days": "365"})
        assert (started.status_code, started.headers["location"]) == (303, f"{URL}?days=365")
        assert FOLLOWING in (await client.get(URL)).text
        await run_all(world)
        done = (await client.get(URL)).text
        assert FOLLOWING not in done
        assert "Nobody would go" in done
        undo = re.search(rf'action="({URL}/[0-9a-f-]+/undo)"', done)
        assert undo is not None
        assert (await client.post(undo[1])).status_code == 303
        assert "Being undone" in (await client.get(URL)).text
        await run_all(world)
        after = (await client.get(URL)).text
        assert "3 are back" in after
        assert "Remove 3 people" in after
        assert undo[1] not in after  # there is nobody left to restore


async def test_what_cannot_be_is_said_on_the_page(world: World) -> None:
    async with asked_by(world) as client:
        for days in ("3", "x", "99999"):
            wrong = await client.get(URL, params={"days": days})
            assert (wrong.status_code, "Remove" in wrong.text.partition("Latest")[0]) == (422, False)
            assert (await client.post(URL, data={"days": days})).headers["location"] == URL
        unknown = await client.post(f"{URL}/{new_id()}/undo")
        assert (unknown.status_code, unknown.headers["location"]) == (303, URL)
    async with world.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(m.Job)) == 0


async def test_only_admins_see_it(world: World) -> None:
    async with asked_by(world, role="manager") as client:
        assert (await client.get(URL)).status_code == 403
        assert (await client.post(URL, data={"days": "365"})).status_code == 403
        assert (await client.post(f"{URL}/{new_id()}/undo")).status_code == 403
    assert await _open(world) == []
