"""Labels, branches, rolling back and merging on pages, on both databases."""

from __future__ import annotations

import httpx2
import pytest

from autoforge.access import Actor
from autoforge.db import Database
from autoforge.prompts import version_commands
from autoforge.prompts.content import parse_content
from tests.prompts.pages import (
    Form,
    W,
    branch,
    client,
    fields,
    followed,
    make_prompt,
    parsed,
    typed,
    words,
    wrong,
)

__all__ = ["client"]


async def test_labels_move_with_a_way_back(client: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    made = await make_prompt(database, owner, "p", "one", "two")
    at = f"{W}/prompts/{made.prompt_id}"
    for number, told in [("1", "production points at v1 now."), ("2", "at v2 now, no longer at v1.")]:
        form = typed(await client.get(f"{at}/versions"), "/labels") | {"label": "production", "number": number}
        shown = await followed(client, await client.post(f"{at}/labels", data=form))
        assert told in words(shown)
    undo = [one for one in parsed(shown).iter("form") if "Undo" in "".join(one.itertext())]
    assert len(undo) == 1
    back = await followed(client, await client.post(f"{at}/labels", data=dict(fields(undo[0]))))
    assert "production points at v1 now, no longer at v2." in words(back)
    form = {"label": "production", "action": "remove"}
    assert "Removed the label production" in words(await followed(client, await client.post(f"{at}/labels", data=form)))


def undo_of(answer: httpx2.Response) -> Form:
    return dict(fields(next(one for one in parsed(answer).iter("form") if "Undo" in "".join(one.itertext()))))


@pytest.mark.parametrize("taken", [True, False])
async def test_undo_does_not_overwrite_what_somebody_did_meanwhile(
    client: httpx2.AsyncClient, database: Database, owner: Actor, taken: bool
) -> None:
    made = await make_prompt(database, owner, "p", "one", "two", "three")
    at = f"{W}/prompts/{made.prompt_id}"

    async def move(kind: str, name: str, number: int) -> None:
        async with database.write() as session:
            await version_commands.move_head(session, owner, made.prompt_id, kind, name, number)

    if taken:
        await move("label", "prod", 1)
    shown = await followed(client, await client.post(f"{at}/labels", data={"label": "prod", "number": "2"}))
    await move("label", "prod", 3)
    answer = await client.post(f"{at}/labels", data=undo_of(shown))
    assert answer.status_code == 422
    assert "The label 'prod' is at version 3, not at version 2: somebody moved it." in " ".join(wrong(answer))

    shown = await followed(client, await client.post(f"{at}/rollback", data={"number": "1", "branch": "main"}))
    await move("branch", "main", 2)
    told = words(await followed(client, await client.post(f"{at}/rollback", data=undo_of(shown))))
    assert "The branch 'main' is at version 2, not at version 1: somebody moved it." in told


async def test_a_label_that_was_removed_comes_back_only_where_there_is_none(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    made = await make_prompt(database, owner, "p", "one", "two")
    at = f"{W}/prompts/{made.prompt_id}"
    await client.post(f"{at}/labels", data={"label": "prod", "number": "1"})
    shown = await followed(client, await client.post(f"{at}/labels", data={"label": "prod", "action": "remove"}))
    back = await client.post(f"{at}/labels", data=undo_of(shown))
    assert "prod points at v1 now." in words(await followed(client, back))
    answer = await client.post(f"{at}/labels", data=undo_of(shown))
    assert "is at version 1" in " ".join(wrong(answer))


@pytest.mark.parametrize(
    ("part", "form", "message"),
    [
        ("labels", {"label": "1", "number": "1"}, "would read as a version number"),
        ("labels", {"label": "", "number": "1"}, "1 to 100"),
        ("labels", {"label": "ok", "number": "99"}, "no version 99"),
        ("labels", {"label": "ok", "number": "x"}, "whole number"),
        ("labels", {"label": "ok", "number": "9" * 30}, "whole number"),
        ("labels", {"label": "ok", "number": "1", "row_version": "77"}, "Somebody changed this prompt"),
        ("labels", {"label": "gone", "action": "remove"}, "no label 'gone'"),
        ("branches", {"name": "main", "from": "1"}, "is at version 1"),
        ("branches", {"name": "a b", "from": "1"}, "letters, digits"),
        ("branches", {"name": "main", "action": "remove"}, "cannot be removed"),
        ("branches", {"name": "ok"}, "empty"),
    ],
)
async def test_moves_that_cannot_be_come_back_as_messages(
    client: httpx2.AsyncClient, database: Database, owner: Actor, part: str, form: Form, message: str
) -> None:
    made = await make_prompt(database, owner, "p", "one")
    answer = await client.post(f"{W}/prompts/{made.prompt_id}/{part}", data=form)
    assert answer.status_code == 422
    assert message in " ".join(wrong(answer))


async def test_rolls_back_and_forth(client: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    made = await make_prompt(database, owner, "p", "one", "two")
    at = f"{W}/prompts/{made.prompt_id}"
    form = typed(await client.get(f"{at}/versions/1"), "/rollback")
    shown = await followed(client, await client.post(f"{at}/rollback", data=form))
    assert "main is at v1 again." in words(shown)
    undo = next(one for one in parsed(shown).iter("form") if "Undo" in "".join(one.itertext()))
    shown = await followed(client, await client.post(f"{at}/rollback", data=dict(fields(undo))))
    assert "main is at v2 again." in words(shown)
    stale = await followed(client, await client.post(f"{at}/rollback", data=form))
    assert "Read it again" in words(stale)


async def test_merges_without_conflict(client: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    made = await make_prompt(database, owner, "p", "a\nb\nc\n", "A\nb\nc\n")
    await branch(database, owner, made.prompt_id, "other", "a\nb\nC\n")
    at = f"{W}/prompts/{made.prompt_id}"
    looked = await client.get(f"{at}/merge?theirs=other")
    assert "Nothing conflicts" in words(looked)
    told = await followed(client, await client.post(f"{at}/merge", data=typed(looked, "/merge")))
    assert "Merged other into main, which is at v4 now." in words(told)
    assert "A\nb\nC\n" in (await client.get(at)).text
    assert "nothing to merge" in words(await client.get(f"{at}/merge?theirs=other"))


@pytest.mark.parametrize(
    ("choice", "text", "merged"),
    [("ours", "", "ours"), ("theirs", "", "theirs"), ("base", "", "a"), ("text", "me", "me")],
)
async def test_conflicts_are_choices(
    client: httpx2.AsyncClient, database: Database, owner: Actor, choice: str, text: str, merged: str
) -> None:
    made = await make_prompt(database, owner, "p", "a\nb\nend\n", "ours\nb\nend\n")
    await branch(database, owner, made.prompt_id, "other", "theirs\nb\nEND\n")
    at = f"{W}/prompts/{made.prompt_id}"
    looked = await client.get(f"{at}/merge?theirs=other")
    form = typed(looked, "/merge")
    undecided = await client.post(f"{at}/merge", data=form)
    assert (undecided.status_code, "Choose one" in words(undecided)) == (422, True)
    key = next(name.removeprefix("text-") for name in form if name.startswith("text-"))
    form |= {f"choice-{key}": choice, f"text-{key}": text}
    assert "Merged other into main" in words(await followed(client, await client.post(f"{at}/merge", data=form)))
    assert f">{merged}\nb\nEND\n</pre>" in (await client.get(at)).text


async def test_a_merge_is_the_one_that_was_looked_at(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    made = await make_prompt(database, owner, "p", "a\nb\nc\nd\ne\n", "A\nb\nc\nd\ne\n")
    await branch(database, owner, made.prompt_id, "other", "a\nb\nC\nd\ne\n")
    at = f"{W}/prompts/{made.prompt_id}"
    form = typed(await client.get(f"{at}/merge?theirs=other"), "/merge")
    async with database.write() as session:
        await version_commands.save(session, owner, made.prompt_id, parse_content("A\nb\nc\nd\nE\n"))
    answer = await client.post(f"{at}/merge", data=form | {"message": "mine"})
    assert "somebody moved it" in words(answer)
    again = typed(answer, "/merge")
    assert again["message"] == "mine"
    assert "at v5 now" in words(await followed(client, await client.post(f"{at}/merge", data=again)))
