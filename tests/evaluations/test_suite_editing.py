"""Suites on pages: written, uploaded, changed by whoever saw the newest version, deleted and brought back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from autoforge.db import Database
from autoforge.evaluations import suite_editing, suite_pages, suite_queries
from tests.evaluations.conftest import World
from tests.web.client import serving

pytestmark = pytest.mark.anyio
W = "/w/main/suites"
TESTS = """- description: Greets Ann
  vars: {customer: Ann}
  assert: [{type: icontains, value: ann}]
- vars: {customer: Ben}
  assert: [{type: equals, value: Hello Ben}]
"""
CONFIG = b"description: From a file\ntests:\n- vars: {a: 1}\n  assert: [{type: equals, value: '1'}]\n"


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    rooms = (suite_editing.router, suite_pages.router)
    async with serving(world.database, world.owner, pages=rooms) as client:
        yield client


async def stored(database: Database, world: World, address: str) -> Any:
    async with database.read() as session:
        return await suite_queries.one(session, world.owner.workspace_id, UUID(address.rpartition("/")[2]))


async def test_one_is_written_and_its_cases_replaced(client: httpx2.AsyncClient, world: World) -> None:
    assert (await client.get(f"{W}/new")).status_code == 200
    made = await client.post(W, data={"name": "greetings", "tests": TESTS})
    address = made.headers["location"]
    suite = await stored(world.database, world, address)
    assert (made.status_code, suite.name, suite.cases) == (303, "greetings", 2)
    assert "2 cases are stored." in (await client.get(address)).text
    assert 'value="greetings"' in (await client.get(f"{address}/edit")).text
    form = {"name": "hello", "description": "Kind.", "row_version": str(suite.row_version)}
    assert (await client.post(f"{address}/edit", data=form)).headers["location"] == address
    suite = await stored(world.database, world, address)
    assert (suite.name, suite.description, suite.cases) == ("hello", "Kind.", 2)
    assert (await client.post(f"{address}/edit", data=form)).status_code == 412
    form["row_version"] = str(suite.row_version)
    await client.post(f"{address}/edit", data=form, files={"file": ("t.jsonl", b'{"vars": {"a": 1}}\n')})
    assert (await stored(world.database, world, address)).cases == 1


async def test_a_file_brings_its_name_and_never_overwrites(client: httpx2.AsyncClient, world: World) -> None:
    made = await client.post(W, data={"name": ""}, files={"file": ("promptfooconfig.yaml", CONFIG)})
    assert (await stored(world.database, world, made.headers["location"])).name == "From a file"
    again = await client.post(W, data={"name": "", "description": "x"}, files={"file": ("a.yaml", CONFIG)})
    assert (again.status_code, "There is already a suite named" in again.text) == (409, True)


async def test_what_is_wrong_is_said_at_its_field(client: httpx2.AsyncClient) -> None:
    for form, file, told in (
        ({"name": "a"}, None, "Write the tests here"),
        ({"name": "a", "tests": "- [unclosed"}, None, ""),
        ({"name": "a", "tests": "- {assert: [{type: nonsense}]}"}, None, "nonsense"),
        ({"name": "a", "tests": "tests: []"}, None, "no test cases"),
        ({"name": "a" * 500, "tests": TESTS}, None, "name has 1 to"),
        ({"name": "a"}, ("a.exe", b"x"), "must end in"),
    ):
        wrong = await client.post(W, data=form, files={"file": file} if file else None)
        assert (wrong.status_code, wrong.text.count('aria-invalid="true"')) == (422, 1), form
        assert told in wrong.text


async def test_deleting_can_be_undone_and_is_for_members_alone(client: httpx2.AsyncClient, world: World) -> None:
    mine = f"{W}/{world.suite.suite_id}"
    assert (await client.post(f"{mine}/delete")).headers["location"] == W
    gone = await client.get(mine)
    assert (gone.status_code, "was deleted" in gone.text, f'action="{mine}/restore"' in gone.text) == (200, True, True)
    assert (await client.post(f"{mine}/restore")).headers["location"] == mine
    assert (await client.get(mine)).status_code == 200
    for other in (world.foreign_suite, uuid4()):
        assert (await client.get(f"{W}/{other}/edit")).status_code == 404
        assert (await client.get(f"{W}/{other}")).status_code == 404
        for part in ("edit", "delete", "restore"):
            assert (await client.post(f"{W}/{other}/{part}", data={"name": "x", "row_version": "1"})).status_code == 404
