"""Where nobody signs in: who asks is the owner, whatever their browser brings along, in the workspace they name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from autoforge.db import count_statements
from tests.access.people import ORIGIN, browsing, person
from tests.web.site import Site, opened, settings

STALE = {"Cookie": "autoforge_session=stale"}
PROMPT = {"name": "where", "content": "Hello"}


@pytest.fixture
async def site(tmp_path: Path, database_url: str) -> AsyncIterator[Site]:
    async with opened(settings(tmp_path / "data", database_url, samples=False, sign_in=False)) as running:
        yield running


@pytest.fixture
async def anybody(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    async with browsing(site) as client:
        yield client


async def test_a_cookie_of_another_time_locks_nobody_out(anybody: httpx2.AsyncClient) -> None:
    for path in ("/w/main", "/api/v1/me", "/account"):
        assert (await anybody.get(path, headers=STALE)).status_code == 200, path
    assert (await anybody.post("/api/v1/prompts", json=PROMPT, headers=STALE)).status_code == 201
    with count_statements() as counted:
        assert (await anybody.get("/api/v1/me", headers={**STALE, "X-Workspace": "main"})).status_code == 200
        before = counted.count
        assert (await anybody.get("/api/v1/me", headers={**STALE, "X-Workspace": "main"})).status_code == 200
    assert counted.count - before == 1  # what it answers; who asks is known


async def test_the_owner_is_in_the_workspace_that_they_name(site: Site, anybody: httpx2.AsyncClient) -> None:
    mine = {"X-Workspace": "mine"}
    assert (await anybody.get("/api/v1/me", headers=mine)).status_code == 404
    assert (await anybody.post("/api/v1/workspaces", json={"name": "Mine", "slug": "mine"})).status_code == 201
    assert (await anybody.get("/w/mine")).status_code == 200
    assert (await anybody.get("/api/v1/me", headers=mine)).json()["workspace"] == "mine"
    assert (await anybody.get("/api/v1/me")).json()["workspace"] == "main"
    assert (await anybody.post("/api/v1/prompts", json=PROMPT, headers={**mine, **STALE})).status_code == 201
    assert len((await anybody.get("/api/v1/prompts", headers=mine)).json()["items"]) == 1
    assert (await anybody.get("/api/v1/prompts")).json()["items"] == []
    assert (await anybody.get("/w/nowhere")).status_code == 404
    with count_statements() as counted:
        await anybody.get("/api/v1/me", headers=mine)
    assert counted.count == 1


async def test_somebody_who_signs_in_is_themselves(site: Site, anybody: httpx2.AsyncClient) -> None:
    await person(site, member=True)
    form = {"email": "ada@example.com", "password": "correct horse battery staple"}
    assert (await anybody.post("/sign-in", data=form, headers={"Origin": ORIGIN})).status_code == 303
    assert (await anybody.get("/api/v1/me")).json()["name"] == "ada"
    assert (await anybody.get("/w/other")).status_code == 404
