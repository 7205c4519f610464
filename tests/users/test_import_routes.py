"""Imports over HTTP and in pages: at once, as a job, the report, and who may."""

from __future__ import annotations

import csv
import io
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from autoforge.db import Database
from autoforge.db import models as m
from autoforge.users import cleanup_routes, import_files, import_pages, import_queries, import_routes
from autoforge.web import idempotency
from tests import make
from tests.users.importing import World, people
from tests.users.importing import world as make_world
from tests.web.client import API, serving
from tests.web.stalled import two_stalled

pytestmark = pytest.mark.anyio
URL = f"{API}/users/import"
FOLLOWING = 'hx-trigger="every 1s"'
CSV = {"Content-Type": "text/csv"}


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> World:
    return await make_world(database, tmp_path)


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    async with as_actor(world) as client:
        yield client


@asynccontextmanager
async def as_actor(world: World, **changes: Any) -> AsyncIterator[httpx2.AsyncClient]:
    api = (import_routes.router, cleanup_routes.router)
    actor = replace(world.actor, **changes)
    async with serving(world.database, actor, api=api, pages=(import_pages.router,)) as client:
        app = client.app  # type: ignore[attr-defined]
        app.state.services.settings = world.settings
        idempotency.install(app)
        yield client


async def test_small_files_are_answered_at_once(world: World, client: httpx2.AsyncClient) -> None:
    text = "Mail;Name;Team\nann@example.org;Änn;Core\nnobody;Ben;Core\n"
    params = {"map": ["profile.team=Team"], "dry_run": "true"}
    tried = await client.post(URL, params=params, content=text.encode("cp1252"), headers=CSV)
    assert tried.status_code == 200
    assert (tried.json()["inserted"], tried.json()["failed"], await world.users()) == (1, 1, {})
    done = await client.post(URL, params={"map": "profile.team=Team"}, files={"file": ("p.csv", text.encode("cp1252"))})
    rows = done.json().pop("results")
    assert [(row["line"], row["outcome"]) for row in rows] == [(2, "inserted"), (3, "failed")]
    assert rows[1]["errors"] == [{"column": "Mail", "message": "'nobody' is no e-mail address."}]
    assert (await world.users())["ann@example.org"].name == "Änn"


async def test_larger_files_become_a_job_with_a_report(world: World, client: httpx2.AsyncClient) -> None:
    text = people(range(150)) + "=cmd(),Evil,x\n@x,Evil,y\n"
    started = await client.post(URL, content=text, headers=CSV, params={"filename": "a.csv"})
    job_id = started.json()["job_id"]
    assert (started.status_code, started.json()["rows"]) == (202, 152)
    assert started.headers["location"] == f"{API}/jobs/{job_id}"
    async with world.working():
        await world.ended(UUID(job_id))
    shown = await client.get(f"{URL}/{job_id}")
    assert {key: shown.json()[key] for key in ("status", "rows", "total", "inserted", "failed", "file")} == {
        "status": "completed", "rows": 152, "total": 152, "inserted": 150, "failed": 2, "file": "a.csv",
    }  # fmt: skip
    again = await client.get(f"{URL}/{job_id}", headers={"If-None-Match": shown.headers["etag"]})
    assert again.status_code == 304
    first = (await client.get(f"{URL}/{job_id}/errors", params={"limit": 1})).json()
    second = (await client.get(f"{URL}/{job_id}/errors", params={"limit": 1, "after": first["next"]})).json()
    assert [(one["line"], one["column"]) for one in first["items"] + second["items"]] == [
        (152, "email"),
        (153, "email"),
    ]
    report = await client.get(f"{URL}/{job_id}/errors.csv")
    table = list(csv.reader(io.StringIO(report.content.decode("utf-8-sig"), newline="")))
    assert table[0] == ["error_line", "error_column", "error_reason", "email", "name", "team"]
    assert table[1][3:] == ["'=cmd()", "Evil", "x"]
    async with two_stalled(client, f"{URL}/{job_id}/errors.csv"):
        for address in (f"{URL}/{job_id}/errors.csv", f"/w/main/people/import/jobs/{job_id}/errors.csv"):
            assert (await client.get(address)).status_code == 503
        assert (await client.get(f"{URL}/{job_id}/errors")).status_code == 200
    fixed = report.content.decode().replace("'=cmd()", "fixed@example.org")
    done = (await client.post(URL, content=fixed.encode(), headers=CSV)).json()
    assert (done["inserted"], done["failed"]) == (1, 1)
    assert len(await world.users()) == 151


