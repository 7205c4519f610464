"""Invitation links for imported people: who gets one, that it is given out once, and who may ask."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import update

from autoforge.access import audit, members, queries
from autoforge.access.tokens import digest
from autoforge.db import Database, clock
from autoforge.db import models as m
from autoforge.errors import Unauthenticated
from autoforge.users import import_files, import_pages
from autoforge.users.importing import Options
from tests import make
from tests.users.importing import World
from tests.users.importing import world as make_world
from tests.web.client import serving

pytestmark = pytest.mark.anyio
SECRET = b""
TEXT = """email,name,is_active
ann@example.org,Änn,yes
evil@example.org,=cmd(),yes
here@example.org,Has been here,yes
off@example.org,Deactivated,no
nobody,No address,yes
"""


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> World:
    return await make_world(database, tmp_path)


@asynccontextmanager
async def asked_by(world: World, **changes: Any) -> AsyncIterator[httpx2.AsyncClient]:
    actor = replace(world.actor, **changes)
    async with serving(world.database, actor, pages=(import_pages.router,)) as client:
        client.app.state.services.settings = world.settings  # type: ignore[attr-defined]
        yield client


async def imported(world: World, **options: Any) -> UUID:
    job_id = await world.enqueue(TEXT.encode(), options=Options(**options))
    async with world.working():
        await world.ended(job_id)
    return job_id


def page_of(job_id: UUID) -> str:
    return f"/w/main/people/import/jobs/{job_id}"


def table(answer: httpx2.Response) -> list[list[str]]:
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"].startswith('attachment; filename="invitations-')
    return list(csv.reader(answer.content.decode("utf-8-sig").splitlines()))


def token_of(row: list[str]) -> str:
    address, _, token = row[2].partition("#token=")
    assert address == "http://testserver/welcome"
    return token


async def open_links(world: World, rows: list[list[str]]) -> list[Any]:
    async with world.database.read() as session:
        return [await queries.open_link(session, digest(SECRET, token_of(row))) for row in rows]


async def test_who_never_signed_in_gets_a_link_that_works_once(world: World) -> None:
    job_id = await imported(world)
    async with world.database.write() as session:
        here = update(m.User).where(m.User.email == "here@example.org").values(last_login_at=clock.now())
        await session.execute(here)
    async with asked_by(world) as client:
        assert "Make invitation links" in (await client.get(page_of(job_id))).text
        first = table(await client.post(f"{page_of(job_id)}/links"))
        assert [row[:2] for row in first] == [
            ["name", "email"],
            ["Änn", "ann@example.org"],
            ["'=cmd()", "evil@example.org"],
        ]
        again = table(await client.post(f"{page_of(job_id)}/links"))
    assert await open_links(world, first[1:]) == [None, None]
    assert [link.name for link in await open_links(world, again[1:])] == ["main", "main"]
    async with world.database.write() as session:
        user_id = await members.accept(session, SECRET, token_of(again[1]), "hashed", "")
    assert user_id == (await world.users())["ann@example.org"].id
    with pytest.raises(Unauthenticated):
        async with world.database.write() as session:
            await members.accept(session, SECRET, token_of(again[1]), "hashed", "")
    await _stands_in_the_log(world, job_id, [*first[1:], *again[1:]])


async def _stands_in_the_log(world: World, job_id: UUID, rows: list[list[str]]) -> None:
    async with world.database.read() as session:
        entries = [one async for one in audit.entries(session)]
    made = [one for one in entries if one["action"] == "password_link_made"]
    assert [one["detail"] for one in made] == [{"import": str(job_id)}] * 4
    assert not [row for row in rows if token_of(row) in str(entries)]


async def test_who_may_not_gets_none(world: World) -> None:
    job_id = await imported(world)
    links = f"{page_of(job_id)}/links"
    async with asked_by(world, role="manager") as client:  # an admin might stand in the file
        assert "Make invitation links" not in (await client.get(page_of(job_id))).text
        assert (await client.post(links)).status_code == 403
    async with asked_by(world, scopes=("users:write",)) as client:
        assert (await client.post(links)).status_code == 403
    async with world.database.write() as session:
        other = await make.actor(session, "other")
    elsewhere = {"workspace_id": other.workspace_id, "workspace_slug": other.workspace_slug}
    async with asked_by(world, **elsewhere) as client:
        assert (await client.post(links.replace("/main/", f"/{other.workspace_slug}/"))).status_code == 404
    assert await world.count(m.OneTimeLink) == 0


async def test_where_there_is_nobody_to_invite_the_page_says_so(world: World) -> None:
    tried = await imported(world, dry_run=True)
    async with asked_by(world) as client:
        assert "Make invitation links" not in (await client.get(page_of(tried))).text
        assert (await client.post(f"{page_of(tried)}/links")).headers["location"] == page_of(tried)
        job_id = await imported(world)
        async with world.database.write() as session:
            await session.execute(update(m.User).values(last_login_at=clock.now()))
        answer = await client.post(f"{page_of(job_id)}/links")
        assert (answer.status_code, answer.headers["location"]) == (303, page_of(job_id))
        assert "signed in already" in (await client.get(page_of(job_id))).text
        import_files.forget(world.settings, world.actor.workspace_id, (await world.show(job_id)).asked.file)
        await client.post(f"{page_of(job_id)}/links")
        assert "not kept any more" in (await client.get(page_of(job_id))).text
    assert await world.count(m.OneTimeLink) == 0
