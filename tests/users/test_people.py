"""People and workspaces over HTTP and below: lists, changes, the last admin, handing over, members, invitations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, insert, select, update

from autoforge.access import Actor, members
from autoforge.db import clock, trace
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, Conflict, Unauthenticated
from autoforge.users import commands, leaving, queries
from autoforge.users.queries import Listing
from tests import make
from tests.access.people import PASSWORD, browsing, entries, person, sign_in
from tests.web.site import Site, key, opened, settings

USERS = "/api/v1/users"
HERE = {"X-Workspace": "main"}


@pytest.fixture
async def site(tmp_path: Path, database_url: str) -> AsyncIterator[Site]:
    async with opened(settings(tmp_path / "data", database_url, samples=False)) as running:
        yield running


@asynccontextmanager
async def signed_in(site: Site, email: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with browsing(site) as client:
        assert (await sign_in(client, email)).status_code == 303
        yield client


async def crowd(site: Site, count: int, **values: Any) -> None:
    now = clock.now()
    rows = [
        {
            "id": new_id(),
            "email": f"p{n:04}@example.com",
            "name": f"Person {n:04}",
            "created_at": now,
            "updated_at": now,
        }
        for n in range(count)
    ]
    async with site.database.write() as session:
        await session.execute(insert(m.User), [row | values for row in rows])


async def listed(site: Site, query: str = "") -> list[dict[str, Any]]:
    """All pages of a list, two rows at a time."""
    found, after = [], ""
    while True:
        answer = (await site.client.get(f"{USERS}?limit=2&{query}{after}")).json()
        found += answer["items"]
        if answer["next"] is None:
            return found
        after = f"&after={answer['next']}"


async def names(site: Site, query: str = "") -> list[str]:
    return [row["name"] for row in await listed(site, query)]


async def test_lists_page_filter_sort_and_search(site: Site) -> None:
    for email in ("zoe@example.com", "Émile@example.com", "adam@example.com", "bert@adam.example"):
        await person(site, email)
    bert = await _id(site, "bert")
    async with site.database.write() as session:
        await commands.set_active(session, site.owner, bert, False)
    everybody = await names(site)
    assert len(everybody) == len(set(everybody)) == 6
    assert await names(site, "sort=created_at") == everybody[::-1]
    assert await names(site, "sort=name") == sorted(everybody, key=str.lower)
    assert await names(site, "q=AD") == ["adam"]
    assert await names(site, "q=adam@ex") == ["adam"]
    assert await names(site, "active=false") == ["bert"]
    assert await names(site, "role=admin") == ["Local owner"]
    assert await names(site, "q=%25") == []


async def _id(site: Site, words: str) -> Any:
    async with site.database.read() as session:
        return (await queries.page(session, Listing(words=words), 1, None))[0][0]["id"]


async def test_a_search_finds_names_and_addresses_once(site: Site) -> None:
    for number in range(5):
        email = f"ann{number}@example.com"  # both the name and the address begin so
        await person(site, email)
    async with site.database.write() as session:
        await commands.edit(session, site.owner, await _id(site, "ann4"), {"name": "Somebody"})
    assert await names(site, "q=ann") == ["ann0", "ann1", "ann2", "ann3", "Somebody"]


async def test_fields_are_all_that_is_read(site: Site) -> None:
    seen: list[trace.Statement] = []
    remove = trace.add_hook(seen.append)
    try:
        answer = await site.client.get(f"{USERS}?fields=id,name")
    finally:
        remove()
    assert [set(row) for row in answer.json()["items"]] == [{"id", "name"}] * 2
    (read,) = [one.sql for one in seen if "users.created_at" in one.sql and "ORDER BY" in one.sql]
    columns = read.partition("FROM")[0]
    assert "users.name" in columns
    for other in ("email", "password_hash", "role", "profile", "last_login_at"):
        assert other not in columns


@pytest.mark.parametrize("query", ["fields=password_hash", "sort=password_hash", "sort=email", "fields=id,profile"])
async def test_secrets_can_be_neither_selected_nor_sorted_by(site: Site, query: str) -> None:
    answer = await site.client.get(f"{USERS}?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] in ("?fields", "?sort")


async def test_statistics_are_one_statement(site: Site) -> None:
    await crowd(site, 3)
    await person(site)
    async with site.database.write() as session:
        await commands.set_active(session, site.owner, await _id(site, "ada"), False)
    with trace.count_statements() as counted:
        async with site.database.read() as session:
            figures = await queries.statistics(session)
    assert counted.count == 1
    assert figures == {"total": 6, "active": 5, "new_today": 6, "admins": 1}
    assert (await site.client.get(f"{USERS}/statistics")).json() == figures


async def test_a_person_is_made_changed_deleted_and_brought_back(site: Site) -> None:
    draft = {"email": "Ada@Example.com", "name": "Ada", "profile": {"team": "engines"}}
    made = await site.client.post(USERS, json=draft)
    path = made.headers["location"]
    assert (await site.client.post(USERS, json=draft)).status_code == 409
    read = await site.client.get(path)
    assert (read.json()["email"], read.json()["profile"]) == ("ada@example.com", {"team": "engines"})
    assert "password" not in "".join(read.json()) or "has_password" in read.json()
    assert (await site.client.get(path, headers={"If-None-Match": read.headers["etag"]})).status_code == 304
    stale = {"If-Match": read.headers["etag"]}
    assert (await site.client.patch(path, json={"name": "Ada L."}, headers=stale)).status_code == 204
    assert (await site.client.patch(path, json={"name": "X"}, headers=stale)).status_code == 412
    assert (await site.client.patch(path, json={"email": "no address"})).status_code == 422
    assert (await site.client.delete(path)).status_code == 204
    assert await names(site, "deleted=true") == ["Ada L."]
    again = await site.client.post(USERS, json=draft)
    assert again.status_code == 201
    assert (await site.client.post(f"{path}/restore")).status_code == 409
    assert (await site.client.delete(again.headers["location"])).status_code == 204
    assert (await site.client.post(f"{path}/restore")).status_code == 204
    actions = {entry.action for entry in await entries(site)}
    assert {"user_created", "user_edited", "user_deleted", "user_restored"} <= actions


async def test_only_admins_ask_about_everybody(site: Site) -> None:
    await person(site, "grace@example.com", role="manager", member=True)
    async with signed_in(site, "grace@example.com") as client:
        for path in (USERS, f"{USERS}/statistics", f"{USERS}/{site.owner.user_id}", "/people"):
            assert (await client.get(path, headers=HERE)).status_code == 403
        assert (await client.post(USERS, json={"email": "a@b.c", "name": "a"}, headers=HERE)).status_code == 403


async def test_a_key_needs_more_than_writing_to_hand_out_roles(site: Site) -> None:
    made = await site.client.post("/api/v1/keys", json={"name": "k", "scopes": ["users:write"]})
    key = {"Authorization": f"Bearer {made.json()['key']}"}
    user = await site.client.post(USERS, json={"email": "a@example.com", "name": "a"}, headers=key)
    assert user.status_code == 201
    path = user.headers["location"]
    admin = {"email": "b@example.com", "name": "b", "role": "admin"}
    assert (await site.client.post(USERS, json=admin, headers=key)).status_code == 403
    assert (await site.client.patch(path, json={"role": "admin"}, headers=key)).status_code == 403
    assert (await site.client.post(f"{path}/link", headers=key)).status_code == 403


async def test_the_last_admin_stays(site: Site) -> None:
    path = f"{USERS}/{site.owner.user_id}"
    for answer in (
        await site.client.post(f"{path}/deactivate"),
        await site.client.delete(path),
        await site.client.patch(path, json={"role": "user"}),
    ):
        assert answer.status_code == 409
        assert "last active admin" in answer.json()["detail"]


async def test_of_two_admins_who_remove_each_other_one_stays(site: Site) -> None:
    other = await person(site, role="admin")
    results = await asyncio.gather(
        site.database.transact(commands.set_active, site.owner, other, False),
        site.database.transact(commands.set_active, site.owner, site.owner.user_id, False),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(Conflict) == 1, results
    async with site.database.read() as session:
        assert len((await queries.page(session, Listing(role="admin", active=True), 10, None))[0]) == 1


async def test_a_link_sets_the_first_password(site: Site) -> None:
    made = await site.client.post(USERS, json={"email": "ada@example.com", "name": "Ada"})
    path = made.headers["location"]
    earlier = (await site.client.post(f"{path}/link")).json()["link"]
    link = (await site.client.post(f"{path}/link")).json()["link"]
    async with browsing(site) as client:
        assert (await client.post("/welcome/open", data={"token": earlier})).status_code == 401
        opened_page = await client.post("/welcome/open", data={"token": link})
        assert "Set a new password" in opened_page.text
        token = link.partition("token=")[2]
        short = await client.post("/welcome", data={"token": token, "password": "short"})
        assert short.status_code == 422
        assert "10 to 1000 characters" in short.text
        done = await client.post("/welcome", data={"token": token, "password": PASSWORD})
        assert done.status_code == 303
        assert (await client.get("/api/v1/me")).json()["name"] == "Ada"
        assert (await client.post("/welcome", data={"token": token, "password": PASSWORD})).status_code == 401


async def test_handing_over_what_a_leaver_owned(site: Site) -> None:
    leaver, heir = await person(site, "leaver@example.com", member=True), await person(site, "heir@example.com")
    async with signed_in(site, "leaver@example.com") as client:
        prompt = (await client.post("/api/v1/prompts", json={"name": "a", "content": "b"}, headers=HERE)).json()["id"]
        key = {"name": "k", "scopes": ["prompts:read"]}
        made = (await client.post("/api/v1/keys", json=key, headers=HERE)).json()["key"]
    async with site.database.write() as session:
        actor = Actor(leaver, "leaver", site.owner.workspace_id, "main", "Main")
        await make.evaluation(session, actor)
    moved = await site.client.post(f"{USERS}/{leaver}/transfer", json={"to": str(heir)})
    assert moved.json() == {"prompts": 1, "templates": 0, "suites": 1, "evaluations": 1, "keys": 1}
    assert (await site.client.get(f"/api/v1/prompts/{prompt}")).json()["owner"] == "heir"
    assert (await site.client.get("/api/v1/prompts", headers={"Authorization": f"Bearer {made}"})).status_code == 401
    async with signed_in(site, "heir@example.com") as client:
        assert (await client.get("/api/v1/prompts", headers=HERE)).status_code == 200
    for to in (leaver, new_id()):
        with pytest.raises(BadInput):
            await site.database.transact(leaving.transfer, site.owner, leaver, to)


async def test_members_come_and_go(site: Site) -> None:
    members = "/api/v1/workspaces/main/members"
    ada = await person(site)
    assert (await site.client.post(members, json={"email": "ada@example.com"})).status_code == 201
    async with signed_in(site, "ada@example.com") as client:
        shown = (await client.get(members)).json()["items"]
        assert [one["name"] for one in shown] == ["ada", "Local owner"]
        assert (await client.post(members, json={"email": "x@example.com"})).status_code == 403
        assert (await client.put(f"{members}/{ada}", json={"role": "manager"})).status_code == 403
        assert (await client.get("/api/v1/workspaces/main/invitations")).status_code == 403
        assert (await site.client.put(f"{members}/{ada}", json={"role": "manager"})).status_code == 422
        assert (await client.delete(f"{members}/{site.owner.user_id}")).status_code == 403
        assert (await client.delete(f"{members}/{ada}")).status_code == 204  # one may leave
        assert (await client.get(members)).status_code == 404


async def test_managers_manage_their_workspaces_alone(site: Site) -> None:
    await person(site, "grace@example.com", role="manager", member=True)
    async with signed_in(site, "grace@example.com") as client:
        made = await client.post("/api/v1/workspaces", json={"name": "Com pilers!"})
        assert made.json() == {"slug": "com-pilers"}
        assert (await client.post("/api/v1/workspaces", json={"name": "Com pilers!"})).status_code == 409
        await person(site)
        added = await client.post("/api/v1/workspaces/com-pilers/members", json={"email": "ada@example.com"})
        assert added.status_code == 201
        assert (await client.patch("/api/v1/workspaces/com-pilers", json={"name": "Compilers"})).status_code == 204
        read = await client.get("/api/v1/workspaces/com-pilers")
        assert (read.json()["members"], read.json()["row_version"]) == (2, 2)
        old, mine = {"If-Match": '"1.2"'}, {"If-Match": read.headers["etag"]}
        assert (await client.patch("/api/v1/workspaces/com-pilers", json={"name": "X"}, headers=old)).status_code == 412
        for status in (204, 412):  # what the first has changed, the second has not seen
            answer = await client.patch("/api/v1/workspaces/com-pilers", json={"name": "Ours"}, headers=mine)
            assert answer.status_code == status
        assert (await client.get("/api/v1/workspaces/other")).status_code == 404
        assert (await client.patch("/api/v1/workspaces/other", json={"name": "Mine"})).status_code == 404
    async with signed_in(site, "ada@example.com") as client:
        assert (await client.post("/api/v1/workspaces", json={"name": "x y"})).status_code == 403


async def test_an_invitation_by_link(site: Site) -> None:
    path = "/api/v1/workspaces/main/invitations"
    link = (await site.client.post(path, json={"email": "New@example.com"})).json()["link"]
    assert [one["email"] for one in (await site.client.get(path)).json()] == ["new@example.com"]
    token = link.partition("#token=")[2]
    async with browsing(site) as client:
        assert "Join Main" in (await client.post("/welcome/open", data={"token": token})).text
        form = {"token": token, "password": PASSWORD, "name": "Newcomer"}
        assert (await client.post("/welcome", data={**form, "name": ""})).status_code == 422
        assert (await client.post("/welcome", data=form)).status_code == 303
        assert (await client.get("/")).headers["location"] == "/w/main"  # the team's, before one's own
        assert (await client.post("/welcome", data=form)).status_code == 401
    assert (await site.client.get(path)).json() == []
    assert (await site.client.post(path, json={"email": "new@example.com"})).status_code == 409


async def test_a_withdrawn_invitation_is_nothing(site: Site) -> None:
    path = "/api/v1/workspaces/main/invitations"
    token = (await site.client.post(path, json={"email": "a@example.com"})).json()["link"].partition("=")[2]
    (invited,) = (await site.client.get(path)).json()
    assert (await site.client.delete(f"{path}/{invited['id']}")).status_code == 204
    async with browsing(site) as client:
        form = {"token": token, "password": PASSWORD, "name": "A"}
        assert (await client.post("/welcome", data=form)).status_code == 401


async def test_a_personal_workspace_stays_personal(site: Site) -> None:
    ada = await person(site)
    async with signed_in(site, "ada@example.com") as client:
        (place,) = (await client.get("/api/v1/workspaces")).json()
    path = f"/w/{place['slug']}"
    async with signed_in_as_owner(site) as client:
        added = await client.post(f"{path}/people/add", data={"email": "owner@localhost", "role": "member"})
        assert added.status_code == 409
        removed = await client.post(f"{path}/people/{ada}/remove")
        assert removed.status_code == 303
        assert (await client.get(f"{path}/people")).text.count("ada@example.com") >= 1


@asynccontextmanager
async def signed_in_as_owner(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    from autoforge.access import sessions

    async with site.database.write() as session:
        secret = site.app.state.gate.secret
        token = await sessions.make_link(session, secret, "sign_in", user_id=site.owner.user_id)
    async with browsing(site) as client:
        assert (await client.post("/sign-in/link", data={"token": token})).status_code == 303
        yield client


async def test_the_pages_of_people(site: Site) -> None:
    async with signed_in_as_owner(site) as client:
        made = await client.post("/people", data={"name": "Grace", "email": "grace@example.com", "role": "user"})
        assert "/welcome#token=" in made.text
        assert (await client.post("/people", data={"name": "", "email": "x", "role": "user"})).status_code == 422
        empty = await client.post("/people", data={"name": "", "email": "", "role": "user"})
        assert "Enter an e-mail address." in empty.text
        grace = await _id(site, "grace")
        page = f"/people/{grace}"
        form = {"name": "Grace H.", "email": "grace@example.com", "role": "manager", "row_version": "1"}
        assert (await client.post(f"{page}/edit", data=form)).status_code == 303
        assert (await client.post(f"{page}/edit", data=form)).status_code == 412
        for act in ("deactivate", "activate", "sign-out", "delete", "restore"):
            assert (await client.post(f"{page}/{act}")).status_code == 303, act
        nobody = await client.post(f"{page}/transfer", data={"to": "nobody@example.com"})
        assert "Nobody has this address." in nobody.text
        assert (await client.post(f"{page}/transfer", data={"to": "owner@localhost"})).status_code == 303
        assert "Grace H." in (await client.get("/people?q=gra&role=manager")).text
        invited = await client.post("/w/main/people/add", data={"email": "kurt@example.com", "role": "member"})
        assert "/welcome#token=" in invited.text
        added = await client.post("/w/main/people/add", data={"email": "grace@example.com", "role": "manager"})
        assert added.status_code == 303
        assert (await client.post("/workspaces/new", data={"name": "Ours"})).headers["location"] == "/w/ours"
        assert (await client.post("/w/ours/settings", data={"name": "Ours, too"})).status_code == 303
        assert "Ours, too" in (await client.get("/account/workspaces?now=ours")).text


async def test_a_page_costs_the_same_whatever_there_is(site: Site) -> None:
    counts = []
    for more in (0, 500):
        await crowd(site, more) if more else None
        site.app.state.services.cache.near.clear()  # the crowd came in past the product
        with trace.count_statements() as counted:
            await site.client.get(USERS)
        counts.append(counted.count)
    assert 1 <= counts[0] == counts[1] <= 2


# --- what somebody leaves behind when they are put out ----------------------------------------------------------------


async def invited_by(site: Site, client: httpx2.AsyncClient, email: str, place: str = "main") -> str:
    answer = await client.post(f"/api/v1/workspaces/{place}/invitations", json={"email": email})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["link"]).partition("=")[2]


async def comes_in(site: Site, token: str) -> bool:
    async with browsing(site) as client:
        answer = await client.post("/welcome", data={"token": token, "password": PASSWORD, "name": "Back"})
        assert answer.status_code in (303, 401), answer.text
    return answer.status_code == 303


@pytest.mark.parametrize("how", ["deactivate", "delete", "demote", "import", "import demotes", "leave", "lower"])
async def test_invitations_end_with_the_right_to_invite(site: Site, how: str) -> None:
    grace = await person(site, "grace@example.com", role="manager", member=True)
    async with signed_in(site, "grace@example.com") as client:
        await client.post("/api/v1/workspaces", json={"name": "Elsewhere"})
        here = await invited_by(site, client, "back@example.com")
        there = await invited_by(site, client, "other@example.com", "elsewhere")
    kept = await invited_by(site, site.client, "kept@example.com")
    member = f"/api/v1/workspaces/main/members/{grace}"
    text = {"import": "email,active\ngrace@example.com,no\n", "import demotes": "email,role\ngrace@example.com,user\n"}
    request: tuple[str, str, dict[str, Any]] = {
        "deactivate": ("POST", f"{USERS}/{grace}/deactivate", {}),
        "delete": ("DELETE", f"{USERS}/{grace}", {}),
        "demote": ("PATCH", f"{USERS}/{grace}", {"json": {"role": "user"}}),
        "leave": ("DELETE", member, {}),
        "lower": ("PUT", member, {"json": {"role": "member"}}),
    }.get(how) or (
        "POST",
        f"{USERS}/import?on_existing=update",
        {"content": text[how], "headers": {"Content-Type": "text/csv"}},
    )
    method, path, more = request
    assert (await site.client.request(method, path, **more)).status_code in (200, 204)
    left = [one["email"] for one in (await site.client.get("/api/v1/workspaces/main/invitations")).json()]
    assert left == ["kept@example.com"]
    assert not await comes_in(site, here)
    assert await comes_in(site, there) == (how in ("leave", "lower"))
    assert await comes_in(site, kept)


@pytest.mark.parametrize(
    "values", [{"is_active": False}, {"role": "user"}, {"deleted_at": datetime(2026, 1, 1, tzinfo=UTC)}]
)
async def test_a_link_made_while_its_maker_is_put_out_lets_nobody_in(site: Site, values: dict[str, Any]) -> None:
    """The two transactions pass each other: what the one ended, the other has not stored yet."""
    grace = await person(site, "grace@example.com", role="manager", member=True)
    async with signed_in(site, "grace@example.com") as client:
        token = await invited_by(site, client, "back@example.com")
    async with site.database.write() as session:
        await session.execute(update(m.User).where(m.User.id == grace).values(values))
    assert not await comes_in(site, token)


async def test_a_password_link_ends_with_the_admin_who_made_it(site: Site) -> None:
    root, ada = await person(site, "root@example.com", role="admin"), await person(site)
    async with signed_in(site, "root@example.com") as client:
        token = (await client.post(f"{USERS}/{ada}/link")).json()["link"].partition("=")[2]
    assert (await site.client.post(f"{USERS}/{root}/deactivate")).status_code == 204
    assert not await comes_in(site, token)


async def test_two_invitations_to_one_address_make_one_person(site: Site) -> None:
    path = "/api/v1/workspaces/main/invitations"
    form = {"email": "new@example.com"}
    tokens = [(await site.client.post(path, json=form)).json()["link"].partition("=")[2] for _ in range(2)]
    assert sorted(await asyncio.gather(*(comes_in(site, token) for token in tokens))) == [False, True]
    # Whoever comes second found nobody when looking, and somebody when storing.
    async with site.database.write() as session:
        link = SimpleNamespace(email="new@example.com", role="member")
        before = members._BY_EMAIL
        members._BY_EMAIL = select(m.User.id).where(m.User.id == new_id())
        try:
            with pytest.raises(Unauthenticated):
                await members._invited(session, link, "hash", "Second")
        finally:
            members._BY_EMAIL = before
        assert await session.scalar(select(func.count()).select_from(m.User)) > 0  # the transaction lives


async def test_a_key_that_may_only_write_invites_no_managers(site: Site) -> None:
    path, form = "/api/v1/workspaces/main/invitations", {"email": "new@example.com", "role": "manager"}
    writing, all_of_it = await key(site.app, site.owner, "users:write"), await key(site.app, site.owner, "users:admin")
    refused = await site.client.post(path, json=form, headers=writing)
    assert (refused.status_code, "users:admin" in refused.json()["detail"]) == (403, True)
    assert (await site.client.post(path, json={**form, "role": "member"}, headers=writing)).status_code == 201
    assert (await site.client.post(path, json=form, headers=all_of_it)).status_code == 201


async def test_the_last_manager_of_a_workspace_stays(site: Site) -> None:
    grace = await person(site, "grace@example.com", role="manager", member=True)
    other = await person(site, "other@example.com", role="manager")
    async with signed_in(site, "grace@example.com") as client:
        await client.post("/api/v1/workspaces", json={"name": "Soon"})
        member = f"/api/v1/workspaces/soon/members/{grace}"
        for answer in (await client.delete(member), await client.put(member, json={"role": "member"})):
            assert (answer.status_code, "last manager" in answer.json()["detail"]) == (409, True)
        left = await client.post(f"/w/soon/people/{grace}/role", data={"role": "member"})
        assert (left.status_code, left.headers["location"]) == (303, "/w/soon/people")
        add = {"email": "other@example.com", "role": "manager"}
        assert (await client.post("/api/v1/workspaces/soon/members", json=add)).status_code == 201
        await site.client.post(f"{USERS}/{other}/deactivate")
        assert (await client.delete(member)).status_code == 409  # who is shut out manages nothing
        await site.client.post(f"{USERS}/{other}/activate")
        assert (await client.delete(member)).status_code == 204
    async with signed_in_as_owner(site) as client:
        gone = await client.delete(f"/api/v1/workspaces/soon/members/{other}")
        assert gone.status_code == 204  # an admin looks after it now


WRONG_ADDRESSES = ["a..b@x", "a,b@x.org", "x@y@z.org", "", "@x.org", "a@", "a b@x.org", "a@x..org", f"{'a' * 65}@x.org",
                   f"a@{'x' * 260}.org"]  # fmt: skip


@pytest.mark.parametrize("wrong", [*WRONG_ADDRESSES, "a@x\u200b.org"])
async def test_one_rule_for_addresses_wherever_they_are_typed(site: Site, wrong: str) -> None:
    ada = await person(site)
    for method, path, body in (
        ("POST", USERS, {"email": wrong, "name": "X"}),
        ("PATCH", f"{USERS}/{ada}", {"email": wrong}),
        ("POST", "/api/v1/workspaces/main/members", {"email": wrong}),
        ("POST", "/api/v1/workspaces/main/invitations", {"email": wrong}),
    ):
        answer = await site.client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/email"), path
    rows = f'email,name\n"{wrong}",X\n'
    imported = await site.client.post(f"{USERS}/import", content=rows, headers={"Content-Type": "text/csv"})
    assert imported.json()["failed"] == 1
