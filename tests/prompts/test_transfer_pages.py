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
