"""Signing in and out, by password and by link; who is shut out, and how soon."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import httpx2
import pytest

from autoforge.access import sessions
from autoforge.access.limits import exactly
from autoforge.access.pages import counted_as
from autoforge.access.tasks import forget
from autoforge.db import clock
from autoforge.db.trace import count_statements
from autoforge.users import commands
from tests.access.people import PASSWORD, browsing, entries, person, sign_in
from tests.web.site import Site

ME = "/api/v1/me"


async def test_signs_in_and_out(site: Site, visitor: httpx2.AsyncClient) -> None:
    await person(site)
    assert (await visitor.get(ME)).status_code == 401
    assert (await sign_in(visitor)).status_code == 303
    me = (await visitor.get(ME)).json()
    assert (me["name"], me["role"]) == ("ada", "user")
    assert [place["kind"] for place in me["workspaces"]] == ["personal"]
    assert (await visitor.post("/sign-out")).status_code == 303
    assert (await visitor.get(ME)).status_code == 401


async def test_pages_lead_to_the_sign_in_and_back(visitor: httpx2.AsyncClient, site: Site) -> None:
    await person(site, member=True)
    there = await visitor.get("/w/main/prompts?q=x", headers={"Accept": "text/html"})
    assert there.status_code == 303
    assert there.headers["location"] == "/sign-in?next=%2Fw%2Fmain%2Fprompts%3Fq%3Dx"
    form = await visitor.get(there.headers["location"])
    assert 'value="/w/main/prompts?q=x"' in form.text
    answer = await visitor.post(
        "/sign-in", data={"email": "ada@example.com", "password": PASSWORD, "next": "/w/main/prompts?q=x"}
    )
    assert answer.headers["location"] == "/w/main/prompts?q=x"


@pytest.mark.parametrize("away", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_a_sign_in_leads_nowhere_else(site: Site, visitor: httpx2.AsyncClient, away: str) -> None:
    await person(site)
    data = {"email": "ada@example.com", "password": PASSWORD, "next": away}
    assert (await visitor.post("/sign-in", data=data)).headers["location"] == "/"


async def test_the_cookie_is_out_of_reach_of_scripts(site: Site, visitor: httpx2.AsyncClient) -> None:
    await person(site)
    cookie = (await sign_in(visitor)).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie  # loopback without TLS
    async with browsing(site, "10.1.2.3") as behind:
        cookie = (
            await behind.post(
                "/sign-in",
                data={"email": "ada@example.com", "password": PASSWORD},
                headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"},
            )
        ).headers["set-cookie"]
    assert "Secure" in cookie


async def test_wrong_and_unknown_look_the_same(site: Site, visitor: httpx2.AsyncClient) -> None:
    await person(site)
    wrong = await sign_in(visitor, password="wrong password")
    unknown = await sign_in(visitor, "nobody@example.com")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.text.replace("ada@example.com", "") == unknown.text.replace("nobody@example.com", "")


async def test_a_link_signs_in_once(site: Site, visitor: httpx2.AsyncClient) -> None:
    async with site.database.write() as session:
        secret = site.app.state.gate.secret
        token = await sessions.make_link(session, secret, "sign_in", user_id=site.owner.user_id)
    link = f"http://127.0.0.1/sign-in#token={token}"
    assert (await visitor.post("/sign-in/link", data={"token": link})).status_code == 303
    assert (await visitor.get(ME)).json()["role"] == "admin"
    again = await visitor.post("/sign-in/link", data={"token": token})
    assert again.status_code == 401
    assert "used before" in again.text


async def test_two_use_a_link_at_once_and_one_gets_in(site: Site) -> None:
    async with site.database.write() as session:
        secret = site.app.state.gate.secret
        token = await sessions.make_link(session, secret, "sign_in", user_id=site.owner.user_id)
    async with browsing(site) as one, browsing(site) as two:
        answers = await asyncio.gather(*(who.post("/sign-in/link", data={"token": token}) for who in (one, two)))
    assert sorted(answer.status_code for answer in answers) == [303, 401]


async def test_a_link_ends_after_15_minutes(site: Site, visitor: httpx2.AsyncClient) -> None:
    long_ago = clock.now() - timedelta(minutes=16)
    with clock.running_on(lambda: long_ago):
        async with site.database.write() as session:
            secret = site.app.state.gate.secret
            token = await sessions.make_link(session, secret, "sign_in", user_id=site.owner.user_id)
    assert (await visitor.post("/sign-in/link", data={"token": token})).status_code == 401


async def test_five_tries_a_minute_whatever_the_header_says(site: Site) -> None:
    """1,000 tries; the address is the connection's, so a forged X-Forwarded-For makes none of them a new one."""
    await person(site)
    statuses = []
    async with browsing(site, "198.51.100.7") as attacker:
        for number in range(1_000):
            forged = {"X-Forwarded-For": f"203.0.113.{number % 250}"}
            data = {"email": f"somebody-{number}@example.com", "password": "guess"}
            statuses.append((await attacker.post("/sign-in", data=data, headers=forged)).status_code)
    assert statuses.count(401) <= 10  # five within any minute; the test may run into a second one
    assert statuses.count(401) + statuses.count(429) == 1_000


