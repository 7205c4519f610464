"""What no database can keep is refused, whether a page's form or a program sends it, and nothing of it is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from tests.access.people import browsing, everything_stored
from tests.web.site import Site, opened, settings, signed_in

USERS = "/api/v1/users"


@pytest.fixture
async def site(tmp_path: Path, database_url: str) -> AsyncIterator[Site]:
    async with opened(settings(tmp_path / "data", database_url, samples=False)) as running:
        yield running


@pytest.fixture
async def browser_of_owner(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    async with browsing(site) as client:
        client.headers.update(await signed_in(site, site.owner))
        yield client


@pytest.mark.parametrize("path", ["/w/main/keys", "/workspaces/new", "/people", "/w/main/settings", "/account/name"])
@pytest.mark.parametrize("bad", ["%00", "%ED%A0%80"])
async def test_forms(site: Site, browser_of_owner: httpx2.AsyncClient, path: str, bad: str) -> None:
    body = f"name=aforbidden{bad}b&email=a%40example.org&slug=some-where&scope-prompts=read&role=user"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
    answer = await browser_of_owner.post(path, content=body, headers=headers)
    if bad == "%00":
        assert answer.status_code == 422
        assert answer.headers["content-type"].startswith("text/html")
        assert "U+0000" in answer.text
        # It is the form again, at its field; but the account's, which FastAPI refuses.
        assert ('aria-invalid="true"' in answer.text) == (path != "/account/name")
        assert "aforbidden" not in await everything_stored(site)
    assert answer.status_code < 500


@pytest.mark.parametrize(
    "profile",
    [
        r'{"a": "\ud800"}',
        r'{"\udc00": 1}',
        r'{"a": "\u0000"}',
        r'{"a\u0000": 1}',
        r'{"a": [{"b": ["\ud800"]}]}',
        r'{"a": [{"\u0000": 1}]}',
        '{"a": NaN}',
        '{"a": [-Infinity]}',
        '{"a": 1e999}',
    ],
)
async def test_profiles(site: Site, profile: str) -> None:
    headers = {"Content-Type": "application/json"}
    body = f'{{"email": "a@example.org", "name": "A", "profile": {profile}}}'
    made = await site.client.post(USERS, content=body, headers=headers)
    assert (made.status_code, made.json()["errors"][0]["pointer"].startswith("/profile")) == (422, True)
    good = r'{"email": "a@example.org", "name": "A", "profile": {"ß": ["\ud83d\ude00", 1.5, null]}}'
    made = await site.client.post(USERS, content=good, headers=headers)
    assert made.status_code == 201
    path = f"{USERS}/{made.json()['id']}"
    assert (await site.client.patch(path, content=f'{{"profile": {profile}}}', headers=headers)).status_code == 422
    assert (await site.client.get(path)).json()["profile"] == {"ß": ["😀", 1.5, None]}


async def test_a_form_that_knows_nothing_of_it(browser_of_owner: httpx2.AsyncClient) -> None:
    headers = {"Accept": "text/html"}
    form = {"row_version": "1\0"}
    answer = await browser_of_owner.post(f"/people/{UUID(int=1)}/transfer", data=form, headers=headers)
    assert (answer.status_code, "row_version" in answer.text) == (422, True)
