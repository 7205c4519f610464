"""Storing the rows of a file: exactly once, whatever they say and whoever comes in between."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from contextvars import Context
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy import text as sql

from autoforge.access import audit
from autoforge.db import Database, clock, count_statements
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.users.importing import Tally
from tests.users.importing import PATIENCE, World, people
from tests.users.importing import world as make_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> World:
    return await make_world(database, tmp_path)


def tally(inserted: int = 0, updated: int = 0, skipped: int = 0, failed: int = 0) -> Tally:
    return Tally(inserted + updated + skipped + failed, inserted, updated, skipped, failed)


async def test_people_are_stored_once_however_often_they_come(world: World) -> None:
    text = people(range(2_500))
    assert (await world.import_now(text, "profile.team=team"))[1] == tally(inserted=2_500)
    assert (await world.import_now(text, "profile.team=team"))[1] == tally(skipped=2_500)
    assert (await world.import_now(text, "profile.team=team", on_existing="update"))[1] == tally(skipped=2_500)
    assert (await world.import_now(text, on_existing="error"))[1] == tally(failed=2_500)
    users = await world.users()
    one = users["person11@example.org"]
    assert len(users) == 2_500
    assert (one.name, one.role, one.is_active, one.password_hash) == ("Person 11", "user", True, None)
    assert (json.loads(one.profile), one.row_version) == ({"team": "team 4"}, 1)
    member = m.Membership.workspace_id == world.actor.workspace_id
    assert await world.count(m.Membership, member, m.Membership.role == "member") == 2_500


async def test_a_bad_row_spoils_nothing_but_itself(world: World) -> None:
    text = (
        "email,role\na@example.org,user\nnobody,user\nb@example.org,king\na@example.org,user\nc@example.org,manager\n"
    )
    results, counts = await world.import_now(text)
    assert counts == tally(inserted=2, failed=3)
    assert [one.outcome for one in results] == ["inserted", "failed", "failed", "failed", "inserted"]
    assert sorted(await world.users()) == ["a@example.org", "c@example.org"]
    assert [one.user_id for one in results if one.outcome == "inserted"] == [
        user.id for user in (await world.users()).values()
    ]


async def test_an_update_changes_what_the_file_says_and_nothing_else(world: World) -> None:
    await world.import_now(
        "email,name,role,team,desk\na@example.org,Ann,manager,Core,4\n", "profile.team=team", "profile.desk=desk"
    )
    text = "email,name,role,active,team\nA@example.org,,user,no,Edge\n"
    _, counts = await world.import_now(text, "profile.team=team", on_existing="update")
    assert counts == tally(updated=1)
    one = (await world.users())["a@example.org"]
    assert (one.name, one.role, one.is_active, one.row_version) == ("Ann", "user", False, 2)
    assert json.loads(one.profile) == {"team": "Edge", "desk": "4"}


async def test_who_is_deactivated_by_an_import_is_signed_out(world: World) -> None:
    await world.import_now(people([1]))
    user = (await world.users())["person1@example.org"]
    async with world.database.write() as session:
        open_one = {"id": new_id(), "user_id": user.id, "token_hash": b"x" * 32, "expires_at": clock.now()}
        await session.execute(insert(m.SignInSession), open_one | {"created_at": clock.now(), "seen_at": clock.now()})
    await world.import_now("email,active\nperson1@example.org,no\n", on_existing="update")
    assert await world.count(m.SignInSession, m.SignInSession.ended_at.is_not(None)) == 1


async def test_the_last_admin_stays(world: World) -> None:
    async with world.database.read() as session:
        own = await session.scalar(select(m.User.email).where(m.User.id == world.actor.user_id))
    results, counts = await world.import_now(f"email,active\n{own},no\n", on_existing="update")
    assert counts == tally(failed=1)
    assert "the last admin" in results[0].faults[0].message
    await world.import_now("email,role\nsecond@example.org,admin\nthird@example.org,admin\n")
    text = f"email,role\nsecond@example.org,user\nthird@example.org,user\n{own},user\n"
    results, counts = await world.import_now(text, on_existing="update")
    assert counts == tally(updated=2, failed=1)
    assert results[2].faults[0].column == "role"


async def test_a_manager_makes_nobody_more_than_a_user(world: World) -> None:
    manager = replace(world.actor, role="manager")
    text = "email,role\na@example.org,admin\nb@example.org,manager\nc@example.org,user\n"
    results, counts = await world.import_now(text, by=manager)
    assert counts == tally(inserted=1, failed=2)
    assert [one.faults[0].message for one in results[:2]] == [
        "You may not make anybody admin.",
        "You may not make anybody manager.",
    ]


@pytest.mark.parametrize("member", [True, False])
async def test_a_manager_changes_nobody_who_is_there_and_lets_them_join(world: World, member: bool) -> None:
    """Being a member is no right over a person: a manager can make anybody a member of a workspace of theirs."""
    manager = replace(world.actor, role="manager")
    rows = [
        {"id": new_id(), "email": f"{role}{number}@example.org", "name": "Kept", "role": role, "is_active": True}
        for role in ("user", "manager")
        for number in range(5)
    ]
    now = {"created_at": clock.now(), "updated_at": clock.now(), "profile": '{"team":"Core"}'}
    async with world.database.write() as session:
        await session.execute(insert(m.User), [row | now for row in rows])
        if member:
            places = [{"workspace_id": manager.workspace_id, "user_id": row["id"], "role": "member"} for row in rows]
            await session.execute(insert(m.Membership), [place | {"created_at": clock.now()} for place in places])
    before = await world.users()
    text = "email,name,role,active,team\n" + "".join(
        f"{who}0@example.org,Taken over,,,\n{who}1@example.org,,{other},,\n{who}2@example.org,,,no,\n"
        f"{who}3@example.org,,,,Edge\n{who}4@example.org,Kept,,yes,Core\n"
        for who, other in (("user", "manager"), ("manager", "user"))
    )
    results, counts = await world.import_now(text, "profile.team=team", on_existing="update", by=manager)
    assert await world.users() == before
    assert counts == (tally(skipped=2, failed=8) if member else tally(updated=2, failed=8))
    assert await world.count(m.Membership, m.Membership.workspace_id == manager.workspace_id) == (
        11 if member else 3
    )  # the importer is one of them
    told = [one.faults[0] for one in results[5:9]]
    assert [one.message.rpartition(", ")[2] for one in told] == [
        "and only an admin may change their name.",
        "and only an admin may change their role.",
        "and only an admin may change their access.",
        "and only an admin may change their profile.",
    ]
    assert [one.column for one in told] == ["name", "role", "active", ""]
    assert (await world.import_now(text, "profile.team=team", on_existing="update"))[1].failed == 0


async def test_a_dry_run_tells_the_same_and_stores_nothing(world: World) -> None:
    await world.import_now(people([1]))
    text = people([1, 2, 3]) + "nobody,N,x\nperson2@example.org,Again,x\n"
    _, tried = await world.import_now(text, dry_run=True)
    users, entries = await world.users(), await world.count(m.AuditEntry)
    assert sorted(users) == ["person1@example.org"]
    _, done = await world.import_now(text)
    assert tried == done == tally(inserted=2, skipped=1, failed=2)
    assert await world.count(m.AuditEntry) == entries + 1


async def test_a_batch_costs_the_same_statements_however_many_rows_it_has(world: World) -> None:
    counts = []
    for numbers in (range(10), range(10, 1_000)):
        with count_statements() as statements:
            await world.import_now(people(numbers))
        counts.append(statements.count)
    assert counts[0] == counts[1] <= 6


async def test_what_was_done_is_in_the_audit_log(world: World) -> None:
    await world.import_now("email,role\na@example.org,admin\nb@example.org,user\n")
    await world.import_now("email,role\na@example.org,user\nb@example.org,user\n", on_existing="update")
    async with world.database.read() as session:
        told = [(one["action"], one["detail"]) async for one in audit.entries(session)]
        assert (await audit.verify(session))[2] is None
    assert told[0] == ("user_created", {"by": "import", "email": "a@example.org", "role": "admin"})
    assert told[1][0] == "users_imported"
    assert (told[1][1]["inserted"], told[1][1]["to_line"]) == (2, 3)
    assert told[2] == ("user_edited", {"by": "import", "role": ["admin", "user"]})


async def test_each_change_of_a_person_is_in_the_audit_log(world: World) -> None:
    await world.import_now("email,name,team\na@example.org,Ann,Core\n", "profile.team=team")
    text = "email,name,active,team\na@example.org,Anna,no,Edge\n"
    await world.import_now(text, "profile.team=team", on_existing="update")
    async with world.database.write() as session:
        await session.execute(delete(m.Membership))
    await world.import_now("email,name\na@example.org,Anna\n", on_existing="update")
    async with world.database.read() as session:
        told = [(one["action"], one["detail"]) async for one in audit.entries(session)]
    assert told[1:3] == [
        ("user_edited", {"by": "import", "name": ["Ann", "Anna"], "profile": "changed"}),
        ("user_deactivated", {"by": "import"}),
    ]
    assert told[4] == ("member_added", {"by": "import", "email": "a@example.org", "role": "member"})


async def test_somebody_else_storing_the_same_person_meanwhile_is_no_failure(world: World, dialect: str) -> None:
    """On SQLite there is one writer, so that it cannot happen there."""
    if dialect == "sqlite":
        return
    text = people(range(50))
    async with asyncio.timeout(PATIENCE), world.database.write() as session:
        row = {"id": new_id(), "email": "person7@example.org", "name": "First", "created_at": clock.now()}
        await session.execute(insert(m.User), row | {"updated_at": clock.now()})
        # A context of its own, since this one is writing already.
        importing = asyncio.create_task(world.import_now(text, on_existing="update"), context=Context())
        while not await waits_for_a_lock(world.database):  # noqa: ASYNC110 - PostgreSQL has no event
            await asyncio.sleep(0.01)
    _, counts = await importing
    assert counts == tally(inserted=49, updated=1)
    users = await world.users()
    assert (len(users), users["person7@example.org"].name) == (50, "Person 7")


async def waits_for_a_lock(database: Database) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with database.read() as session:
        return await session.scalar(sql(waiting)) is not None


# --- as a job ---------------------------------------------------------------------------------------------------------


async def test_an_upload_is_imported_by_a_job_with_a_report(world: World) -> None:
    text = people(range(1_200)) + "=nobody,N,x\nperson5@example.org,Again,x\n"
    job_id = await world.enqueue(text.encode("utf-16"), "profile.team=team")
    async with world.working():
        found = await world.ended(job_id)
    row = await world.job(job_id)
    assert (row.status, row.done, row.total) == ("completed", 1_202, 1_202)
    assert json.loads(row.result) == {"rows": 1_202, "inserted": 1_200, "updated": 0, "skipped": 0, "failed": 2}
    assert (found.counts.rows, found.counts.failed) == (1_202, 2)
    assert await world.count(m.ImportFault) == 2
    assert len(await world.users()) == 1_200


async def test_whoever_lost_the_right_imports_no_more(world: World) -> None:
    job_id = await world.enqueue(people(range(10)).encode())
    async with world.database.write() as session:
        changes = update(m.User).where(m.User.id == world.actor.user_id).values(is_active=False)
        await session.execute(changes)
    async with world.working():
        await world.ended(job_id)
    row = await world.job(job_id)
    assert (row.status, await world.users()) == ("dead", {})
    assert "may not import" in row.error


async def test_real_people_are_imported(world: World, real_data: Path) -> None:
    data = (real_data / "users-legislators" / "legislators-current.csv").read_bytes()
    mapping = ("email={first_name}.{last_name}@congress.example", "profile.party=party", "profile.state=state")
    job_id = await world.enqueue(data, *mapping)
    async with world.working():
        assert (await world.ended(job_id)).counts.inserted == 537
    users = await world.users()
    one = users["nydia.velazquez@congress.example"]
    assert (len(users), one.name) == (537, "Nydia M. Velázquez")
    assert json.loads(one.profile) == {"party": "Democrat", "state": "NY"}
    rows = {row["full_name"] for row in csv.DictReader(io.StringIO(data.decode()))}
    # Two of them have no full name in the file: they are called as in their address.
    assert {user.name for user in users.values()} - rows == {"analilia.mejia", "james.gallagher"}