async def test_five_tries_a_minute_for_a_network_of_ipv6(site: Site) -> None:
    """Whoever has one address of IPv6 has 2^64 of them."""
    statuses = []
    for number in range(8):
        async with browsing(site, f"2001:db8:0:7::{number:x}") as client:
            data = {"email": f"somebody-{number}@example.com", "password": "guess"}
            statuses.append((await client.post("/sign-in", data=data)).status_code)
    assert statuses == [401] * 5 + [429] * 3
    async with browsing(site, "2001:db8:0:8::1") as neighbour:
        assert (await sign_in(neighbour, password="guess")).status_code == 401


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:DB8:0:7::1", "2001:db8:0:7::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("x" * 300, "x" * 100),
    ],
)
def test_what_stands_for_an_address(address: str, counted: str) -> None:
    assert counted_as(address) == counted


async def test_five_tries_a_minute_for_an_account_from_anywhere(site: Site) -> None:
    await person(site)
    statuses = []
    for number in range(8):
        async with browsing(site, f"198.51.100.{number}") as client:
            answer = await sign_in(client, password="guess")
            statuses.append(answer.status_code)
    assert statuses == [401] * 5 + [429] * 3
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    async with browsing(site, "198.51.100.99") as client:
        assert (await sign_in(client)).status_code == 429  # the right password, too


async def test_behind_a_trusted_proxy_each_client_has_its_own_limit(site: Site) -> None:
    statuses = []
    async with browsing(site, "10.1.2.3") as proxy:
        for number in range(12):
            seen = {
                "X-Forwarded-For": f"192.0.2.1, 203.0.113.{number % 2}"
            }  # what is left of the last is the client's lie
            data = {"email": f"somebody-{number}@example.com", "password": "guess"}
            statuses.append((await proxy.post("/sign-in", data=data, headers=seen)).status_code)
    assert statuses == [401] * 10 + [429] * 2


async def test_identifying_costs_one_statement_and_none_when_cached(site: Site, visitor: httpx2.AsyncClient) -> None:
    await person(site, member=True)
    await sign_in(visitor)
    path = "/w/main/prompts/new"  # reads nothing itself
    for headers in ({"Accept": "text/html"}, site.mine):
        site.app.state.services.cache.forget(sessions.ACCESS)
        with count_statements() as first:
            assert (await visitor.get(path, headers=headers)).status_code == 200
        with count_statements() as second:
            assert (await visitor.get(path, headers=headers)).status_code == 200
        assert (first.count, second.count) == (1, 0)


