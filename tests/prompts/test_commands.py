"""Making, changing, deleting and bringing back prompts, on both databases."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from autoforge.access import Actor
from autoforge.db import Database, search
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, Conflict, NotFound, Stale
from autoforge.prompts import commands, queries
from autoforge.prompts.commands import Created, Draft
from autoforge.prompts.content import from_text
from autoforge.prompts.queries import Listing


async def create(
    database: Database, actor: Actor, name: str = "support/answer", words: str = "Hi", **more: Any
) -> Created:
    async with database.write() as session:
        return await commands.create(session, actor, Draft(name, from_text(words), **more))


async def row_of(database: Database, prompt_id: UUID) -> Any:
    async with database.read() as session:
        return await session.first(select(*m.Prompt.__table__.c).where(m.Prompt.id == prompt_id))


async def found(database: Database, actor: Actor, words: str) -> list[str]:
    async with database.read() as session:
        items, _ = await queries.page(session, actor.workspace_id, Listing(words=words, fields=("name",)), 50, None)
    return [item["name"] for item in items]


async def test_a_new_prompt_has_its_first_version_at_main_and_at_its_labels(database: Database, owner: Actor) -> None:
    made = await create(database, owner, title="Answer", tags=["a", "é"], labels=["production", "production", "v.1"])
    async with database.read() as session:
        heads = await session.all(
            select(m.PromptHead.kind, m.PromptHead.name, m.PromptHead.version_id).order_by(
                m.PromptHead.kind, m.PromptHead.name
            )
        )
        moves = await session.all(select(m.PromptHeadMove.from_version_id, m.PromptHeadMove.to_version_id))
    pointed = [("branch", "main"), ("label", "production"), ("label", "v.1")]
    assert [tuple(head) for head in heads] == [(*head, made.version_id) for head in pointed]
    assert [tuple(move) for move in moves] == [(None, made.version_id)] * 3
    row = await row_of(database, made.prompt_id)
    assert (row.name, row.title, json.loads(row.tags), row.latest_number) == ("support/answer", "Answer", ["a", "é"], 1)
    assert row.owner_id == owner.user_id


async def test_a_name_is_taken_once_per_workspace(database: Database, owner: Actor, stranger: Actor) -> None:
    await create(database, owner)
    with pytest.raises(Conflict, match="already a prompt named 'support/answer'"):
        await create(database, owner)
    await create(database, stranger)


async def test_a_bad_name_status_or_label_stores_nothing(database: Database, owner: Actor) -> None:
    for bad in ({"name": "a@b"}, {"name": "a\x00"}, {"status": "new"}, {"labels": ["7"]}, {"labels": ["\ud800"]}):
        with pytest.raises(BadInput):
            await create(database, owner, **bad)
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(m.Prompt)) == 0


async def test_of_many_that_want_one_name_one_gets_it(database: Database, owner: Actor) -> None:
    results = await asyncio.gather(*(create(database, owner, words=str(n)) for n in range(8)), return_exceptions=True)
    assert sum(isinstance(result, Created) for result in results) == 1
    assert all(isinstance(result, Created | Conflict) for result in results)


async def test_editing_changes_what_is_given_and_counts_up(database: Database, owner: Actor) -> None:
    made = await create(database, owner, title="Old", description="Kept")
    async with database.write() as session:
        await commands.edit(
            session, owner, made.prompt_id, {"title": "New", "status": "active", "tags": ["x"]}, expected=1
        )
    row = await row_of(database, made.prompt_id)
    assert (row.title, row.description, row.status, row.tags, row.row_version) == ("New", "Kept", "active", '["x"]', 2)
    assert row.updated_at > row.created_at


async def test_editing_what_somebody_else_changed_is_refused(database: Database, owner: Actor) -> None:
    made = await create(database, owner)
    async with database.write() as session:
        await commands.edit(session, owner, made.prompt_id, {"title": "One"})
    with pytest.raises(Stale):
        async with database.write() as session:
            await commands.edit(session, owner, made.prompt_id, {"title": "Two"}, expected=1)
    assert (await row_of(database, made.prompt_id)).title == "One"


async def test_one_of_many_editors_of_the_same_version_wins(database: Database, owner: Actor) -> None:
    made = await create(database, owner)

    async def edit(number: int) -> None:
        async with database.write() as session:
            await commands.edit(session, owner, made.prompt_id, {"title": str(number)}, expected=1)

    results = await asyncio.gather(*(edit(n) for n in range(8)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["NoneType"] + ["Stale"] * 7
    assert (await row_of(database, made.prompt_id)).row_version == 2


async def test_renaming_is_found_by_the_new_name_only(database: Database, owner: Actor) -> None:
    made = await create(database, owner, "mail/greeting")
    await create(database, owner, "taken")
    async with database.write() as session:
        await commands.edit(session, owner, made.prompt_id, {"name": "post/salutation"})
    assert await found(database, owner, "salutation") == ["post/salutation"]
    assert await found(database, owner, "greeting") == []
    with pytest.raises(Conflict, match="'taken'"):
        async with database.write() as session:
            await commands.edit(session, owner, made.prompt_id, {"name": "taken"})


async def test_deleting_frees_the_name_and_restoring_brings_all_back(database: Database, owner: Actor) -> None:
    made = await create(database, owner, words="hippopotamus")
    async with database.write() as session:
        await commands.delete(session, owner, made.prompt_id)
    assert await found(database, owner, "hippopotamus") == []
    with pytest.raises(NotFound):
        async with database.write() as session:
            await commands.delete(session, owner, made.prompt_id)
    other = await create(database, owner, words="the name is free")
    with pytest.raises(Conflict):
        async with database.write() as session:
            await commands.restore(session, owner, made.prompt_id)
    async with database.write() as session:
        await commands.delete(session, owner, other.prompt_id)
        await commands.restore(session, owner, made.prompt_id)
    assert await found(database, owner, "hippopotamus") == ["support/answer"]
    with pytest.raises(NotFound, match="deleted prompt"):
        async with database.write() as session:
            await commands.restore(session, owner, made.prompt_id)


async def test_deleting_guards_against_changes_that_were_not_seen(database: Database, owner: Actor) -> None:
    made = await create(database, owner)
    with pytest.raises(Stale):
        async with database.write() as session:
            await commands.delete(session, owner, made.prompt_id, expected=7)
    async with database.write() as session:
        await commands.delete(session, owner, made.prompt_id, expected=1)
    assert (await row_of(database, made.prompt_id)).deleted_at is not None


@pytest.mark.parametrize("change", ["edit", "delete", "restore"])
async def test_another_workspace_s_prompt_does_not_exist(
    database: Database, owner: Actor, stranger: Actor, change: str
) -> None:
    made = await create(database, owner)
    rest = ({"title": "mine"},) if change == "edit" else ()
    for prompt_id in (made.prompt_id, new_id()):
        with pytest.raises(NotFound):
            async with database.write() as session:
                await getattr(commands, change)(session, stranger, prompt_id, *rest)
    assert (await row_of(database, made.prompt_id)).row_version == 1


async def test_changes_forget_what_is_cached_after_the_commit_only(database: Database, owner: Actor) -> None:
    forgotten: list[str] = []
    database.touched = forgotten.extend
    await create(database, owner)
    workspace = owner.workspace_id.hex
    assert set(forgotten) == {
        f"prompts:{workspace}",
        f"served:{workspace}:support/answer",
    }
    forgotten.clear()
    with pytest.raises(Conflict):
        await create(database, owner)
    assert forgotten == []


async def test_the_search_index_has_one_document_per_living_prompt(database: Database, owner: Actor) -> None:
    made = await create(database, owner, "one")
    await create(database, owner, "two")
    async with database.write() as session:
        await commands.edit(session, owner, made.prompt_id, {"title": "again"})
    async with database.read() as session:
        count = await session.scalar(text("SELECT count(*) FROM prompt_search"))
    assert count == 2
    assert search.workspace_token(owner.workspace_id) != search.workspace_token(made.prompt_id)
