"""The editor of prompts: what is saved, what is wrong stands at its field, and nothing typed is lost."""

from __future__ import annotations

import json

import httpx2
import pytest

from autoforge.access import Actor
from autoforge.db import Database
from autoforge.prompts import version_commands, version_queries
from autoforge.prompts.content import parse_content
from tests.prompts.pages import (
    RICH,
    Form,
    W,
    client,
    editor,
    followed,
    make_prompt,
    parsed,
    typed,
    words,
    wrong,
)

__all__ = ["client"]


async def test_creates_a_prompt(client: httpx2.AsyncClient) -> None:
    form = editor("Sort this:\r\n{{mail}}", name="support/triage", title="Triage", parameters='{"temperature": 0.2}')
    shown = await followed(client, await client.post(f"{W}/prompts", data=form))
    assert "Created support/triage." in words(shown)
    assert "Sort this:\n" in shown.text
    assert "temperature" in words(shown)


@pytest.mark.parametrize(
    ("form", "field", "message"),
    [
        (editor("Hi", name="a//b"), "name", "separated by one /"),
        (editor("Hi", name=""), "name", "1 to 200"),
        (editor("Hi", name="a@b"), "name", "no @"),
        (editor("Hi", name="taken"), "name", "already a prompt named"),
        (editor("Hi", name="n" * 201), "name", "at most 200"),
        (editor("Hi", name="ok", title="a\0b"), "title", "U+0000"),
        (editor("  ", name="ok"), "messages-0-content", "empty"),
        (editor("fine", "a\0b", name="ok"), "messages-1-content", "U+0000"),
        (editor("Hi", name="ok", parameters='{"temperature": }'), "parameters", "is not valid JSON"),
        (editor("Hi", name="ok", parameters="[1]"), "parameters", "must be a JSON object"),
        (editor("Hi", name="ok", tools="{}"), "tools", "must be a JSON array"),
        (editor("Hi", name="ok") | {"messages-0-extras": "5"}, "messages-0-content", "must be a JSON object"),
        (editor("Hi", name="ok") | {"messages-0-extras": "[1]"}, "messages-0-content", "must be a JSON object"),
        (editor("5", name="ok") | {"messages-0-parts": "1"}, "messages-0-content", "must be a JSON array"),
        (editor("Hi", name="ok", tools="[" * 5000), "tools", "nested"),
        (editor("Hi", name="ok", parameters='{"n": NaN}'), "parameters", "is not valid JSON"),
        (editor("Hi", name="ok", variables='[{"name": "a b{"}]'), "variables", "cannot be written"),
        (editor("Hi", name="ok", engine="perl"), "engine", "no engine"),
        (editor("Hi", name="ok") | {"messages-0-role": "robot"}, "messages-0-content", "no role"),
        (editor("x" * 1_000_001, name="ok"), "", "1,000,000 is the most"),
    ],
)
async def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(
    client: httpx2.AsyncClient, database: Database, owner: Actor, form: Form, field: str, message: str
) -> None:
    await make_prompt(database, owner, "taken")
    answer = await client.post(f"{W}/prompts", data=form)
    assert answer.status_code in (409, 422)
    assert message in words(answer)
    if field:
        marked = [one for one in parsed(answer).iter() if one.get("aria-invalid") == "true"]
        assert [one.get("name") for one in marked] == [field]
    again = typed(answer, "/prompts")
    kept = {name: value for name, value in form.items() if name != "action" and "\0" not in value}
    if form.get("engine") == "perl" or form.get("messages-0-role") == "robot":
        kept = {"name": "ok"}  # a choice that does not exist cannot be shown again
    kept.pop("branch", None)
    assert kept.items() <= again.items()
    listed = await client.get(f"{W}/prompts")
    assert "Title of taken" in words(listed)
    assert ">ok</a>" not in listed.text