async def test_a_deactivated_person_is_out_at_once(site: Site, visitor: httpx2.AsyncClient) -> None:
    user_id = await person(site, member=True)
    await sign_in(visitor)
    assert (await visitor.get("/api/v1/prompts")).status_code == 200
    async with site.database.write() as session:
        await commands.set_active(session, site.owner, user_id, False)
    assert (await visitor.get("/api/v1/prompts")).status_code == 401
    assert (await sign_in(visitor)).status_code == 401


async def test_a_change_must_say_where_it_comes_from(site: Site, visitor: httpx2.AsyncClient) -> None:
    await person(site, member=True)
    await sign_in(visitor)
    body = {"name": "a", "content": "b"}
    del visitor.headers["Origin"]
    assert (await visitor.post("/api/v1/prompts", json=body)).status_code == 403
    elsewhere = {"Origin": "https://evil.example"}
    assert (await visitor.post("/api/v1/prompts", json=body, headers=elsewhere)).status_code == 403
    here = {"Origin": "http://127.0.0.1"}
    assert (await visitor.post("/api/v1/prompts", json=body, headers=here)).status_code == 201


async def test_a_new_password_ends_the_other_sessions(site: Site, visitor: httpx2.AsyncClient) -> None:
    await person(site)
    await sign_in(visitor)
    async with browsing(site) as other:
        await sign_in(other)
        wrong = {"current": "not it", "password": "another long password"}
        assert (await visitor.post("/account/password", data=wrong)).status_code == 422
        right = {"current": PASSWORD, "password": "another long password"}
        assert (await visitor.post("/account/password", data=right)).status_code == 303
        assert (await other.get(ME)).status_code == 401
    assert (await visitor.get(ME)).status_code == 200
    actions = [entry.action for entry in await entries(site)]
    assert actions.count("password_changed") == 2


async def test_the_workspaces_of_others_do_not_exist(site: Site, visitor: httpx2.AsyncClient) -> None:
    await person(site)
    await sign_in(visitor)
    for path in ("/w/main/prompts", "/w/other/prompts", "/w/nothing/prompts"):
        assert (await visitor.get(path)).status_code == 404
    assert (await visitor.get("/api/v1/prompts", headers={"X-Workspace": "main"})).status_code == 404


async def test_signing_out_everywhere(site: Site, visitor: httpx2.AsyncClient) -> None:
    await person(site)
    await sign_in(visitor)
    async with browsing(site) as other:
        await sign_in(other)
        await visitor.post("/sign-out", data={"everywhere": "true"})
        assert (await other.get(ME)).status_code == 401


async def test_the_account_page_shows_where_one_is_signed_in(site: Site, visitor: httpx2.AsyncClient) -> None:
    await person(site)
    await sign_in(visitor)
    async with browsing(site) as other:
        other.headers["User-Agent"] = "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"
        await sign_in(other)
        shown = (await visitor.get("/account")).text
        assert "Firefox on Windows" in shown
        (ended,) = re.findall(r'action="(/account/sessions/[0-9a-f-]{36}/end)"', shown)
        assert (await visitor.post(ended)).status_code == 303
        assert (await other.get(ME)).status_code == 401
    assert (await visitor.get(ME)).status_code == 200


async def test_what_is_over_is_forgotten(site: Site, visitor: httpx2.AsyncClient) -> None:
    user_id = await person(site)
    long_ago = clock.now() - timedelta(days=70)
    with clock.running_on(lambda: long_ago):
        async with site.database.write() as session:
            secret = site.app.state.gate.secret
            await sessions.make_link(session, secret, "sign_in", user_id=user_id)
            await sessions.begin(session, secret, user_id, "127.0.0.1", "old")
            await exactly(session, "old", 5, 60)
    await sign_in(visitor)
    gone = await site.database.transact(forget)
    assert gone == {"limits": 1, "idempotency_keys": 0, "sessions": 1, "links": 1}
    assert (await visitor.get(ME)).status_code == 200
