"""Jobs over HTTP, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2
import msgspec
import pytest
from sqlalchemy import func, insert, select, update

from autoforge.access import Actor
from autoforge.db import bulk, clock, count_statements, plans
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.db.trace import add_hook
from autoforge.jobs import events, queries
from autoforge.jobs.queries import STATUSES, Listing
from autoforge.jobs.tasks import clean_up
from autoforge.queue import Task
from autoforge.queue.context import Context
from autoforge.queue.pool import Pool
from autoforge.users import tasks as people_tasks
from tests import make
from tests.queue import tasks
from tests.queue.conftest import Jobs
from tests.queue.test_leases import claim_one
from tests.web.client import API

pytestmark = pytest.mark.anyio
JOBS = f"{API}/jobs"


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "BETWEEN_LOOKS", 0.005)


def parsed(text: str) -> list[dict[str, Any]]:
    """The events of a stream, as the standard reads them; comments are left out."""
    found = []
    for block in text.split("\n\n"):
        lines = [line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":")]
        if any(name == "event" for name, _ in lines):
            about: dict[str, Any] = dict(lines)
            found.append(about | {"data": msgspec.json.decode(about["data"])})
    return found


async def test_a_list_shows_the_newest_first_in_pages(jobs: Jobs, client: httpx2.AsyncClient, owner: Actor) -> None:
    ids = [str(await jobs.add(tasks.echo, number, owner)) for number in range(5)]
    await jobs.add(tasks.echo, "the system's")
    with count_statements() as counted:
        first = await client.get(JOBS, params={"limit": 3})
    assert counted.count == 1
    assert [item["id"] for item in first.json()["items"]] == ids[:1:-1]
    assert "payload" not in first.text
    second = await client.get(JOBS, params={"limit": 3, "after": first.json()["next"]})
    assert [item["id"] for item in second.json()["items"]] == ids[1::-1]
    assert second.json()["next"] is None


async def test_lists_are_filtered_and_pruned(jobs: Jobs, client: httpx2.AsyncClient, owner: Actor, pool: Pool) -> None:
    done, dead = await jobs.add(tasks.echo, 1, owner), await jobs.add(tasks.refuse, 1, owner)
    await jobs.ended(done)
    await jobs.ended(dead)
    listed = await client.get(JOBS, params={"status": "dead", "fields": "id,status"})
    assert listed.json()["items"] == [{"id": str(dead), "status": "dead"}]
    listed = await client.get(JOBS, params={"task": "test.echo", "fields": "id"})
    assert listed.json()["items"] == [{"id": str(done)}]
    assert (await client.get(JOBS, params={"fields": "payload"})).status_code == 422
    assert (await client.get(JOBS, params={"status": "lost"})).status_code == 422


async def test_jobs_of_the_system_are_the_admins(jobs: Jobs, client: httpx2.AsyncClient) -> None:
    job_id = await jobs.add(tasks.echo)
    listed = await client.get(JOBS, params={"scope": "system"})
    assert [item["id"] for item in listed.json()["items"]] == [str(job_id)]
    assert (await client.get(f"{JOBS}/{job_id}")).status_code == 200


async def test_one_job(jobs: Jobs, client: httpx2.AsyncClient, owner: Actor, pool: Pool) -> None:
    job_id = await jobs.add(tasks.in_thread, {"b": 1}, owner)
    await jobs.ended(job_id)
    with count_statements() as counted:
        answer = await client.get(f"{JOBS}/{job_id}")
    job = answer.json()
    assert counted.count == 1
    assert (job["status"], job["result"], job["done"], job["total"], job["note"]) == (
        "completed", {"b": 1}, 3, 7, "half way",
    )  # fmt: skip
    assert (job["creator"], job["error"], job["attempt"]) == ("main", None, 1)
    assert {"payload", "state", "worker", "workspace_id"}.isdisjoint(job)
    again = await client.get(f"{JOBS}/{job_id}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_others_see_nothing_and_change_nothing(jobs: Jobs, owner: Actor, as_member: httpx2.AsyncClient) -> None:
    mine, system = await jobs.add(tasks.echo, 1, owner), await jobs.add(tasks.echo)
    assert (await as_member.get(JOBS)).json()["items"] == []
    assert (await as_member.get(JOBS, params={"scope": "system"})).status_code == 403
    for job_id in (mine, system, uuid4()):
        for method, part in (("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry")):
            answer = await as_member.request(method, f"{JOBS}/{job_id}{part}")
            assert (answer.status_code, answer.json()["type"]) == (404, "urn:autoforge:problem:not-found")
    assert {(await jobs.read(job_id)).status for job_id in (mine, system)} == {"pending"}


async def test_cancelling_and_trying_again(jobs: Jobs, client: httpx2.AsyncClient, owner: Actor) -> None:
    job_id = await jobs.add(tasks.echo, 1, owner)
    assert (await client.post(f"{JOBS}/{job_id}/retry")).status_code == 409
    cancelled = await client.post(f"{JOBS}/{job_id}/cancel")
    assert (cancelled.status_code, cancelled.json()) == (202, {"status": "cancelled"})
    assert (await client.post(f"{JOBS}/{job_id}/cancel")).status_code == 409
    again = await client.post(f"{JOBS}/{job_id}/retry")
    assert (again.status_code, again.json()) == (202, {"status": "pending"})
    async with jobs.database.read() as session:
        told = await session.all(select(m.AuditEntry.action).order_by(m.AuditEntry.seq))
    assert [row.action for row in told] == ["job_cancelled", "job_retried"]


async def test_who_did_not_start_a_job_and_does_not_manage_changes_nothing(
    jobs: Jobs, owner: Actor, as_colleague: httpx2.AsyncClient
) -> None:
    job_id, others = await jobs.add(tasks.echo, 1, owner), as_colleague
    for path in ("cancel", "retry"):
        assert (await others.post(f"{JOBS}/{job_id}/{path}")).status_code == 403
    assert (await jobs.read(job_id)).status == "pending"
    gate = others.app.state.gate  # type: ignore[attr-defined]
    mine = await jobs.add(tasks.echo, 1, gate.owner)
    assert (await others.post(f"{JOBS}/{mine}/cancel")).status_code == 202
    gate.owner = replace(gate.owner, role="manager", manages=True)
    assert (await others.post(f"{JOBS}/{job_id}/cancel")).status_code == 202


@pytest.mark.parametrize(
    ("task", "manages"),
    [(people_tasks.clean_up, False), (people_tasks.clean_up, True), (people_tasks.import_users, False)],
)
async def test_the_jobs_of_admins_are_not_for_others(
    jobs: Jobs, owner: Actor, as_colleague: httpx2.AsyncClient, task: Task, manages: bool
) -> None:
    """Trying a clean-up again deletes people; and what an import says of a row is about people, too."""
    job_id = await jobs.add(task, {"days": 100}, owner)
    gate = as_colleague.app.state.gate  # type: ignore[attr-defined]
    gate.owner = replace(gate.owner, role="manager" if manages else "user", manages=manages)
    wanted = "server:admin" if task is people_tasks.clean_up else "users:admin"
    for status in ("pending", "dead"):
        ended = {"ended_at": clock.now()} if status == "dead" else {}
        told = {"status": status, "result": '"ann@example.org"', "error": "for ann@example.org", **ended}
        async with jobs.database.write() as session:
            await session.execute(update(m.Job).where(m.Job.id == job_id).values(told))
        for path in ("cancel", "retry"):
            refused = await as_colleague.post(f"{JOBS}/{job_id}/{path}")
            assert (refused.status_code, wanted in refused.json()["detail"]) == (403, True)
            assert (await as_colleague.post(f"/w/main/jobs/{job_id}/{path}")).status_code == 403
        read = await as_colleague.get(f"{JOBS}/{job_id}")
        assert (read.json()["status"], read.json()["result"], read.json()["error"]) == (status, None, None)
        page = (await as_colleague.get(f"/w/main/jobs/{job_id}")).text
        assert not any(said in page for said in ("ann@example", "Cancel the job", "Try again"))
    assert "ann@example" not in (await as_colleague.get(f"{JOBS}/{job_id}/events")).text
    gate.owner = owner
    again = await as_colleague.get(f"{JOBS}/{job_id}", headers={"If-None-Match": read.headers["etag"]})
    assert again.json()["error"] == "for ann@example.org"
    assert "Try again" in (await as_colleague.get(f"/w/main/jobs/{job_id}")).text
    assert (await as_colleague.post(f"{JOBS}/{job_id}/retry")).status_code == 202


async def test_a_running_job_is_asked_to_stop(jobs: Jobs, client: httpx2.AsyncClient, owner: Actor, pool: Pool) -> None:
    job_id = await jobs.add(tasks.patient, 1, owner)
    await jobs.running(job_id)
    assert (await client.post(f"{JOBS}/{job_id}/cancel")).json() == {"status": "running"}
    assert (await jobs.ended(job_id)).status == "cancelled"


async def test_events_follow_a_job_to_its_end(jobs: Jobs, client: httpx2.AsyncClient, owner: Actor, pool: Pool) -> None:
    job_id = await jobs.add(tasks.steps, 1, owner)
    answer = await client.get(f"{JOBS}/{job_id}/events", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in answer.headers
    assert answer.headers["cache-control"] == "private, no-store"
    told = parsed(answer.text)
    versions = [int(event["id"]) for event in told]
    assert versions == sorted(set(versions))
    assert [event["event"] for event in told] == ["progress"] * (len(told) - 1) + ["end"]
    assert told[-1]["data"] == {
        "status": "completed", "done": 10, "total": 10, "note": "", "attempt": 2, "cancel_requested": False,
        "error": told[-1]["data"]["error"],
    }  # fmt: skip


async def test_who_comes_back_is_told_what_is_new(
    jobs: Jobs, client: httpx2.AsyncClient, owner: Actor, pool: Pool
) -> None:
    job_id = await jobs.add(tasks.echo, 1, owner)
    row = await jobs.ended(job_id)
    path = f"{JOBS}/{job_id}/events"
    last = str(row.row_version)
    assert (await client.get(path, headers={"Last-Event-ID": last})).status_code == 204
    for seen in ("1", "no number", "9" * 30):
        answer = await client.get(path, headers={"Last-Event-ID": seen})
        assert [event["event"] for event in parsed(answer.text)] == ["end"]


async def test_a_stream_ends_with_the_right_to_see_it() -> None:
    rights = iter([True, True, False])

    async def look() -> dict[str, Any]:
        return dict.fromkeys(events.SHOWN, 0) | {"row_version": 3, "status": "running"}

    async def allowed() -> bool:
        return next(rights)

    told = b"".join([piece async for piece in events.stream(look, allowed, None)])
    assert [event["event"] for event in parsed(told.decode())] == ["progress"]


async def test_quiet_streams_show_that_they_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "BETWEEN_SIGNS", 0)
    rights = iter([True, True, False])

    async def look() -> dict[str, Any]:
        return {"row_version": 3, "status": "running"}

    async def allowed() -> bool:
        return next(rights)

    told = [piece async for piece in events.stream(look, allowed, 3)]
    assert told == [b"retry: 2000\n\n", b": still here\n\n", b": still here\n\n"]


async def test_lists_use_indexes(jobs: Jobs, owner: Actor) -> None:
    now = clock.now()
    fixed = {"task": "test.echo", "run_after": now, "turn_at": now}
    places = (owner.workspace_id, owner.workspace_id, None)
    rows = (
        {"id": new_id(), "created_at": now - timedelta(seconds=n)}
        | {"status": STATUSES[n % 5], "workspace_id": places[n % 3]}
        | fixed
        for n in range(20_000)
    )
    async with jobs.database.write(bulk=True) as session:
        await bulk.insert_many(session, m.Job, rows)
        await make.analyze(session)
    collected = plans.Collected()
    take_away = add_hook(collected)
    async with jobs.database.read() as session:
        for asked in (Listing(), Listing("dead"), Listing(system=True)):
            _, following = await queries.page(session, owner, asked, 10, None)
            if following:
                await queries.page(session, owner, asked, 10, following)
        take_away()
        found = [
            finding
            for ran in collected.examples.values()
            for finding in await plans.findings(session, ran.name, ran.sql, ran.bound)
        ]
    assert found == []
    assert len(collected.examples) == 6


async def test_old_jobs_are_deleted(jobs: Jobs) -> None:
    now = clock.now()
    kept: list[dict[str, Any]] = []
    gone: list[dict[str, Any]] = []
    for status, days in (("completed", 31), ("dead", 31), ("dead", 91), ("cancelled", 29), ("pending", 400)):
        at = now - timedelta(days=days)
        row = {"id": new_id(), "task": "t", "queue": "q", "status": status, "created_at": at}
        row |= {"run_after": at, "turn_at": at}
        row["ended_at"] = None if status == "pending" else at
        (gone if (status, days) in {("completed", 31), ("dead", 91)} else kept).append(row)
    async with jobs.database.write() as session:
        await session.execute(insert(m.Job), [*kept, *gone])
        fault = {"id": new_id(), "job_id": gone[0]["id"], "line": 1, "message": "m"}
        await session.execute(insert(m.ImportFault), fault)
    await jobs.add(tasks.echo)
    context = Context(await claim_one(jobs, "somebody"), jobs.services)
    assert await clean_up.function(context) == {"deleted": 2}
    async with jobs.database.read() as session:
        left = {row.id for row in await session.all(select(m.Job.id))}
        assert await session.scalar(select(func.count()).select_from(m.ImportFault)) == 0
    assert left == {row["id"] for row in kept} | {context.job_id}
