"""Lists that are kept ready to send are always the lists that would be read now."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from autoforge.cache import Kind
from autoforge.db.trace import count_statements
from autoforge.operations.samples import remove_samples
from tests.access.people import browsing, person, sign_in
from tests.web.examples import LAST, Asked, everything
from tests.web.site import Site, key, opened, settings

LISTS = (
    "/api/v1/prompts",
    "/api/v1/prompts?owner=me&sort=name&limit=5",
    "/api/v1/prompts?status=deleted",
    "/api/v1/prompts?folder=support&fields=name,labels,owner,latest",
    "/api/v1/suites",
    "/api/v1/suites?sort=name&fields=name,evaluations,latest_score",
    "/api/v1/evaluations",
    "/api/v1/evaluations?status=completed&fields=name,prompt_name,suite_name",
    "/api/v1/users",
    "/api/v1/users?deleted=true",
    "/api/v1/users?active=false&sort=name",
)
ASKED = ("", "?outcome=fail", "?outcome=pass&sort=-score")


@pytest.fixture
async def site(tmp_path: Path, database_url: str) -> AsyncIterator[Site]:
    async with opened(settings(tmp_path / "data", database_url)) as running:
        yield running


async def lists(site: Site) -> dict[str, Any]:
    answers = {path: await site.client.get(path) for path in LISTS}
    assert {path: answer.text for path, answer in answers.items() if answer.status_code != 200} == {}
    return {path: (answer.json(), answer.headers.get("link")) for path, answer in answers.items()}


async def pages(site: Site) -> dict[str, str]:
    """The pages that show kept rows, without what depends on the time of day."""
    runs = (await site.client.get("/api/v1/evaluations")).json()["items"]
    shown = [f"/w/main/evaluations/{run['id']}{asked}" for run in runs[:2] for asked in ASKED]
    places = ["/w/main/evaluations", *shown]
    answers = {place: await site.client.get(place, headers={"Accept": "text/html"}) for place in places}
    assert {place: answer.status_code for place, answer in answers.items()} == dict.fromkeys(places, 200)
    return {place: re.sub("<time.*?</time>", "", answer.text) for place, answer in answers.items()}


async def read_now(site: Site) -> dict[str, Any]:
    site.app.state.services.cache.near.clear()
    return await lists(site)


async def test_what_is_kept_is_sent_without_a_statement(site: Site) -> None:
    first = await lists(site)
    with count_statements() as counted:
        assert await lists(site) == first
    assert counted.count == 0
    assert site.app.state.services.cache.counts[Kind.LISTS].hits == len(LISTS)


async def test_pages_of_runs_read_less_the_second_time(site: Site) -> None:
    first = await pages(site)
    with count_statements() as counted:
        assert await pages(site) == first
    assert counted.count == 2 * len(ASKED)  # of each run that is shown: itself
    assert len(set(first.values())) == len(first)


@pytest.mark.parametrize("path", ["/api/v1/prompts?q=triage", "/api/v1/users?q=o", "/api/v1/suites?q=a"])
async def test_what_is_searched_for_is_read_each_time(site: Site, path: str) -> None:
    await site.client.get(path)
    with count_statements() as counted:
        assert (await site.client.get(path)).status_code == 200
    assert counted.count == 1


async def test_two_people_and_two_workspaces_do_not_share_a_list(site: Site) -> None:
    mine = await lists(site)
    theirs = [await site.client.get(path, headers=site.theirs) for path in LISTS if "users" not in path]
    assert mine["/api/v1/prompts"][0]["items"]
    assert [answer.json()["items"] for answer in theirs] == [[]] * len(theirs)


async def test_whatever_is_written_the_lists_show_it_at_once(site: Site) -> None:
    asked = await everything(site)
    site.client.headers.update(await key(site.app, site.owner))  # one that no request names
    before, changed = await lists(site), set()
    for one in asked:
        if one.method != "GET" and not one.page and one.place not in LAST:
            await _write(site, one)
            kept, shown = await lists(site), await pages(site)
            assert kept == await read_now(site), one.place
            assert shown == await pages(site), one.place
            if kept != before:
                changed.add(one.place)
            before = kept
    assert {place.split("/")[3] for place in changed} >= {"prompts", "suites", "users", "evaluations"}
    assert len(changed) > 12


async def _write(site: Site, one: Asked) -> None:
    """As the example has it, with a name and an address that are not there yet."""
    sent = one.sent()
    body = sent.get("json")
    if isinstance(body, dict):
        new = f"{one.method.lower()}-{len(one.template)}"
        body |= {name: value for name, value in {"name": new, "email": f"{new}@example.org"}.items() if name in body}
    await site.client.request(one.method, one.path, **sent)


async def test_runs_labels_people_and_samples_show_as_well(site: Site) -> None:
    prompts = (await lists(site))["/api/v1/prompts"][0]["items"]
    (suite, *_) = (await lists(site))["/api/v1/suites"][0]["items"]
    run = {"suite_id": suite["id"], "model": "m", "prompt": prompts[0]["name"], "outputs": [{"output": "x"}]}
    made = await site.client.post("/api/v1/evaluations", json=run)
    assert made.status_code == 201, made.text
    kept = await lists(site)
    assert kept == await read_now(site)
    assert kept["/api/v1/prompts"][0]["items"][0]["latest"]["evaluation_id"] == made.json()["id"]
    await person(site)
    assert (await lists(site))["/api/v1/users"][0]["items"][0]["last_login_at"] is None
    async with browsing(site) as client:
        assert (await sign_in(client)).status_code == 303
    kept = await lists(site)
    assert kept["/api/v1/users"][0]["items"][0]["last_login_at"] is not None
    assert kept == await read_now(site)


async def test_runs_show_the_new_names_of_their_prompt_and_suite(site: Site) -> None:
    run = (await lists(site))["/api/v1/evaluations"][0]["items"][0]
    await pages(site)
    for place, name in (("prompts", "renamed/prompt"), ("suites", "Renamed suite")):
        asked = f"/api/v1/{place}/{run[f'{place[:-1]}_id']}"
        assert (await site.client.patch(asked, json={"name": name})).status_code == 204
        (shown, *_) = (await lists(site))["/api/v1/evaluations"][0]["items"]
        assert shown[f"{place[:-1]}_name"] == name
        assert name in (await pages(site))["/w/main/evaluations"]


async def test_removed_samples_are_no_longer_offered_for_comparison(site: Site) -> None:
    sample = (await lists(site))["/api/v1/evaluations"][0]["items"][0]
    run = {"suite_id": sample["suite_id"], "model": "my own", "outputs": [{"output": "x"}]}
    made = (await site.client.post("/api/v1/evaluations", json=run)).json()["id"]
    shown = (await pages(site))[f"/w/main/evaluations/{made}"]
    assert sample["id"] in shown
    await remove_samples(site.app.state.services.database, site.owner)
    assert sample["id"] not in (await pages(site))[f"/w/main/evaluations/{made}"]
