"""API keys: what they may do, how they end, and that they are never seen again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from autoforge.access.permissions import ACTIONS, AREAS, SERVER, allows, covers
from autoforge.db import clock
from autoforge.db import models as m
from autoforge.errors import DatabaseUnavailable
from tests.access.people import browsing, entries, person, sign_in
from tests.web.site import Site

KEYS = "/api/v1/keys"


async def make(site: Site, *scopes: str, **more: Any) -> tuple[dict[str, str], str]:
    """The headers of a new key of the owner, and its id."""
    made = await site.client.post(KEYS, json={"name": "key", "scopes": list(scopes), **more})
    assert made.status_code == 201, made.text
    return {"Authorization": f"Bearer {made.json()['key']}"}, made.json()["id"]


async def test_scopes_limit_what_a_key_may_do(site: Site) -> None:
    headers, _ = await make(site, "prompts:read")
    assert (await site.client.get("/api/v1/prompts", headers=headers)).status_code == 200
    refused = await site.client.post("/api/v1/prompts", json={"name": "a", "content": "b"}, headers=headers)
    assert refused.status_code == 403
    assert "This key's scopes do not include prompts:write" in refused.json()["detail"]
    assert (await site.client.get("/api/v1/suites", headers=headers)).status_code == 403


async def test_a_prompt_is_made_only_with_the_scope_for_prompts(site: Site) -> None:
    template = (await site.client.post("/api/v1/templates", json={"name": "t", "content": "x"})).json()["id"]
    tests = [{"vars": {"question": "1"}, "assert": [{"type": "equals", "value": "x"}]}]
    suite = (await site.client.post("/api/v1/suites", json={"name": "s", "tests": tests})).json()["id"]
    run = {"suite_id": suite, "model": "m", "outputs": [{"output": "x"}]}
    asked: list[tuple[str, str, Any]] = [
        ("templates:write", f"/api/v1/templates/{template}/use", {"name": "made/by-key"}),
        (
            "evaluations:write",
            "/api/v1/evaluations/with-prompt",
            {"prompt": {"name": "p", "content": "x"}, "evaluation": run},
        ),
    ]
    for scope, path, body in asked:
        headers, _ = await make(site, scope)
        refused = await site.client.post(path, json=body, headers=headers)
        assert (refused.status_code, "prompts:write" in refused.json()["detail"]) == (403, True)
        headers, _ = await make(site, scope, "prompts:write")
        assert (await site.client.post(path, json=body, headers=headers)).status_code == 201


async def test_a_key_makes_no_key_that_may_more(site: Site) -> None:
    headers, _ = await make(site, "keys:write", "audit:admin", "prompts:read")
    for scope in ("*:read", "*:admin", "prompts:write", "suites:read", "keys:admin"):
        answer = await site.client.post(KEYS, json={"name": "more", "scopes": [scope]}, headers=headers)
        assert answer.status_code == 422, scope
    assert (
        await site.client.post(KEYS, json={"name": "less", "scopes": ["audit:read"]}, headers=headers)
    ).status_code == 201


async def test_a_key_cannot_touch_the_account(site: Site) -> None:
    headers, _ = await make(site, "prompts:read")
    headers["Origin"] = "http://127.0.0.1"
    for path in ("/account/password", "/account/name", "/sign-out", "/account/sessions/end-others", "/workspaces/new"):
        answer = await site.client.post(path, data={"password": "a new password", "name": "x"}, headers=headers)
        assert answer.status_code == 403, path


@pytest.mark.parametrize("wrong", ["prompts", "prompts:everything", "nothing:read", "", "servers:read"])
async def test_unknown_scopes_are_refused(site: Site, wrong: str) -> None:
    answer = await site.client.post(KEYS, json={"name": "key", "scopes": ["prompts:read", wrong]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/scopes/1"


async def test_a_revoked_key_is_out_at_once(site: Site) -> None:
    headers, key_id = await make(site, "prompts:read")
    assert (await site.client.get("/api/v1/prompts", headers=headers)).status_code == 200
    assert (await site.client.delete(f"{KEYS}/{key_id}")).status_code == 204
    assert (await site.client.get("/api/v1/prompts", headers=headers)).status_code == 401
    assert (await site.client.delete(f"{KEYS}/{key_id}")).status_code == 404


async def test_a_key_expires(site: Site) -> None:
    before = clock.now() - timedelta(days=2)
    with clock.running_on(lambda: before):
        headers, _ = await make(site, "prompts:read", days=1)
    assert (await site.client.get("/api/v1/prompts", headers=headers)).status_code == 401


async def test_rotation_overlaps_and_keeps_the_lifetime(site: Site) -> None:
    headers, key_id = await make(site, "prompts:read", days=30)
    rotated = await site.client.post(f"{KEYS}/{key_id}/rotate")
    fresh = {"Authorization": f"Bearer {rotated.json()['key']}"}
    for one in (headers, fresh):
        assert (await site.client.get("/api/v1/prompts", headers=one)).status_code == 200
    listed = {key["id"]: key for key in (await site.client.get(KEYS)).json()}
    ends = {key: value["expires_at"] for key, value in listed.items()}
    assert ends[key_id] < ends[rotated.json()["id"]] < f"{clock.now() + timedelta(days=31):%Y-%m-%d}Z"
    tomorrow = clock.now() + timedelta(hours=25)
    site.app.state.services.cache.forget("access")
    with clock.running_on(lambda: tomorrow):
        assert (await site.client.get("/api/v1/prompts", headers=headers)).status_code == 401
        assert (await site.client.get("/api/v1/prompts", headers=fresh)).status_code == 200


async def test_managers_see_all_keys_and_others_their_own(site: Site, visitor: httpx2.AsyncClient) -> None:
    _, key_id = await make(site, "prompts:read")
    await person(site, member=True)
    await sign_in(visitor)
    here = {"X-Workspace": "main"}
    assert (await visitor.get(KEYS, headers=here)).json() == []
    assert (await visitor.delete(f"{KEYS}/{key_id}", headers=here)).status_code == 404
    mine = await visitor.post(KEYS, json={"name": "mine", "scopes": ["prompts:read"]}, headers=here)
    assert mine.status_code == 201
    assert len((await visitor.get(KEYS, headers=here)).json()) == 1
    listed = (await site.client.get(KEYS)).json()
    assert {key["owner"] for key in listed} == {"Local owner", "ada"}
    theirs = mine.json()["id"]
    assert (await site.client.post(f"{KEYS}/{theirs}/rotate")).status_code == 403  # it would act as the wrong person
    assert (await site.client.delete(f"{KEYS}/{theirs}")).status_code == 204


async def test_a_key_belongs_to_its_workspace(site: Site) -> None:
    headers, _ = await make(site, "*:admin")
    assert (await site.client.get("/w/other/prompts", headers=headers)).status_code == 404
    assert (await site.client.get("/api/v1/workspaces/other", headers=headers)).status_code == 404
    assert (await site.client.get("/api/v1/prompts", headers={**headers, "X-Workspace": "other"})).status_code == 200


async def test_a_key_ends_with_the_membership(site: Site) -> None:
    user_id = await person(site, member=True)
    async with browsing(site) as client:
        await sign_in(client)
        made = await client.post(KEYS, json={"name": "k", "scopes": ["prompts:read"]}, headers={"X-Workspace": "main"})
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    assert (await site.client.get("/api/v1/prompts", headers=headers)).status_code == 200
    assert (await site.client.delete(f"/api/v1/workspaces/main/members/{user_id}")).status_code == 204
    assert (await site.client.get("/api/v1/prompts", headers=headers)).status_code == 401


async def test_the_page_shows_a_key_once(site: Site, visitor: httpx2.AsyncClient) -> None:
    await person(site, member=True)
    await sign_in(visitor)
    form = {"name": "Nightly", "days": "30", "scope-prompts": "read", "scope-suites": ""}
    made = await visitor.post("/w/main/keys", data=form)
    assert "afn_" in made.text
    assert "no-store" in made.headers["cache-control"]
    again = (await visitor.get("/w/main/keys")).text
    assert "Nightly" in again
    assert made.text.count("afn_") == again.count("afn_") + 2  # the key itself and its copy button
    assert (await visitor.post("/w/main/keys", data={"name": "x"})).status_code == 422


async def test_limits_tell_what_is_left(site: Site) -> None:
    from autoforge.access.limits import Budgets

    site.app.state.gate.budgets = Budgets(site.database, 100)
    first = await site.client.get("/api/v1/prompts")
    assert first.headers["ratelimit-policy"] == '"default";q=100;w=60'
    answers = [await site.client.get("/api/v1/me") for _ in range(210)]
    over = [answer for answer in answers if answer.status_code == 429]
    assert over, "210 requests in at most two minutes of 100"
    assert 1 <= int(over[0].headers["retry-after"]) <= 60
    assert len(answers) - len(over) <= 200


async def test_two_processes_share_a_limit(site: Site) -> None:
    from autoforge.access.limits import Budgets
    from autoforge.errors import TooManyRequests

    one, two = Budgets(site.database, 100), Budgets(site.database, 100)
    taken = 0
    for budget in [one, two] * 150:
        try:
            await budget.take("read:somebody")
        except TooManyRequests:
            continue
        taken += 1
    assert 100 <= taken <= 200  # a hundred a minute; the test may run into a second one


async def test_making_a_key_is_in_the_audit_log(site: Site) -> None:
    await make(site, "prompts:read")
    made = [entry for entry in await entries(site) if entry.action == "key_created"]
    assert "prompts:read" in made[-1].detail


@pytest.mark.parametrize("area", AREAS)
def test_roles_and_permissions(area: str) -> None:
    for action in ACTIONS:
        assert allows("admin", True, ("*:admin",), f"{area}:{action}")
        assert allows("manager", True, ("*:admin",), f"{area}:{action}") == (area not in SERVER)
        assert allows("user", False, (f"{area}:{action}",), f"{area}:{action}") == allows(
            "user", False, ("*:admin",), f"{area}:{action}"
        )
    assert not allows("user", False, ("*:admin",), f"{area}:admin")
    assert not allows("manager", True, ("*:admin",), "server:admin")
    assert covers(("*:read",), f"{area}:read")
    assert not covers((f"{area}:admin",), "*:read")


@pytest.mark.parametrize("days", [None, 30])
async def test_a_key_is_rotated_once_and_its_successor_again(site: Site, days: int | None) -> None:
    """A second rotation of the same key would take the hours that it has left for the lifetime that was chosen."""
    _, first = await make(site, "prompts:read", days=days)
    second = (await site.client.post(f"{KEYS}/{first}/rotate")).json()["id"]
    refused = await site.client.post(f"{KEYS}/{first}/rotate")
    assert (refused.status_code, "rotated already" in refused.json()["detail"]) == (409, True)
    third = (await site.client.post(f"{KEYS}/{second}/rotate")).json()["id"]
    listed = {key["id"]: key for key in (await site.client.get(KEYS)).json()}
    assert (listed[first]["replaced_by"], listed[third]["replaced_by"]) == (second, None)
    ends = listed[third]["expires_at"]
    assert ends is None if days is None else ends > (clock.now() + timedelta(days=days - 1)).isoformat()
    page = f"/w/main/keys/{first}/rotate"
    assert (await site.client.post(page)).status_code == 303
    assert (await site.client.get("/w/main/keys")).text.count("/rotate") == 1 + _of_site(await site.client.get(KEYS))


def _of_site(keys: Any) -> int:
    """The key that asks is of the owner, too."""
    return sum(1 for key in keys.json() if key["name"] == "tests" and key["owner"] == "Local owner")


class Full:
    """A database on a disk that is full: reading goes on, and nothing can be written. ``is_full`` may change."""

    def __init__(self, database: Any) -> None:
        self._database, self.is_full = database, True

    def write(self) -> Any:
        if self.is_full:
            raise DatabaseUnavailable("The disk is full.")
        return self._database.write()


async def test_a_full_disk_stops_no_reads(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from autoforge.access.limits import Budgets

    logged: list[str] = []
    monkeypatch.setattr("autoforge.access.limits.log.warning", lambda said, **_: logged.append(said), raising=False)
    disk: Any = Full(site.database)
    site.app.state.gate.budgets = budgets = Budgets(disk, 100)
    answers = [await site.client.get("/api/v1/me") for _ in range(210)]
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 429}  # this process counts for itself
    assert 100 <= statuses.count(200) <= 200
    assert len(logged) == 1
    disk.is_full = False
    assert (await budgets.take("read:somebody else"))[0] > 0
    async with site.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(m.RateLimit)) == 1


async def test_a_key_for_nothing_is_refused_in_words_of_the_form(site: Site, visitor: httpx2.AsyncClient) -> None:
    await person(site, member=True)
    await sign_in(visitor)
    answer = await visitor.post("/w/main/keys", data={"name": "k", "days": "30"})
    assert answer.status_code == 422
    assert "Choose at least one thing that it may do." in answer.text
