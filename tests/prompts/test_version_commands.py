"""Histories: versions, heads that move, branches that merge, and what happens when many want the same at once."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from autoforge.access import Actor
from autoforge.db import Database
from autoforge.db import models as m
from autoforge.errors import BadInput, Conflict, NotFound
from autoforge.prompts import commands, version_commands, version_queries
from autoforge.prompts.commands import Draft
from autoforge.prompts.content import PromptContent, from_text
from autoforge.prompts.names import Reference
from autoforge.prompts.version_commands import Merged, Saved
from tests.prompts.test_commands import found, row_of

BASE = "one\ntwo\nthree\nfour\nfive\n"


async def create(database: Database, actor: Actor, words: str = BASE, name: str = "p") -> UUID:
    async with database.write() as session:
        return (await commands.create(session, actor, Draft(name, from_text(words)))).prompt_id


async def save(database: Database, actor: Actor, prompt_id: UUID, words: str, **more: Any) -> Saved:
    async with database.write() as session:
        return await version_commands.save(session, actor, prompt_id, from_text(words), **more)


async def point(
    database: Database, actor: Actor, prompt_id: UUID, kind: str, name: str, number: int, **more: Any
) -> None:
    async with database.write() as session:
        await version_commands.move_head(session, actor, prompt_id, kind, name, number, **more)


async def merge(database: Database, actor: Actor, prompt_id: UUID, **more: Any) -> Merged:
    async with database.write() as session:
        return await version_commands.merge_branches(session, actor, prompt_id, **more)


async def heads(database: Database, prompt_id: UUID) -> dict[str, int]:
    async with database.read() as session:
        return {head["name"]: head["number"] for head in await version_queries.heads(session, prompt_id)}


async def version(database: Database, prompt_id: UUID, number: int) -> dict[str, Any]:
    async with database.read() as session:
        one = await version_queries.one(session, prompt_id, number)
    assert one is not None
    return one


async def text_at(database: Database, prompt_id: UUID, number: int) -> str:
    content = PromptContent.from_json((await version(database, prompt_id, number))["content"])
    return str(content.messages[0].content)


async def test_saving_makes_the_next_version_from_the_head(database: Database, owner: Actor) -> None:
    prompt_id = await create(database, owner)
    saved = await save(database, owner, prompt_id, "changed", message="why", expected=1)
    assert (saved.number, saved.is_new) == (2, True)
    assert await heads(database, prompt_id) == {"main": 2}
    stored = await version(database, prompt_id, 2)
    assert (stored["parents"], stored["message"], stored["author"]) == ([1], "why", owner.user_name)
    row = await row_of(database, prompt_id)
    assert (row.latest_number, row.row_version) == (2, 2)


async def test_the_same_content_never_makes_a_version(database: Database, owner: Actor) -> None:
    prompt_id = await create(database, owner, "one")
    await save(database, owner, prompt_id, "two")
    again = await save(database, owner, prompt_id, "two")
    assert (again.number, again.is_new) == (2, False)
    assert (await row_of(database, prompt_id)).row_version == 2
    back = await save(database, owner, prompt_id, "one")
    assert (back.number, back.is_new) == (1, False)
    assert await heads(database, prompt_id) == {"main": 1}
    assert (await save(database, owner, prompt_id, "three")).number == 3
    assert (await version(database, prompt_id, 3))["parents"] == [1]


async def test_saving_on_top_of_what_was_not_seen_is_refused(database: Database, owner: Actor) -> None:
    prompt_id = await create(database, owner, "one")
    await save(database, owner, prompt_id, "two", expected=1)
    with pytest.raises(Conflict, match="is at version 2, not at version 1"):
        await save(database, owner, prompt_id, "three", expected=1)
    with pytest.raises(NotFound, match="no branch 'other'"):
        await save(database, owner, prompt_id, "three", branch="other")


async def test_numbers_never_collide_however_many_save_at_once(database: Database, owner: Actor) -> None:
    prompt_id = await create(database, owner)
    saved = await asyncio.gather(*(save(database, owner, prompt_id, f"text {n % 20}") for n in range(40)))
    assert sorted(one.number for one in saved if one.is_new) == list(range(2, 22))
    async with database.read() as session:
        numbers = await session.all(select(m.PromptVersion.number).where(m.PromptVersion.prompt_id == prompt_id))
    assert sorted(row.number for row in numbers) == list(range(1, 22))
    assert (await row_of(database, prompt_id)).latest_number == 21


async def test_of_many_that_save_on_one_version_one_wins(database: Database, owner: Actor) -> None:
    prompt_id = await create(database, owner)
    tries = (save(database, owner, prompt_id, f"text {n}", expected=1) for n in range(10))
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 9 + ["Saved"]


@pytest.mark.parametrize("expected", [0, 1])
async def test_exactly_one_of_many_moves_a_label(database: Database, owner: Actor, expected: int) -> None:
    prompt_id = await create(database, owner, "one")
    for n in range(2, 12):
        await save(database, owner, prompt_id, str(n))
    if expected:
        await point(database, owner, prompt_id, "label", "production", expected)
    movers = (point(database, owner, prompt_id, "label", "production", n, expected=expected) for n in range(2, 12))
    results = await asyncio.gather(*movers, return_exceptions=True)
    winners = [n for n, result in zip(range(2, 12), results, strict=True) if result is None]
    assert len(winners) == 1
    assert all(isinstance(result, Conflict) for result in results if result is not None)
    assert (await heads(database, prompt_id))["production"] == winners[0]
    async with database.read() as session:
        moves = await version_queries.moves(session, prompt_id)
    assert [move["to_number"] for move in moves if move["name"] == "production"] == [winners[0], expected][
        : 1 + expected
    ]


async def test_rolling_back_makes_no_version_and_loses_none(database: Database, owner: Actor) -> None:
    prompt_id = await create(database, owner, "alpha")
    await save(database, owner, prompt_id, "beta")
    await point(database, owner, prompt_id, "branch", "main", 1, expected=2)
    assert await heads(database, prompt_id) == {"main": 1}
    assert await found(database, owner, "alpha") == ["p"]
    assert await found(database, owner, "beta") == []
    await point(database, owner, prompt_id, "branch", "main", 2)
    assert await found(database, owner, "beta") == ["p"]
    async with database.read() as session:
        assert [one["number"] for one in await version_queries.newest(session, prompt_id, 10)] == [2, 1]
        moves = await version_queries.moves(session, prompt_id)
    assert [(move["from_number"], move["to_number"]) for move in moves] == [(1, 2), (2, 1), (1, 2), (None, 1)]


async def test_moving_a_head_where_it_is_changes_nothing(database: Database, owner: Actor) -> None:
    prompt_id = await create(database, owner)
    await point(database, owner, prompt_id, "label", "live", 1)
    before = await row_of(database, prompt_id)
    await point(database, owner, prompt_id, "label", "live", 1)
    assert await row_of(database, prompt_id) == before
    with pytest.raises(NotFound, match="no version 7"):
        await point(database, owner, prompt_id, "label", "live", 7)
    with pytest.raises(BadInput, match="version number"):
        await point(database, owner, prompt_id, "label", "7", 1)


async def test_removing_heads(database: Database, owner: Actor) -> None:
    prompt_id = await create(database, owner)
    await point(database, owner, prompt_id, "label", "live", 1)
    async with database.write() as session:
        await version_commands.remove_head(session, owner, prompt_id, "label", "live")
    assert await heads(database, prompt_id) == {"main": 1}
    for kind, name, error in (("label", "live", NotFound), ("branch", "main", BadInput), ("label", "a\x00", BadInput)):
        with pytest.raises(error):
            async with database.write() as session:
                await version_commands.remove_head(session, owner, prompt_id, kind, name)
    async with database.read() as session:
        newest = (await version_queries.moves(session, prompt_id))[0]
    assert (newest["name"], newest["from_number"], newest["to_number"]) == ("live", 1, None)


class TestMerging:
    async def branched(self, database: Database, owner: Actor, ours: str, theirs: str) -> UUID:
        """Version 2 is ``theirs`` on the branch ``idea``, version 3 ``ours`` on main; both come from version 1."""
        prompt_id = await create(database, owner)
        await point(database, owner, prompt_id, "branch", "idea", 1)
        await save(database, owner, prompt_id, theirs, branch="idea")
        await save(database, owner, prompt_id, ours)
        return prompt_id

    async def test_changes_in_different_places_make_a_version_with_two_parents(
        self, database: Database, owner: Actor
    ) -> None:
        prompt_id = await self.branched(database, owner, BASE.replace("one", "ONE"), BASE.replace("five", "FIVE"))
        merged = await merge(database, owner, prompt_id, source="idea")
        assert merged.saved is not None
        assert (merged.saved.number, merged.saved.is_new) == (4, True)
        stored = await version(database, prompt_id, 4)
        assert stored["parents"] == [3, 2]  # ours first: it is the line that the merge continues
        assert stored["message"] == "Merge idea into main"
        assert await text_at(database, prompt_id, 4) == "ONE\ntwo\nthree\nfour\nFIVE\n"
        assert await heads(database, prompt_id) == {"main": 4, "idea": 2}
        again = await merge(database, owner, prompt_id, source="idea")
        assert again.saved == Saved(merged.saved.version_id, 4, is_new=False)

    async def test_a_branch_that_only_went_on_is_followed(self, database: Database, owner: Actor) -> None:
        prompt_id = await create(database, owner)
        await point(database, owner, prompt_id, "branch", "idea", 1)
        await save(database, owner, prompt_id, "better", branch="idea")
        merged = await merge(database, owner, prompt_id, source="idea")
        assert merged.saved is not None
        assert (merged.saved.number, merged.saved.is_new) == (2, False)
        assert await heads(database, prompt_id) == {"idea": 2, "main": 2}
        assert await found(database, owner, "better") == ["p"]

    async def test_conflicts_are_data_and_choices_decide_them(self, database: Database, owner: Actor) -> None:
        prompt_id = await self.branched(database, owner, BASE.replace("three", "OURS"), BASE.replace("three", "THEIRS"))
        merged = await merge(database, owner, prompt_id, source="idea")
        assert merged.saved is None
        (conflict,) = merged.conflicts
        assert (conflict.ours, conflict.theirs) == ("OURS\n", "THEIRS\n")
        assert await heads(database, prompt_id) == {"main": 3, "idea": 2}
        assert (await row_of(database, prompt_id)).latest_number == 3
        decided = await merge(database, owner, prompt_id, source="idea", choices={conflict.key: "theirs"})
        assert decided.saved is not None
        assert decided.saved.number == 2  # the content is theirs, which is there already
        own = {conflict.key: {"value": "both\n"}}
        await point(database, owner, prompt_id, "branch", "main", 3)
        merged = await merge(database, owner, prompt_id, source="idea", choices=own)
        assert merged.saved is not None
        assert await text_at(database, prompt_id, merged.saved.number) == BASE.replace("three", "both")
        await point(database, owner, prompt_id, "branch", "main", 3)
        with pytest.raises(BadInput, match="no conflict '/nowhere'"):
            await merge(database, owner, prompt_id, source="idea", choices={"/nowhere": "ours"})

    async def test_branches_without_a_common_version_and_missing_ones(self, database: Database, owner: Actor) -> None:
        prompt_id = await create(database, owner)
        for source, into in (("none", "main"), ("main", "none")):
            with pytest.raises(NotFound, match="no branch 'none'"):
                await merge(database, owner, prompt_id, source=source, into=into)

    async def test_of_two_merges_at_once_the_second_finds_nothing_to_do(self, database: Database, owner: Actor) -> None:
        prompt_id = await self.branched(database, owner, BASE.replace("one", "ONE"), BASE.replace("five", "FIVE"))
        results = await asyncio.gather(*(merge(database, owner, prompt_id, source="idea") for _ in range(4)))
        assert {one.saved.number for one in results if one.saved} == {4}
        assert sum(bool(one.saved and one.saved.is_new) for one in results) == 1


async def test_nothing_can_be_done_to_another_workspace_s_prompt(
    database: Database, owner: Actor, stranger: Actor
) -> None:
    prompt_id = await create(database, owner)
    for attempt in (
        save(database, stranger, prompt_id, "mine"),
        point(database, stranger, prompt_id, "label", "x", 1),
        merge(database, stranger, prompt_id, source="main"),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_references(database: Database, owner: Actor, stranger: Actor) -> None:
    prompt_id = await create(database, owner, "one", "a/b")
    await save(database, owner, prompt_id, "two")
    await point(database, owner, prompt_id, "label", "live", 1)
    await point(database, owner, prompt_id, "branch", "live", 2)  # the label wins
    await point(database, owner, prompt_id, "branch", "idea", 1)

    async def number(name: str = "a/b", actor: Actor = owner, **more: Any) -> int | None:
        async with database.read() as session:
            row = await version_queries.referenced(session, actor.workspace_id, Reference(name, **more))
        return None if row is None else row["number"]

    assert await number() == 2
    assert await number(head="live") == 1
    assert await number(head="idea") == 1
    assert await number(head="main") == 2
    assert await number(number=1) == 1
    assert await number(number=9) is None
    assert await number(head="other") is None
    assert await number("a") is None
    assert await number(actor=stranger) is None
    async with database.write() as session:
        await commands.delete(session, owner, prompt_id)
    assert await number() is None


async def test_no_label_takes_the_place_of_main(database: Database, owner: Actor) -> None:
    prompt_id = await create(database, owner, "one", "a/b")
    with pytest.raises(BadInput, match="every prompt has") as refused:
        await point(database, owner, prompt_id, "label", "main", 1)
    assert [one.pointer for one in refused.value.errors] == ["{name}"]
    async with database.write() as session:
        with pytest.raises(BadInput) as refused:
            await commands.create(session, owner, Draft("c", from_text("x"), labels=["live", "main"]))
    assert [one.pointer for one in refused.value.errors] == ["/labels/1"]
    await save(database, owner, prompt_id, "two")
    async with database.write() as session:  # as somebody may have made one before it was refused
        version_id = await version_commands.version_id(session, prompt_id, 1)
        row = commands.head_row(owner, commands.Created(prompt_id, version_id), "label", "main")
        await session.execute(commands.ADD_HEAD, row)
    for wanted in (Reference("a/b"), Reference("a/b", head="main")):
        async with database.read() as session:
            found = await version_queries.referenced(session, owner.workspace_id, wanted)
        assert found is not None
        assert found["number"] == 2
    async with database.write() as session:
        await version_commands.remove_head(session, owner, prompt_id, "label", "main")
