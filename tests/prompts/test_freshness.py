"""A tag is that of the answer: whatever an answer shows, a reader who has an older one is sent the new one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import select, update

from autoforge.access import Actor
from autoforge.db import Database, clock
from autoforge.db import models as m
from autoforge.users import leaving
from tests import make
from tests.prompts.test_routes import create, point, save


async def seen_again(api: httpx2.AsyncClient, path: str, change: Any) -> tuple[httpx2.Response, httpx2.Response]:
    """The answer before the change, and to whoever has that one after it."""
    first = await api.get(path)
    assert (await api.get(path, headers={"If-None-Match": first.headers["etag"]})).status_code == 304
    await change()
    return first, await api.get(path, headers={"If-None-Match": first.headers["etag"]})


async def renamed(database: Database, user_id: UUID, name: str) -> None:
    async with database.write() as session:
        await session.execute(update(m.User).where(m.User.id == user_id).values(name=name))


@pytest.mark.parametrize("reference", ["p", "p@1", "p@main"])
@pytest.mark.parametrize("changes", [{"title": "New"}, {"status": "archived"}, {"title": "New", "status": "active"}])
async def test_a_served_prompt_is_sent_again_when_what_is_told_with_it_changes(
    api: httpx2.AsyncClient, changes: dict[str, str], reference: str
) -> None:
    prompt = await create(api, "p", title="Old")

    async def change() -> None:
        assert (await api.patch(f"prompts/{prompt}", json=changes)).status_code == 204

    before, after = await seen_again(api, f"prompts/served/{reference}", change)
    assert after.status_code == 200
    assert {**before.json(), **changes} == after.json()
    assert before.headers["etag"] != after.headers["etag"]


async def test_new_names_of_people_are_sent(api: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    prompt = await create(api)
    await save(api, prompt, "two")
    await point(api, prompt, "label/live", 1)
    for path, place in ((f"prompts/{prompt}", "owner"), (f"prompts/{prompt}/versions/1", "author")):
        _, after = await seen_again(api, path, lambda place=place: renamed(database, owner.user_id, f"new {place}"))
        assert (after.status_code, after.json().get(place)) == (200, f"new {place}")


async def test_the_name_of_whoever_moved_a_label_is_sent(
    api: httpx2.AsyncClient, database: Database, stranger: Actor
) -> None:
    prompt = await create(api, labels=["live"])
    async with database.write() as session:
        theirs = update(m.PromptHead).where(m.PromptHead.name == "live").values(updated_by=stranger.user_id)
        await session.execute(theirs)
    _, after = await seen_again(api, f"prompts/{prompt}", lambda: renamed(database, stranger.user_id, "Grace"))
    assert after.status_code == 200
    assert [head["updated_by"] for head in after.json()["heads"]][1] == "Grace"


async def test_a_new_owner_is_sent(api: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    prompt = await create(api)
    template = (await api.post("templates", json={"name": "t", "content": "x"})).json()["id"]
    async with database.write() as session:
        heir = await make.actor(session, "heir")

    async def hand_over() -> None:
        async with database.write() as session:
            await leaving.transfer(session, owner, owner.user_id, heir.user_id)

    stale = (await api.get(f"templates/{template}")).headers["etag"]
    before, after = await seen_again(api, f"prompts/{prompt}", hand_over)
    assert (after.status_code, after.json()["owner"]) == (200, heir.user_name)
    assert after.json()["row_version"] == before.json()["row_version"] + 1
    assert after.json()["updated_at"] > before.json()["updated_at"]
    late = await api.patch(f"templates/{template}", json={"description": "x"}, headers={"If-Match": stale})
    assert late.status_code == 412


async def test_a_run_of_another_model_with_the_same_score_is_sent(
    api: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    prompt = await create(api)
    async with database.read() as session:
        version = await session.scalar(select(m.PromptVersion.id).where(m.PromptVersion.prompt_id == UUID(prompt)))
    moments = iter(clock.now() + timedelta(hours=hours) for hours in range(9))

    async def run(model: str) -> None:
        about = {"prompt_id": UUID(prompt), "version_id": version, "score": 0.5, "model": model}
        async with database.write() as session:
            await make.evaluations(session, owner, 1, created_at=next(moments), **about)

    await run("first")
    for path in (f"prompts/{prompt}", f"prompts/{prompt}/versions/1"):
        _, after = await seen_again(api, path, lambda path=path: run(f"model of {path}"))
        assert after.status_code == 200
        told = after.json() if "versions/" in path else after.json()["head"]
        assert told["latest_model"] == f"model of {path}"