async def test_a_request_with_a_key_that_is_sent_again_has_one_effect(world: World, client: httpx2.AsyncClient) -> None:
    headers = {**CSV, "Idempotency-Key": "once"}
    first, second = [await client.post(URL, content=people(range(200)), headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    assert await world.count(m.Job) == 1


@pytest.mark.parametrize(
    ("content", "params", "message"),
    [
        (b"", {}, "empty"),
        (b"email\n", {}, "holds no rows"),
        (b"email,password\na@example.org,x\n", {}, "never imported"),
        (b"name\nAnn\n", {}, "No column holds e-mail addresses"),
        (b"email\na@example.org\n", {"map": "x=y"}, "no field 'x'"),
        (b'email\n"a@example.org\n', {}, "never closed"),
        (b"PK\x03\x04aaaaaaaaaaaa", {}, "spreadsheet"),
        (b"email\n\x00\n", {}, "NUL"),
    ],
)
async def test_what_cannot_be_imported_says_why(
    world: World, client: httpx2.AsyncClient, content: bytes, params: dict[str, str], message: str
) -> None:
    answer = await client.post(URL, content=content, headers=CSV, params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert message in answer.json()["detail"]
    assert await world.users() == {}


async def test_files_are_private_and_go_when_they_are_not_needed(world: World, client: httpx2.AsyncClient) -> None:
    job_id = (await client.post(URL, content=people(range(150)), headers=CSV)).json()["job_id"]
    refused = await client.post(URL, content=b"email,password\na@example.org,x\n", headers=CSV)
    assert refused.status_code == 422
    kept = list(world.settings.data.glob("imports/*/*"))
    assert len(kept) == 1
    assert stat.S_IMODE(kept[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(kept[0].parent.stat().st_mode) == 0o700
    os.utime(kept[0], (0, 0))
    async with world.database.read() as session:
        needed = await import_queries.needed_files(session)
    assert import_files.forget_old(world.settings, needed) == 0
    async with world.working():
        await world.ended(UUID(job_id))
    assert import_files.forget_old(world.settings, ()) == 1
    assert not kept[0].exists()


async def test_who_may_not_import(world: World) -> None:
    job_id = await world.enqueue(people(range(150)).encode())
    async with as_actor(world, role="user", manages=False) as client:
        assert (await client.post(URL, content=people([1]), headers=CSV)).status_code == 403
        for path in (f"{URL}/{job_id}", f"{URL}/{job_id}/errors", f"{URL}/{job_id}/errors.csv", f"{API}/users/cleanup"):
            assert (await client.get(path)).status_code == 403, path
        assert (await client.get("/w/main/people/import")).status_code == 403
    async with as_actor(world, role="manager") as client:
        assert (await client.get(f"{API}/users/cleanup")).status_code == 403
        assert (await client.post(f"{API}/users/cleanup")).status_code == 403
    other = await make_other(world)
    async with as_actor(replace(world, actor=other)) as client:
        for path in (f"{URL}/{job_id}", f"{URL}/{job_id}/errors", f"{URL}/{job_id}/errors.csv"):
            assert (await client.get(path)).status_code == 404, path


async def make_other(world: World) -> Any:
    async with world.database.write() as session:
        return await make.actor(session, "other")


# --- pages ------------------------------------------------------------------------------------------------------------


async def test_the_pages_lead_from_a_file_to_its_report(world: World, client: httpx2.AsyncClient) -> None:
    text = "first,last,team\nAnn,Müller,Core\nBen,,Edge\n<b>Eve</b>,X,\n"
    files = {"file": ("C:\\people <x>.csv", text.encode("utf-16"))}
    uploaded = await client.post("/w/main/people/import", files=files)
    address = uploaded.headers["location"]
    assert uploaded.status_code == 303
    first = await client.get(address)
    assert "No column holds e-mail addresses" in first.text
    assert "UTF-16" in first.text
    query = {"chosen": 1, "email": "{first}.{last}@example.org", "name": "first+last", "keep": "team", "file": "p.csv"}
    chosen = await client.get(address.partition("?")[0], params=query)
    assert "ann.muller@example.org" in chosen.text
    assert "It is empty, and the address is made of it." in chosen.text
    assert "<b>Eve" not in chosen.text
    form = {**query, "action": "import", "on_existing": "skip"}
    started = await client.post(address.partition("?")[0], data=form)
    assert started.status_code == 303
    progress = started.headers["location"]
    assert FOLLOWING in (await client.get(progress)).text
    async with world.working():
        await world.ended(UUID(progress.rpartition("/")[2]))
    done = await client.get(progress)
    assert FOLLOWING not in done.text
    assert "Download the report" in done.text
    report = await client.get(f"{progress}/errors.csv")
    assert b"2,last" not in report.content
    assert b'3,last,"It is empty, and the address is made of it.",Ben,,Edge' in report.content
    assert (await world.users())["ann.muller@example.org"].profile == '{"team":"Core"}'


async def test_a_wrong_upload_or_mapping_stays_on_its_page(world: World, client: httpx2.AsyncClient) -> None:
    wrong = await client.post("/w/main/people/import", files={"file": ("a.csv", b"email,password\na,b\n")})
    assert (wrong.status_code, "never imported" in wrong.text) == (422, True)
    uploaded = await client.post("/w/main/people/import", files={"file": ("a.csv", b"x\na@example.org\n")})
    address = uploaded.headers["location"].partition("?")[0]
    wrong = await client.post(address, data={"email": "y", "action": "import"})
    assert (wrong.status_code, "There is no column &#39;y&#39;" in wrong.text) == (422, True)
    assert (await client.get(f"/w/main/people/import/{'0' * 64}")).status_code == 404
    assert (await client.get("/w/main/people/import/..%2F..%2Fetc")).status_code == 404
