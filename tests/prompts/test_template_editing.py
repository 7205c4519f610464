"""Writing and changing templates on pages: what is stored, what is wrong, and whose they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from autoforge.access import Actor
from autoforge.db import Database
from autoforge.prompts import template_commands, template_editing, template_pages, template_queries
from autoforge.prompts.content import parse_content
from autoforge.prompts.template_commands import TemplateDraft
from tests.web.client import serving

W = "/w/main/templates"
FORM = {"name": "Polite reply", "category": "support", "description": "Kind.", "messages-0-role": "user"}
FORM |= {"messages-0-content": "Answer {{customer}} kindly."}


@pytest.fixture
async def client(database: Database, owner: Actor) -> AsyncIterator[httpx2.AsyncClient]:
    rooms = (template_editing.router, template_pages.router)
    async with serving(database, owner, pages=rooms) as client:
        yield client


async def stored(database: Database, actor: Actor, template_id: UUID | str) -> dict[str, Any]:
    async with database.read() as session:
        return await template_queries.one(session, actor.workspace_id, UUID(str(template_id)))


async def test_one_is_written_and_changed(client: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    assert "New template" in (await client.get(W)).text
    assert (await client.get(f"{W}/new")).status_code == 200
    added = await client.post(W, data={**FORM, "action": "add"})  # the editor without a script
    assert added.text.count('class="editor-row"') == 3  # with the one that scripts copy
    made = await client.post(W, data=FORM)
    assert made.status_code == 303
    address = made.headers["location"]
    template = await stored(database, owner, address.rpartition("/")[2])
    assert (template["name"], template["category"], template["visibility"]) == ("Polite reply", "support", "private")
    shown = (await client.get(f"{address}/edit")).text
    assert "Answer {{customer}} kindly." in shown
    changed = {**FORM, "name": "Kind reply", "public": "1", "row_version": str(template["row_version"])}
    assert (await client.post(f"{address}/edit", data=changed)).headers["location"] == address
    template = await stored(database, owner, address.rpartition("/")[2])
    assert (template["name"], template["visibility"]) == ("Kind reply", "public")
    late = await client.post(f"{address}/edit", data=changed)  # the form is as old as the first change
    assert late.status_code == 412
    assert 'role="alert"' in late.text


async def test_what_is_wrong_is_said_and_nothing_typed_is_lost(client: httpx2.AsyncClient) -> None:
    assert (await client.post(W, data=FORM)).status_code == 303
    for wrong, status in (
        ({}, 409),  # the name is taken
        ({"name": ""}, 422),
        ({"name": "other", "category": "c" * 201}, 422),
        ({"name": "other", "messages-0-content": ""}, 422),
        ({"name": "other", "parameters": "{"}, 422),
    ):
        answer = await client.post(W, data={**FORM, **wrong})
        assert (answer.status_code, answer.text.count('aria-invalid="true"')) == (status, 1), wrong
        assert "Kind." in answer.text


async def test_only_one_s_own_are_edited(client: httpx2.AsyncClient, database: Database, stranger: Actor) -> None:
    async with database.write() as session:
        draft = TemplateDraft("public one", parse_content("Hello"), visibility="public")
        theirs = await template_commands.create(session, stranger, draft)
    assert (await client.get(f"{W}/{theirs}")).status_code == 200
    assert f"{theirs}/edit" not in (await client.get(f"{W}/{theirs}")).text
    for template_id in (theirs, uuid4()):
        assert (await client.get(f"{W}/{template_id}/edit")).status_code == 404
        answer = await client.post(f"{W}/{template_id}/edit", data={**FORM, "row_version": "1"})
        assert answer.status_code == 404


async def test_the_list_shows_public_or_private_ones_alone(client: httpx2.AsyncClient) -> None:
    assert (await client.post(W, data={**FORM, "name": "Mine alone"})).status_code == 303
    assert (await client.post(W, data={**FORM, "name": "For all", "public": "1"})).status_code == 303
    for visibility, there in (("", (True, True)), ("private", (True, False)), ("public", (False, True))):
        for sort in ("", "-usage_count"):
            text = (await client.get(W, params={"sort": sort, "visibility": visibility})).text
            assert ("Mine alone" in text, "For all" in text) == there, (visibility, sort)
