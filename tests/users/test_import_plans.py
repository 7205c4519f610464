"""What imports and clean-ups ask of the database stays cheap among many people, jobs and faults."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from autoforge.access import sessions
from autoforge.db import Database, bulk, clock, plans
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.db.trace import add_hook
from autoforge.users import cleanup, import_queries
from tests import make
from tests.users.importing import World, people
from tests.users.importing import world as make_world

pytestmark = pytest.mark.anyio

ALLOWED = {
    "users.admin_seen_last": "sorts the admins, of whom there are few, by when they came last",
    "users.import_known": "sorts one batch, at most a thousand people, so that two imports lock them in one order",
    "users.cleanups": "sorts the clean-ups that are kept, some dozens",
}


def users(number: int) -> Iterator[dict[str, Any]]:
    at = clock.now() - timedelta(days=900)
    for index in range(number):
        deleted = at if index % 20 == 0 else None
        row = {"id": new_id(), "email": f"u{index}@example.org", "name": f"U {index}", "deleted_at": deleted}
        yield row | {"created_at": at + timedelta(minutes=index), "last_login_at": clock.now(), "updated_at": at}


def jobs(number: int) -> Iterator[dict[str, Any]]:
    now = clock.now()
    for index in range(number):
        at = now - timedelta(minutes=index)
        row = {"id": new_id(), "task": f"test.{index % 9}", "run_after": at, "turn_at": at, "created_at": at}
        yield row | {"status": "completed", "ended_at": at, "idempotency_key": f"k{index}"}


def workspace(number: int) -> dict[str, Any]:
    return {"id": new_id(), "slug": f"team-{number}", "name": "Team", "created_at": clock.now()}


def member(world: World, user_id: UUID) -> dict[str, Any]:
    return {"workspace_id": world.actor.workspace_id, "user_id": user_id, "created_at": clock.now()}


def api_key(world: World, user_id: UUID) -> dict[str, Any]:
    row = {"id": new_id(), "name": "k", "prefix": "k", "scopes": "[]", "key_hash": user_id.bytes * 2}
    return row | member(world, user_id)


def signed_in(user_id: UUID) -> dict[str, Any]:
    now = clock.now()
    row = {"id": new_id(), "user_id": user_id, "token_hash": user_id.bytes * 2, "created_at": now}
    return row | {"seen_at": now, "expires_at": now}


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> World:
    world = await make_world(database, tmp_path)
    async with database.write(bulk=True) as session:
        found = list(users(20_000))
        await bulk.insert_many(session, m.User, found)
        await bulk.insert_many(session, m.Workspace, (workspace(n) for n in range(3_000)))
        keys = [one["id"] for one in found]
        await bulk.insert_many(session, m.Membership, (member(world, key) for key in keys))
        await bulk.insert_many(session, m.ApiKey, (api_key(world, key) for key in keys[:5_000]))
        await bulk.insert_many(session, m.SignInSession, (signed_in(key) for key in keys))
        await bulk.insert_many(session, m.Job, jobs(20_000))
        job_id = new_id()
        await bulk.insert_many(session, m.Job, [next(jobs(1)) | {"id": job_id, "idempotency_key": "with faults"}])
        faults = ({"id": new_id(), "job_id": job_id, "line": n, "message": "x"} for n in range(5_000))
        await bulk.insert_many(session, m.ImportFault, faults)
        await make.analyze(session)
    return world


async def everything(world: World) -> None:
    """All statements of imports and clean-ups, once."""
    await world.import_now(people(range(50)))
    await world.import_now("email,name\nu1@example.org,New\nu2@example.org,New\n", on_existing="update")
    job_id = await world.enqueue(people(range(20)).encode() + b"nobody,,\n")
    async with world.working():
        await world.ended(job_id)
    async with world.database.read() as session:
        await import_queries.faults(session, job_id, 10, None)
        assert [row async for rows in import_queries.report_rows(session, job_id) for row in rows]
        assert await import_queries.needed_files(session)
        assert await import_queries.name_of(session, world.actor.user_id)
        position = await cleanup.begin(session, world.actor.user_id, clock.now() - timedelta(days=365))
        await cleanup.inactive(session, position, 50, None)
        await cleanup.runs(session)
    async with world.database.write() as session:
        await cleanup.remove(session, world.actor, "test", position)
        await cleanup.restore(session, world.actor, "test", position.moment, None)
        await sessions.shut_out(session, [new_id()])


async def test_no_statement_reads_a_growing_table_whole(world: World) -> None:
    collected = plans.Collected()
    remove = add_hook(collected)
    try:
        await everything(world)
    finally:
        remove()
    found: list[plans.Finding] = []
    async with world.database.read() as session:
        for (_, sql), ran in collected.examples.items():
            if ran.name.startswith("users."):
                found += await plans.findings(session, ran.name, sql, ran.bound)
    told = "\n".join(map(str, plans.unexpected(found, ALLOWED)))
    assert not told, told


async def test_the_look_up_of_a_batch_stays_as_quick_as_the_table_grows(world: World) -> None:
    """PostgreSQL keeps plans: one made while there were few people must not be used when there are many."""
    seen: list[str] = []
    remove = add_hook(lambda ran: seen.append(ran.name))
    try:
        await world.import_now(people(range(2_000)))
    finally:
        remove()
    expected = 2 if world.database.dialect == "postgresql" else 0
    assert seen.count("users.import_plan") == expected
    assert seen.count("users.import_known") == 2
