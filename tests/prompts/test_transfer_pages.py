"""Prompts in and out as files, on pages: all or nothing with the reasons, the good rows alone, and the way back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from autoforge.access import Actor
from autoforge.db import Database
from autoforge.prompts import pages, transfer_pages
from tests.prompts.test_bulk import exported
from tests.web.client import serving

URL = "/w/main/prompts/import"
GOOD = b"name,content\nmail/greeting,Greet {{customer}}\nmail/bye,Say goodbye\n"
BAD = b'{"name": "good", "prompt": "x"}\n{"name": "<b>"}\nnonsense\n{"name": "good2", "prompt": "y"}\n'


@pytest.fixture
async def client(database: Database, owner: Actor) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(database, owner, pages=(transfer_pages.router, pages.router)) as client:
        yield client


async def send(client: httpx2.AsyncClient, data: bytes, name: str = "prompts.csv", **fields: Any) -> httpx2.Response:
    return await client.post(URL, files={"file": (name, data)}, data=fields)


async def names(database: Database, actor: Actor) -> list[str]:
    return [one.name for one in await exported(database, actor)]


async def test_what_goes_out_comes_in_again(client: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    assert (await client.get(URL, params={"folder": "team/"})).text.count('value="team"') == 1
    answer = await send(client, GOOD, folder="team")
    assert (answer.status_code, answer.headers["location"]) == (303, "/w/main/prompts?folder=team")
    assert "Imported: 2 new, 0 with more versions, 0 as they were." in (await client.get("/w/main/prompts")).text
    assert await names(database, owner) == ["team/mail/bye", "team/mail/greeting"]
    for kind in ("csv", "json", "jsonl", "yaml"):
        file = await client.get("/w/main/prompts/export", params={"format": kind})
        assert file.headers["content-disposition"] == f'attachment; filename="prompts.{kind}"'
        assert (await send(client, file.content, f"p.{kind}")).status_code == 303, kind
        assert "0 new, 0 with more versions, 2 as they were" in (await client.get("/w/main/prompts")).text
    one = await client.get("/w/main/prompts/export", params={"format": "csv", "folder": "other"})
    assert b"greeting" not in one.content


async def test_a_bad_row_keeps_the_file_out_unless_the_good_ones_are_wanted(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    refused = await send(client, BAD, "a.jsonl")
    assert refused.status_code == 422
    assert "2 rows are no prompts, so nothing was imported." in refused.text
    assert "line 3" in refused.text
    assert await names(database, owner) == []
    kept = await send(client, BAD, "a.jsonl", skip_bad="1")
    assert (kept.status_code, "2 new" in kept.text, "line 3" in kept.text) == (200, True, True)
    assert await names(database, owner) == ["good", "good2"]


async def test_columns_of_other_names_are_said_on_the_form(
    client: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    data = b"question,who,topic\nGreet ${customer}|||Hello!,greeting,a\n"
    unknown = await send(client, data)
    assert (unknown.status_code, "<details open>" in unknown.text) == (422, True)
    assert "No prompt was found among the fields" in unknown.text
    said = {
        "column_prompt": "question",
        "column_name": "who",
        "column_tags": "topic",
        "placeholders": "dollar",
        "separator": "|||",
    }
    tried = await send(client, data, action="try", **said)
    assert (tried.status_code, await names(database, owner)) == (200, [])
    assert "1 would be new" in tried.text
    assert all(f'value="{value}"' in tried.text for key, value in said.items() if key != "placeholders")
    assert (await send(client, data, **said)).status_code == 303
    [one] = await exported(database, owner)
    assert (one.name, one.tags) == ("greeting", ("a",))
    messages = one.versions[0].content.messages
    assert [(m.role, m.content) for m in messages] == [("user", "Greet {{customer}}"), ("assistant", "Hello!")]
    missing = await send(client, data, column_prompt="answer")
    assert (missing.status_code, "There is no field" in missing.text) == (422, True)


async def test_a_row_without_a_text_is_no_prompt(client: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    data = b"name,content\nempty,\nblank,  \ngood,x\n"
    refused = await send(client, data)
    assert (refused.status_code, refused.text.count("The prompt is empty.")) == (422, 2)
    assert (await send(client, data, skip_bad="1")).status_code == 200
    assert await names(database, owner) == ["good"]


async def test_what_is_no_file_of_prompts_is_said_at_the_field(client: httpx2.AsyncClient) -> None:
    for data, name, folder in (
        (b"\x00\x01\x02", "a.csv", ""),
        (b'{"a": ', "a.json", ""),
        (b"x", "a.exe", ""),
        (GOOD, "a.csv", "a//b"),
    ):
        wrong = await send(client, data, name, folder=folder)
        assert (wrong.status_code, wrong.text.count('aria-invalid="true"')) == (422, 1), name
    assert (await client.post(URL, data={"folder": "x"})).status_code == 422
