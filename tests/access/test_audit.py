"""The audit log: whole, unchangeable, complete; and free of secrets, as everything else that is kept or said."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from autoforge.access import Actor, audit
from autoforge.db import Database, migrate
from autoforge.db.trace import count_statements
from autoforge.telemetry import logs
from tests import make
from tests.access.people import PASSWORD, entries, everything_stored, person, sign_in
from tests.web.site import HOST, Site, signed_in
from tests.web.stalled import stalled


@pytest.fixture
async def actor(database: Database) -> Actor:
    async with database.write() as session:
        return await make.actor(session)


async def record(database: Database, actor: Actor, *actions: str) -> None:
    async with database.write() as session:
        for action in actions:
            audit.record(session, actor, action, "thing", "1", {"é": "ß", "n": 1})


async def verified(database: Database, anchor: Any = None) -> tuple[int, bytes, Any]:
    async with database.read() as session:
        return await audit.verify(session, anchor)


async def test_an_empty_chain_holds(database: Database) -> None:
    assert await verified(database) == (0, audit.FIRST_HASH, None)


async def test_ten_entries_cost_two_statements(database: Database, actor: Actor) -> None:
    with count_statements() as counted:
        await record(database, actor, *(f"action-{number}" for number in range(10)))
    assert counted.count == 2
    assert (await verified(database))[0] == 10


async def test_many_at_once_make_one_chain(database: Database, actor: Actor) -> None:
    await asyncio.gather(*(record(database, actor, f"a{n}", f"b{n}") for n in range(20)))
    count, _, broken = await verified(database)
    assert (count, broken) == (40, None)


async def test_what_was_rolled_back_was_not_done(database: Database, actor: Actor) -> None:
    async def doubt() -> None:
        async with database.write() as session:
            audit.record(session, actor, "never", "thing")
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await doubt()
    assert (await verified(database))[0] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET action = 'other'",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE seq = 2",
    ],
)
async def test_the_database_refuses_changes(database: Database, actor: Actor, statement: str) -> None:
    await record(database, actor, "one", "two", "three")
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.write() as session:
            await session.execute(text(statement))
    assert (await verified(database))[2] is None


TRIGGERS = {
    "sqlite": ["DROP TRIGGER audit_log_keeps", "DROP TRIGGER audit_log_stays"],
    "postgresql": ["ALTER TABLE audit_log DISABLE TRIGGER audit_log_keeps"],
}


@pytest.mark.parametrize(
    ("statement", "at", "problem"),
    [
        ("UPDATE audit_log SET actor_name = 'somebody else' WHERE seq = 2", 2, "changed"),
        ("UPDATE audit_log SET detail = '{}' WHERE seq = 3", 3, "changed"),
        ("DELETE FROM audit_log WHERE seq = 2", 2, "missing"),
        ("DELETE FROM audit_log WHERE seq = 3", 3, "cut off"),
    ],
)
async def test_who_goes_round_the_triggers_is_found(
    database: Database, actor: Actor, statement: str, at: int, problem: str
) -> None:
    await record(database, actor, "one", "two", "three")
    async with database.write() as session:
        for way in [*TRIGGERS[database.dialect], statement]:
            await session.execute(text(way))
    broken = (await verified(database))[2]
    assert (broken.seq, problem in broken.problem) == (at, True)


async def test_an_anchor_finds_a_chain_that_was_written_anew(database: Database, actor: Actor) -> None:
    await record(database, actor, "one", "two")
    count, newest, _ = await verified(database)
    assert (await verified(database, (count, newest)))[2] is None
    assert (await verified(database, (count, bytes(32))))[2].problem == "entry 2 has not the hash that was noted"
    assert "cut off" in (await verified(database, (99, newest)))[2].problem


def test_migrations_go_down_and_up_again_and_agree_with_the_models(database_url: str) -> None:
    migrate.downgrade(database_url, "0001")
    migrate.downgrade(database_url, "base")
    migrate.upgrade(database_url)
    assert migrate.drift(database_url) == []


async def test_managers_read_the_log_of_their_workspace_and_others_do_not(
    site: Site, visitor: httpx2.AsyncClient
) -> None:
    await person(site, member=True)
    assert (await sign_in(visitor)).status_code == 303
    assert (await visitor.get("/w/main/audit")).status_code == 403
    await person(site, "grace@example.com", role="manager", member=True)
    await sign_in(visitor, "grace@example.com")
    shown = await visitor.get("/w/main/audit")
    assert shown.status_code == 200
    assert "user created" in shown.text
    assert (await visitor.get("/w/main/audit?everywhere=1")).status_code == 403
    assert (await visitor.get("/api/v1/audit/export", headers={"X-Workspace": "main"})).status_code == 403
    assert (await visitor.get("/api/v1/audit?limit=2", headers={"X-Workspace": "main"})).json()["next"]


async def test_what_is_done_to_content_is_recorded(site: Site) -> None:
    made = (await site.client.post("/api/v1/prompts", json={"name": "a", "content": "b"})).json()
    path = f"/api/v1/prompts/{made['id']}"
    await site.client.post(f"{path}/versions", json={"content": "c"})
    await site.client.put(f"{path}/heads/label/production", json={"number": 1})
    await site.client.delete(path)
    found = (await site.client.get(f"/api/v1/audit?subject_id={made['id']}")).json()["items"]
    assert [one["action"] for one in found] == ["prompt_deleted", "label_moved", "prompt_saved", "prompt_created"]
    assert found[1]["detail"] == {"label": "production", "from": None, "to": 1}


async def test_export_is_what_verify_walks(site: Site) -> None:
    await site.client.post("/api/v1/prompts", json={"name": "a", "content": "b"})
    lines = [json.loads(line) for line in (await site.client.get("/api/v1/audit/export")).text.splitlines()]
    stored = await entries(site)
    assert [line["hash"] for line in lines] == [entry.hash.hex() for entry in stored]
    asked = site.app, "/api/v1/audit/export", {**site.mine, "Host": HOST}
    async with stalled(*asked) as one, stalled(*asked) as two:
        assert (one, two) == ([200], [200])
        assert (await site.client.get("/api/v1/audit/export")).headers["retry-after"] == "5"
        assert (await site.client.get("/api/v1/audit")).status_code == 200


async def test_secrets_are_nowhere(site: Site, visitor: httpx2.AsyncClient, tmp_path: Path, capfd: Any) -> None:
    """A password, a session, a key and a link go through everything that takes them, right and wrong."""
    logs.configure("debug")
    said: list[str] = []

    async def ask(method: str, path: str, **how: Any) -> Any:
        answer = await visitor.request(method, path, **how)
        said.append(answer.text)
        said.extend(f"{name}: {value}" for name, value in answer.headers.items() if name != "set-cookie")
        return answer

    user_id = await person(site, member=True)
    await ask("POST", "/sign-in", data={"email": "ada@example.com", "password": PASSWORD + " wrong"})
    await ask("POST", "/sign-in", data={"email": PASSWORD, "password": PASSWORD})
    await ask("POST", "/sign-in", data={"email": "ada@example.com", "password": PASSWORD})
    cookie = visitor.cookies["autoforge_session"]
    link = (await site.client.post(f"/api/v1/users/{user_id}/link")).json()["link"]
    token = link.partition("token=")[2]
    key = (await site.client.post("/api/v1/keys", json={"name": "k", "scopes": ["prompts:read"]})).json()["key"]
    for path in ("/api/v1/me", "/account", "/w/main/keys", "/api/v1/keys", "/w/main/people", "/api/v1/nothing"):
        await ask("GET", path)
        await ask("GET", path, headers={"Authorization": f"Bearer {key}"})
        await ask("GET", path, headers={"Authorization": f"Bearer {key}x"})
    await ask("POST", "/account/password", data={"current": PASSWORD + "x", "password": PASSWORD})
    await ask("POST", "/sign-in/link", data={"token": token})
    await ask("POST", "/welcome", data={"token": token + "x", "password": PASSWORD})
    await ask("POST", "/welcome", data={"token": token, "password": "short"})
    await ask("POST", "/sign-out")
    await ask("GET", "/api/v1/me")
    for path in ("/api/v1/audit?everywhere=true", "/api/v1/audit/export", "/api/v1/users", f"/api/v1/users/{user_id}"):
        said.append((await site.client.get(path)).text)
    kept = await everything_stored(site)
    output = "".join(capfd.readouterr())
    assert "request" in output or output == ""
    for name, secret in {"password": PASSWORD, "session": cookie, "key": key, "link": token}.items():
        hits = [text for text in said if secret in text]
        if name == "link":  # the form that it opened holds it, for the one who has it
            hits = [text for text in hits if 'name="token"' not in text]
        if name == "password":  # what was typed into the field for the address comes back in that field
            hits = [text for text in hits if f'value="{PASSWORD}"' not in text]
        assert not hits, f"{name} in an answer: {hits[0][:300]}"
        assert secret not in kept, f"{name} in the database"
        assert secret not in output, f"{name} in the log"
    assert not re.search(r"\$argon2", "".join(said)), "a password's hash in an answer"


async def test_the_page_names_what_was_touched_and_leads_to_it(site: Site) -> None:
    made = (await site.client.post("/api/v1/prompts", json={"name": "a/<b>", "content": "b"})).json()
    headers = await signed_in(site, site.owner)

    async def rows(query: str = "") -> list[str]:
        answer = await site.client.get(f"/w/main/audit{query}", headers=headers)
        assert answer.status_code == 200, answer.text[:300]
        return [row for row in answer.text.split("<tr>") if "<td" in row]

    (row,) = await rows(f"?subject={made['id']}")
    assert f'<a href="/w/main/prompts/{made["id"]}">a/&lt;b&gt;</a>' in row
    assert re.search(r">\d{4}-\d\d-\d\d \d\d:\d\d:\d\d</time>", row)
    await site.client.delete(f"/api/v1/prompts/{made['id']}")
    deleted, _ = await rows(f"?subject={made['id']}")
    assert "a/&lt;b&gt;" in deleted
    assert "Deleted" in deleted
    assert f"/w/main/prompts/{made['id']}" not in deleted


async def test_the_page_shows_what_one_person_did(site: Site, visitor: httpx2.AsyncClient) -> None:
    ada = await person(site, role="manager", member=True)
    await sign_in(visitor)
    await visitor.post("/account/name", data={"name": "Ada L."})
    shown = (await visitor.get(f"/w/main/audit?by={ada}")).text
    assert "user renamed" in shown
    assert "user created" not in shown
    assert "Only what ada did." in shown
    assert (await visitor.get("/w/main/audit?by=nobody")).status_code == 422
