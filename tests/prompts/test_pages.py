"""The pages of prompts without a browser: what they show, settings, deletion and templates, on both databases."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from structlog.testing import capture_logs

from autoforge.access import Actor
from autoforge.db import Database
from autoforge.prompts import commands, queries, template_commands, version_commands, version_queries
from autoforge.prompts.content import from_text, parse_content
from autoforge.prompts.formats.records import PromptRecord, VersionRecord
from autoforge.prompts.importing import import_all
from autoforge.prompts.queries import Listing
from autoforge.prompts.template_commands import TemplateDraft
from tests.prompts.pages import (
    RICH,
    W,
    branch,
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

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)> \"quoted\" & {{name}}"


async def test_contents_are_escaped_everywhere(client: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    made = await make_prompt(database, owner, "evil/<b>bold", EVIL, EVIL + " more", RICH)
    async with database.write() as session:
        texts = {"title": EVIL[:200], "description": EVIL, "tags": [EVIL[:200]]}
        await commands.edit(session, owner, made.prompt_id, texts)
        await version_commands.save(session, owner, made.prompt_id, parse_content(EVIL + " x"), message=EVIL)
        draft = TemplateDraft("evil <b>", parse_content(EVIL), EVIL, EVIL[:200])
        template_id = await template_commands.create(session, owner, draft)
    await branch(database, owner, made.prompt_id, "other", EVIL.replace("x", "y"))
    at = f"{W}/prompts/{made.prompt_id}"
    addresses = [f"{W}/prompts", f"{W}/prompts?q=alert", f"{W}/prompts?folder=evil", f"{W}/templates"]
    addresses += [f"{W}/templates/{template_id}", at, f"{at}/edit", f"{at}/versions", f"{at}/settings"]
    addresses += [f"{at}/versions/1", f"{at}/diff?a=1&b=2", f"{at}/diff?a=2&b=3&view=split", f"{at}/merge?theirs=other"]
    for address in addresses:
        answer = await client.get(address)
        assert answer.status_code == 200, address
        parsed(answer)
        assert "<script>alert" not in answer.text, address
        assert "<img src=x" not in answer.text, address
        assert "<b>" not in answer.text, address
    rendered = await client.post(f"{at}/render", data={"number": "1", "v-name": EVIL})
    assert "<script>alert" not in rendered.text
    assert rendered.text.count("&lt;script&gt;alert") >= 3


async def test_a_message_says_what_was_done_once(client: httpx2.AsyncClient) -> None:
    answer = await client.post(f"{W}/prompts", data=editor("Hi", name="<i>hello"))
    first = await followed(client, answer)
    assert "Created &lt;i&gt;hello." in first.text
    assert "Created" not in words(await client.get(answer.headers["location"]))


@pytest.mark.parametrize("cookie", ["", "x", "bm9wZQ==", "WyJoaSIsImRvbmUiLCJodHRwOi8vZXZpbCIse31d", "\u00ff" * 3])
async def test_a_made_up_message_does_nothing(client: httpx2.AsyncClient, cookie: str) -> None:
    answer = await client.get(f"{W}/prompts", headers={"cookie": f"flash={cookie}".encode("latin-1")})
    assert answer.status_code == 200
    assert "http://evil" not in answer.text


async def test_search_shows_where_it_was_found(client: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    await make_prompt(database, owner, "en", "Please sort the customers' letters, then answer. " * 40)
    await make_prompt(database, owner, "ja", "あなたは東京の案内人です。丁寧に答えてください。")
    found = await client.get(f"{W}/prompts?q=letter")
    assert "<mark>letter</mark>s" in found.text
    found = await client.get(f"{W}/prompts", params={"q": "東京"})
    assert "あなたは<mark>東京</mark>の案内人です" in found.text
    assert "Nothing found" in words(await client.get(f"{W}/prompts?q=nowhere"))
    assert "Nothing found" in words(await client.get(f"{W}/prompts?q=%25"))


async def test_columns_sort_from_the_first_click_on(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    for name in ("b", "a"):
        await make_prompt(database, owner, name)
    newest = await client.get(f"{W}/prompts")
    heads = {"".join(one.itertext()).strip(): one for one in parsed(newest).iter("th")}
    assert heads["Changed"].get("aria-sort") == "descending"
    assert heads["Changed"].find("a").get("href") == f"{W}/prompts?sort=updated_at"
    by_name = await client.get(heads["Name"].find("a").get("href"))
    assert re.findall(r'row-link" href="[^"]*">(\w+)<', by_name.text) == ["a", "b"]
    assert "sort=" not in (await client.get(f"{W}/prompts?q=hello")).text


async def test_folders_lead_down(client: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    for name in ("a/b/one", "a/two", "c/three"):
        await make_prompt(database, owner, name, "Hi")
    top = await client.get(f"{W}/prompts")
    assert re.findall(r'class="folder" href="([^"]*)"', top.text) == [f"{W}/prompts?folder=a", f"{W}/prompts?folder=c"]
    inside = await client.get(f"{W}/prompts?folder=a")
    assert re.findall(r'class="folder" href="([^"]*)"', inside.text) == [f"{W}/prompts?folder=a%2Fb"]
    assert "three" not in words(inside)
    started = typed(await client.get(f"{W}/prompts/new?folder=a/b"), "/prompts")
    assert started["name"] == "a/b/"


async def test_variables_are_filled_in_and_missing_ones_named(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    made = await make_prompt(database, owner, "p", "{% for x in items %}[{{ x }}]{% endfor %} {{who}} {{ what }}")
    at = f"{W}/prompts/{made.prompt_id}"
    answer = await client.post(f"{at}/render", data={"number": "1", "v-items": '["a", "b"]', "v-who": "me"})
    assert wrong(answer) == ["The variable 'what' is missing."]
    again = typed(answer, "/render#rendered")
    assert (again["v-who"], again["v-items"]) == ("me", '["a", "b"]')
    filled = await client.post(f"{at}/render", data=again | {"v-what": "[no json"})
    assert "[a][b] me [no json" in filled.text
    nonsense = await client.post(f"{at}/render", data={"number": "1", "v-items": "3", "v-who": "", "v-what": "x"})
    assert nonsense.status_code == 422
    assert (await client.post(f"{at}/render", data={"number": "x"})).status_code == 422
    half = await make_prompt(database, owner, "half", "{{ '\\ud800' }}")
    answer = await client.post(f"{W}/prompts/{half.prompt_id}/render", data={"number": "1"})
    assert answer.status_code == 422
    assert "half of a surrogate pair" in answer.text


async def test_long_prompts_are_shown_and_compared(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    lines = [f"{number} the quick brown {{{{fox}}}} jumps over the lazy dog" for number in range(3000)]
    one = "\n".join(lines)
    lines[1500] = "1500 the slow brown {{fox}} sleeps"
    made = await make_prompt(database, owner, "long", one, "\n".join(lines), one.replace("\n", " "))
    at = f"{W}/prompts/{made.prompt_id}"
    assert len(one) > 144_260
    assert (await client.get(at)).status_code == 200
    small = await client.get(f"{at}/diff?a=1&b=2")
    assert "<ins>slow</ins>" in small.text
    assert len(small.text) < 6 * len(one)
    assert (await client.get(f"{at}/diff?a=2&b=3&view=split")).status_code == 200


async def test_settings_are_saved_and_kept_when_wrong(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    made = await make_prompt(database, owner, "p", "one")
    await make_prompt(database, owner, "taken")
    at = f"{W}/prompts/{made.prompt_id}"
    form = typed(await client.get(f"{at}/settings"), "/settings")
    form |= {"name": "new/name", "tags": "a, b、c,a", "status": "archived", "description": "For everybody"}
    saved = await followed(client, await client.post(f"{at}/settings", data=form))
    assert typed(saved, "/settings") | {"row_version": ""} == form | {"tags": "a, b, c", "row_version": ""}
    stale = await client.post(f"{at}/settings", data=form | {"title": "mine"})
    assert (stale.status_code, "Saving again replaces" in words(stale)) == (412, True)
    again = typed(stale, "/settings")
    assert again["title"] == "mine"
    taken = await client.post(f"{at}/settings", data=again | {"name": "taken"})
    assert (taken.status_code, typed(taken, "/settings")["name"]) == (409, "taken")
    assert "already a prompt named 'taken'" in wrong(taken)[0]
    assert "Saved" in words(await followed(client, await client.post(f"{at}/settings", data=again)))
    assert (await client.post(f"{at}/status", data={"status": "lost"})).status_code == 422
    assert (await client.post(f"{at}/status", data={"status": "active"})).status_code == 303


async def test_deleting_can_be_undone(client: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    made = await make_prompt(database, owner, "p", "one")
    at = f"{W}/prompts/{made.prompt_id}"
    gone = await followed(client, await client.post(f"{at}/delete"))
    assert "Deleted p." in words(gone)
    undo = next(one for one in parsed(gone).iter("form") if "Undo" in "".join(one.itertext()))
    assert "Restored" in words(await followed(client, await client.post(undo.get("action"))))
    await client.post(f"{at}/delete")
    assert (await client.post(f"{at}/delete")).status_code == 404
    deleted = await client.get(f"{W}/prompts?status=deleted")
    assert "Restore" in words(deleted)
    await make_prompt(database, owner, "p", "another")
    refused = await followed(client, await client.post(f"{at}/restore"))
    assert "Another prompt has taken its name" in words(refused)
    assert "This prompt is deleted" in words(refused)


async def test_a_deleted_prompt_can_only_be_restored(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    made = await make_prompt(database, owner, "p", "one", "two")
    at = f"{W}/prompts/{made.prompt_id}"
    await client.post(f"{at}/delete")
    for part in ("", "/versions", "/versions/1", "/settings"):
        shown = await client.get(at + part)
        targets = [one.get("action", "") for one in parsed(shown).iter("form")]
        here = {target.removeprefix(at) for target in targets if target.startswith(at)}
        assert here <= {"/restore", "/render#rendered"}, part
        assert f"{at}/edit" not in shown.text
    told = await followed(client, await client.get(f"{at}/edit"))
    assert "Restore this prompt to change it." in words(told)


async def test_templates_become_prompts(client: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    made = await make_prompt(database, owner, "team/Greeting mail", "Hello {{name}}")
    form = {"category": "mail", "public": "1"}
    shown = await followed(client, await client.post(f"{W}/prompts/{made.prompt_id}/template", data=form))
    template = str(shown.url)
    assert "Public" in words(shown)
    assert "mail" in words(await client.get(f"{W}/templates?category=mail"))
    assert "Nothing found" in words(await client.get(f"{W}/templates?category=nothing"))
    for expected in ("greeting-mail", "greeting-mail-2"):
        used = await followed(client, await client.post(f"{template}/use"))
        assert f'aria-current="page">{expected}</span>' in used.text
    taken = await client.post(f"{template}/use", data={"name": "team/Greeting mail"})
    assert (taken.status_code, typed(taken, "/use")["name"]) == (409, "team/Greeting mail")
    assert "2 times" in words(await client.get(template))
    gone = await followed(client, await client.post(f"{template}/delete"))
    undo = next(one for one in parsed(gone).iter("form") if "Undo" in "".join(one.itertext()))
    assert "is back" in words(await followed(client, await client.post(undo.get("action"))))
    again = await followed(client, await client.post(f"{W}/prompts/{made.prompt_id}/template", data=form))
    assert "already a template" in words(again)


PAGES_OF_A_PROMPT = ("", "/versions", "/versions/1", "/diff", "/edit", "/settings", "/merge?theirs=main")
FORMS_OF_A_PROMPT = ("versions", "labels", "branches", "rollback", "render", "rename", "status", "settings", "delete")


async def test_another_workspace_s_prompt_does_not_exist(
    client: httpx2.AsyncClient, database: Database, owner: Actor, stranger: Actor
) -> None:
    theirs = await make_prompt(database, stranger, "theirs", "secret sauce")
    form = editor("x", label="l", name="n", number="1", status="draft", base="1") | {"from": "1", "theirs": "main"}
    for prompt_id in (theirs.prompt_id, uuid4(), "nonsense"):
        at = f"{W}/prompts/{prompt_id}"
        answers = [await client.get(at + part) for part in PAGES_OF_A_PROMPT]
        answers += [await client.post(f"{at}/{part}", data=form) for part in (*FORMS_OF_A_PROMPT, "merge", "restore")]
        assert {answer.status_code for answer in answers} == {404}, prompt_id
        assert not [answer for answer in answers if "secret sauce" in answer.text]
        assert "Not found" in words(answers[0])
    assert "theirs" not in words(await client.get(f"{W}/prompts"))
    assert (await client.get("/w/elsewhere/prompts")).status_code == 404


@pytest.mark.parametrize(
    "part", ["versions/99", "versions/0", "versions/x", "diff?a=1&b=9", "edit?from=9", "merge?theirs=nothing"]
)
async def test_what_a_prompt_does_not_have_is_not_found(
    client: httpx2.AsyncClient, database: Database, owner: Actor, part: str
) -> None:
    made = await make_prompt(database, owner, "p", "one")
    assert (await client.get(f"{W}/prompts/{made.prompt_id}/{part}")).status_code == 404


@pytest.mark.parametrize("part", ["labels", "branches", "rollback", "render", "rename", "status"])
async def test_the_address_of_a_form_leads_to_its_page(
    client: httpx2.AsyncClient, database: Database, owner: Actor, part: str
) -> None:
    made = await make_prompt(database, owner, "p", "one")
    assert (await followed(client, await client.get(f"{W}/prompts/{made.prompt_id}/{part}"))).status_code == 200


async def test_no_page_costs_more_than_it_says(client: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    made = await make_prompt(database, owner, "a/p", "one", "two", "three")
    for number in range(20):
        await make_prompt(database, owner, f"a/folder-{number}/p", f"text {number}")
    await branch(database, owner, made.prompt_id, "other", "four")
    at = f"{W}/prompts/{made.prompt_id}"
    addresses = [f"{at}{part}" for part in PAGES_OF_A_PROMPT if "merge" not in part] + [f"{at}/merge?theirs=other"]
    addresses += [f"{W}/prompts", f"{W}/prompts?q=text", f"{W}/prompts?folder=a", f"{W}/templates"]
    with capture_logs() as logged:
        for address in addresses:
            assert (await client.get(address)).status_code == 200
    assert [entry for entry in logged if entry["event"] == "query budget exceeded"] == []


async def test_numbers_with_gaps_lead_to_versions_that_are_there(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    records = [
        PromptRecord("gaps", tuple(VersionRecord(n, from_text(f"text {n}")) for n in (3, 50)), branches={"main": 50}),
        PromptRecord("only", (VersionRecord(50, from_text("text")),), branches={"main": 50}),
    ]
    await import_all(database, owner, records)
    async with database.read() as session:
        listed, _ = await queries.page(session, owner.workspace_id, Listing(), 10, None)
        ids = {row["name"]: row["id"] for row in listed}
        assert [(await queries.one(session, owner.workspace_id, ids[name]))["versions"] for name in ids] == [
            {"gaps": 2, "only": 1}[name] for name in ids
        ]
        assert await version_queries.neighbours(session, ids["gaps"], 3) == (None, 50)
        assert await version_queries.neighbours(session, ids["gaps"], 50) == (3, None)
    for name, numbers in (("gaps", (3, 50)), ("only", (50,))):
        at = f"{W}/prompts/{ids[name]}"
        assert f"{len(numbers)} of {len(numbers)}" in words(await client.get(f"{at}/versions"))
        assert (await client.get(f"{at}/diff")).status_code == 200
        for number in numbers:
            shown = await client.get(f"{at}/versions/{number}")
            linked = set(re.findall(r"/versions/(\d+)\"", shown.text))
            assert {int(one) for one in linked} <= set(numbers)


async def test_settings_saved_unchanged_change_nothing(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    made = await make_prompt(database, owner, "p", "one")
    stored = {"title": "T", "description": "one\r\ntwo\n", "tags": ["a, b", "c、d"]}
    async with database.write() as session:
        await commands.edit(session, owner, made.prompt_id, stored)

    async def now() -> dict[str, Any]:
        async with database.read() as session:
            return await queries.one(session, owner.workspace_id, made.prompt_id)

    before, at = await now(), f"{W}/prompts/{made.prompt_id}/settings"
    form = typed(await client.get(at), "/settings")
    assert "Saved." in words(await followed(client, await client.post(at, data=form)))
    assert await now() == before
    await client.post(at, data=form | {"title": "New"})
    changed = await now()
    assert {**changed, "updated_at": 0} == {
        **before,
        "title": "New",
        "row_version": before["row_version"] + 1,
        "updated_at": 0,
    }