async def test_rows_are_added_moved_and_removed_without_a_script(client: httpx2.AsyncClient) -> None:
    form = editor("one", "two", name="half/typed", parameters="{not json")
    for action, expected in [("add", ["one", "two", ""]), ("down-0", ["two", "one"]), ("up-1", ["two", "one"])]:
        answer = await client.post(f"{W}/prompts", data=form | {"action": action})
        again = typed(answer, "/prompts")
        rows = [again[f"messages-{i}-content"] for i in range(len(expected))]
        assert (answer.status_code, rows) == (200, expected)
        assert (again["name"], again["parameters"]) == ("half/typed", "{not json")
        assert wrong(answer) == []
    removed = typed(await client.post(f"{W}/prompts", data=form | {"action": "remove-0"}), "/prompts")
    assert (removed["messages-0-content"], "messages-1-content" in removed) == ("two", False)
    nonsense = await client.post(f"{W}/prompts", data=form | {"action": "down-99999999999999"})
    assert nonsense.status_code == 200


async def test_saving_the_form_unchanged_makes_no_version(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    made = await make_prompt(database, owner, "rich", RICH)
    form = typed(await client.get(f"{W}/prompts/{made.prompt_id}/edit"), "/versions")
    told = await followed(client, await client.post(f"{W}/prompts/{made.prompt_id}/versions", data=form))
    assert "No new version: v1 already has this content." in words(told)


async def test_saves_a_version_and_starts_a_branch(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    made = await make_prompt(database, owner, "p", "one")
    address = f"{W}/prompts/{made.prompt_id}"
    form = typed(await client.get(f"{address}/edit"), "/versions")
    told = await followed(client, await client.post(f"{address}/versions", data=form | editor("two", message="More")))
    assert "Saved v2." in words(told)
    branched = form | editor("three", branch="bold")
    told = await followed(client, await client.post(f"{address}/versions", data=branched))
    assert "Saved v3 on bold." in words(told)
    history = words(await client.get(f"{address}/versions"))
    assert "More" in history
    compared = words(await client.get(f"{address}/diff?a=1&b=3"))
    assert "v1 → v3" in compared
    broken = await followed(
        client, await client.post(f"{address}/versions", data=form | editor("{% if x %}", head="2"))
    )
    assert "cannot be rendered yet" in words(broken)


async def test_somebody_who_was_faster_is_not_overwritten(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    made = await make_prompt(database, owner, "p", "one")
    address = f"{W}/prompts/{made.prompt_id}"
    form = typed(await client.get(f"{address}/edit"), "/versions")
    async with database.write() as session:
        await version_commands.save(session, owner, made.prompt_id, parse_content("theirs"))
    mine = form | {"messages-0-content": "mine"}
    answer = await client.post(f"{address}/versions", data=mine)
    assert "main moved on to v2" in words(answer)
    again = typed(answer, "/versions")
    assert again["messages-0-content"] == "mine"
    assert "Saved v3." in words(await followed(client, await client.post(f"{address}/versions", data=again)))


@pytest.mark.parametrize("branch_name", ["1", "", "with space", "x" * 101])
async def test_bad_branch_names_stand_at_their_field(
    client: httpx2.AsyncClient, database: Database, owner: Actor, branch_name: str
) -> None:
    made = await make_prompt(database, owner, "p", "one")
    form = editor(" ", branch=branch_name, base="1")
    answer = await client.post(f"{W}/prompts/{made.prompt_id}/versions", data=form)
    assert answer.status_code == 422
    assert len(wrong(answer)) == 2  # what is wrong with the content is told at the same time
    assert typed(answer, "/versions")["branch"] == branch_name


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
async def test_line_ends_stay_where_nothing_was_typed(
    client: httpx2.AsyncClient, database: Database, owner: Actor, end: str
) -> None:
    texts = [f"one{end}two{end}", f"three{end}four", "five"]
    content = {"messages": [{"role": "user", "content": text} for text in texts]}
    made = await make_prompt(database, owner, "p", content)
    at = f"{W}/prompts/{made.prompt_id}"
    form = typed(await client.get(f"{at}/edit"), "/versions")
    told = await followed(client, await client.post(f"{at}/versions", data=form))
    assert "No new version" in words(told)
    await client.post(f"{at}/versions", data=form | {"messages-2-content": "six\r\nseven"})
    async with database.read() as session:
        saved = await version_queries.one(session, made.prompt_id, 2)
    assert saved is not None
    stored = [one["content"] for one in json.loads(saved["content"])["messages"]]
    assert stored == [*texts[:2], "six\nseven"]
