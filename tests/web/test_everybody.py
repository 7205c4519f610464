"""Every endpoint, asked by somebody else and by nobody: it says that there is nothing, and changes nothing.

One walk over all that the product answers (:mod:`tests.web.examples`): the API from its own OpenAPI document and the
pages from their routers, so that a new route is walked as soon as it exists.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from autoforge.db import Database
from autoforge.db.models.base import Base
from tests.web.examples import Asked, everything
from tests.web.site import Site, key, opened, settings, signed_in

pytestmark = pytest.mark.anyio

FOR_EVERYBODY = {
    "/sign-in": "the form to sign in",
    "/sign-in/link": "takes a one-time link's token",
    "/sign-out": "ends the sign-in of whoever has one",
    "/metrics": "on loopback; tests/telemetry/test_scraping.py asks as others where others reach the server",
    "/welcome": "the page behind a one-time link; its token is posted",
    "/welcome/open": "takes a one-time link's token",
}
"""Pages that nobody has to be signed in for, and why."""

FOR_EVERY_KEY = {
    "/": "leads to the workspace",
    "/api/v1/me": "says what the key may do",
    "/api/v1/workspaces": "the workspaces of the key's person",
}
"""What needs no permission, only valid credentials."""

BESIDE = {"rate_limits", "service_levels", "audit_head", "idempotency_keys", "leases", "schedules"}
"""Tables that asking alone may change."""
TIMES_OF_USE = {"last_used_at", "seen_at"}
"""Columns that are written beside a request, once a minute."""


async def fingerprint(database: Database) -> dict[str, Any]:
    """Rows and their hash, by table; when a key was last used does not count."""
    found = {}
    async with database.read() as session:
        for table in Base.metadata.sorted_tables:
            columns = [column for column in table.columns if column.name not in TIMES_OF_USE]
            if table.name not in BESIDE:
                rows = sorted(repr(tuple(row)) for row in await session.all(select(*columns)))
                found[table.name] = (len(rows), hashlib.sha256("".join(rows).encode()).hexdigest())
    return found


@pytest.fixture(scope="module")
async def walked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with opened(settings(tmp_path_factory.mktemp("walked"))) as site:
        yield site


async def ask(site: Site, one: Asked, headers: Any) -> httpx2.Response:
    client = httpx2.AsyncClient(transport=site.client._transport, base_url=site.client.base_url)
    return await client.request(one.method, one.path, headers=headers, **one.sent())


async def test_all_paths_can_be_filled_in(walked: Site) -> None:
    found = await everything(walked)
    assert len(found) > 90
    assert [one.place for one in found if "None" in one.path and "session_id" not in one.template] == []


async def test_the_owner_reads_everything(walked: Site) -> None:
    """So that the refusals below are refusals, and not mistakes in the paths."""
    cookie = await signed_in(walked, walked.owner)
    wrong = {}
    for one in await everything(walked):
        if one.method == "GET" and one.template not in FOR_EVERYBODY and not one.template.endswith("/merge"):
            status = (await ask(walked, one, cookie if one.page else walked.mine)).status_code
            if status not in (200, 302, 303):
                wrong[one.place] = status
    assert wrong == {}


async def test_nobody_gets_nothing(walked: Site) -> None:
    before = await fingerprint(walked.database)
    wrong = {}
    for one in await everything(walked):
        if not one.open and one.template not in FOR_EVERYBODY:
            answer = await ask(walked, one, {"Accept": "application/json"})
            if answer.status_code not in (401, 403, 404):
                wrong[one.place] = (answer.status_code, answer.text[:200])
    assert wrong == {}
    assert await fingerprint(walked.database) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Bearer afn_" + "x" * 43},
        {"Authorization": "Basic b3duZXI6b3duZXI="},
        {"Cookie": "autoforge_session=nonsense"},
        {"Cookie": "autoforge_session=nonsense", "X-Workspace": "main"},
    ],
    ids=["no key", "unknown key", "another scheme", "unknown session", "unknown session and a workspace"],
)
async def test_credentials_that_are_none_are_as_good_as_none(walked: Site, headers: dict[str, str]) -> None:
    wrong = {}
    for one in await everything(walked):
        if not one.open and one.template not in FOR_EVERYBODY:
            answer = await ask(walked, one, headers)
            if answer.status_code not in (401, 403, 404):
                wrong[one.place] = answer.status_code
    assert wrong == {}


async def test_people_who_are_not_signed_in_are_sent_to_sign_in(walked: Site) -> None:
    for one in await everything(walked):
        if one.page and one.method == "GET" and one.template not in FOR_EVERYBODY:
            answer = await ask(walked, one, {"Accept": "text/html"})
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in"), one.place


async def test_somebody_else_gets_nothing_of_what_is_named(walked: Site) -> None:
    before = await fingerprint(walked.database)
    wrong = {}
    for one in await everything(walked):
        if one.names_something and "{reference}" not in one.template:
            answer = await ask(walked, one, walked.theirs)
            if answer.status_code not in (401, 403, 404):
                wrong[one.place] = (answer.status_code, answer.text[:300])
    assert wrong == {}
    assert await fingerprint(walked.database) == before


async def test_somebody_else_with_a_cookie_gets_nothing_either(walked: Site) -> None:
    cookie = await signed_in(walked, walked.other)
    before = await fingerprint(walked.database)
    wrong = {}
    for one in await everything(walked):
        if one.names_something and "{reference}" not in one.template:
            for headers in (cookie, {**cookie, "X-Workspace": "main"}):
                answer = await ask(walked, one, headers)
                if answer.status_code not in (401, 403, 404):
                    wrong[one.place] = (answer.status_code, answer.text[:300])
    assert wrong == {}
    assert await fingerprint(walked.database) == before


async def test_lists_of_somebody_else_hold_nothing_of_mine(walked: Site) -> None:
    """Their own lists are theirs to read; nothing of the first workspace stands in them, public templates excepted."""
    mine = await _names_of_mine(walked)
    wrong = {}
    for one in await everything(walked):
        if one.method == "GET" and not one.names_something and "templates" not in one.template:
            answer = await ask(walked, one, walked.theirs)
            if leaked := [name for name in mine if name in answer.text and name not in one.path]:
                wrong[one.place] = leaked[:5]
    assert wrong == {}


async def _names_of_mine(site: Site) -> list[str]:
    found = []
    for path in ("prompts", "suites", "evaluations", "keys"):
        body = (await site.client.get(f"/api/v1/{path}")).json()
        found += [row["id"] for row in (body["items"] if isinstance(body, dict) else body)]
    assert len(found) > 15
    return found


async def test_a_key_that_may_read_changes_nothing(walked: Site) -> None:
    reader = await key(walked.app, walked.owner, "*:read")
    before = await fingerprint(walked.database)
    wrong = {}
    for one in await everything(walked):
        if one.method != "GET" and one.template not in FOR_EVERYBODY:
            answer = await ask(walked, one, reader)
            if answer.status_code != 403 and answer.status_code != 405:
                wrong[one.place] = (answer.status_code, answer.text[:300])
    assert wrong == {}
    assert await fingerprint(walked.database) == before


async def test_a_key_for_another_area_reads_nothing(walked: Site) -> None:
    other = await key(walked.app, walked.owner, "jobs:admin")
    wrong = {}
    for one in await everything(walked):
        free = one.open or one.template in FOR_EVERYBODY or one.template in FOR_EVERY_KEY
        if one.method == "GET" and not free and "/jobs" not in one.template:
            answer = await ask(walked, one, other)
            if answer.status_code != 403:
                wrong[one.place] = answer.status_code
    assert wrong == {}


async def test_a_reference_means_one_s_own_workspace(walked: Site) -> None:
    for reference in ("support/triage", "support/triage@production", "support/triage@1"):
        path = f"/api/v1/prompts/served/{reference}"
        assert (await walked.client.get(path)).status_code == 200
        assert (await walked.client.get(path, headers=walked.theirs)).status_code == 404


async def test_what_others_make_does_not_touch_mine(walked: Site) -> None:
    """Creating requests with ids of the first workspace in their bodies: refused, or made in their own workspace."""
    mine = await _rows_of_mine(walked)
    for one in await everything(walked):
        if one.method != "GET" and not one.names_something and not one.page:
            answer = await ask(walked, one, walked.theirs)
            assert answer.status_code < 500, one.place
    assert await _rows_of_mine(walked) == mine


async def _rows_of_mine(site: Site) -> dict[str, int]:
    found = {}
    async with site.database.read() as session:
        for table in Base.metadata.sorted_tables:
            if "workspace_id" in table.columns and table.name not in BESIDE:
                lasting = [column for column in table.columns if column.name not in TIMES_OF_USE]
                rows = await session.all(select(*lasting).where(table.c.workspace_id == site.owner.workspace_id))
                found[table.name] = hash(tuple(sorted(repr(tuple(row)) for row in rows)))
    return found
