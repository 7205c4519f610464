"""The whole product in this process: the application with its lifespan, two people in two workspaces, their keys."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI
from sqlalchemy import insert

from autoforge.access import Actor, sessions
from autoforge.app import Product, create
from autoforge.db import Database, clock
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.settings import DatabaseSettings, JobsSettings, Settings
from autoforge.users import import_files
from tests import make

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Site:
    """``mine`` and ``theirs`` are the headers of two people's API keys; ``owner`` and ``other`` are these people."""

    app: Product
    client: httpx2.AsyncClient
    database: Database
    owner: Actor
    other: Actor
    mine: Mapping[str, str]
    theirs: Mapping[str, str]


def settings(data: Path, database_url: str = "", **given: Any) -> Settings:
    given = {"sign_in": True, "requests_per_minute": 0, "log_level": "error", **given}
    jobs = JobsSettings(executor="none")
    return Settings(data=data, database=DatabaseSettings(url=database_url), jobs=jobs, **given)


@asynccontextmanager
async def opened(chosen: Settings) -> AsyncIterator[Site]:
    app = create(chosen)
    async with app.router.lifespan_context(app):
        services = app.state.services
        database: Database = services.database
        async with database.write() as session:
            other = await make.actor(session, "other")
        mine, theirs = [await key(app, actor) for actor in (services.owner, other)]
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=f"http://{HOST}", headers=mine) as client:
            await _fill(client, services)
            yield Site(app, client, database, services.owner, other, mine, theirs)


async def _fill(client: httpx2.AsyncClient, services: Any) -> None:
    """One of everything that the samples do not have."""
    template = {"name": "private", "content": {"messages": [{"role": "user", "content": "Hello"}]}}
    assert (await client.post("/api/v1/templates", json=template)).status_code == 201
    owner, now = services.owner, clock.now()
    file = await import_files.keep(services.settings, owner.workspace_id, _pieces(b"email,name\na@example.com,A\n"))
    asked = {"file": file, "name": "people.csv", "columns": ["email", "name"], "mapping": ["email=email", "name=name"]}
    payload = json.dumps({**asked, "on_existing": "skip", "dry_run": False, "rows": 1})
    mine = {"id": new_id(), "workspace_id": owner.workspace_id, "created_by": owner.user_id, "created_at": now}
    job = {"task": "users.import", "status": "completed", "run_after": now, "turn_at": now, "ended_at": now}
    link = {"kind": "invitation", "token_hash": b"x" * 32, "email": "new@example.com", "expires_at": now}
    _keep_profile(services.settings.data / "profiles")
    async with services.database.write() as session:
        await session.execute(insert(m.Job), {**mine, **job, "payload": payload, "result": "{}"})
        await session.execute(insert(m.OneTimeLink), {**mine, **link, "id": new_id()})


def _keep_profile(folder: Path) -> None:
    tree = {"function": "f", "place": "a.py:1", "seconds": 0.1, "own": 0.1, "waiting": 0.0, "children": []}
    about = {"kind": "request", "what": "GET /", "by": "tests", "process": "a", "at": 0.0, "seconds": 0.1}
    found = {"id": "0000000000001", **about, "cpu_seconds": 0.1, "samples": 100, "tree": tree}
    folder.mkdir(exist_ok=True)
    (folder / f"{found['id']}.json").write_text(json.dumps(found))


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def key(app: FastAPI, actor: Actor, *scopes: str) -> dict[str, str]:
    """The header of a new API key of a person; without scopes it may do all that they may."""
    async with app.state.services.database.write() as session:
        made = await sessions.make_key(session, app.state.gate.secret, actor, "tests", scopes or ("*:admin",), None)
    return {"Authorization": f"Bearer {made.text}"}


async def signed_in(site: Site, actor: Actor) -> dict[str, str]:
    """The headers that a person's browser sends."""
    async with site.database.write() as session:
        token = await sessions.begin(session, site.app.state.gate.secret, actor.user_id, "127.0.0.1", "tests")
    return {"Cookie": f"autoforge_session={token}", "Origin": "http://127.0.0.1"}
