"""Suites on pages: written, uploaded, changed by whoever saw the newest version, deleted and brought back."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from autoforge.db import Database
from autoforge.evaluations import queries, scoring_pages, suite_editing, suite_pages, suite_queries
from autoforge.evaluations.queries import Filters
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
    rooms = (scoring_pages.router, suite_editing.router, suite_pages.router)
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


def outputs(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"file": ("outputs.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows).encode())}


async def test_recorded_outputs_are_scored_on_a_page(client: httpx2.AsyncClient, world: World) -> None:
    made = await client.post(W, data={"name": "greetings", "tests": TESTS})
    mine = made.headers["location"]
    assert f'href="{mine}/score"' in (await client.get(mine)).text
    assert "Score outputs" in (await client.get(f"{mine}/score")).text
    several = [{"output": text, "model": model} for text, model in (("Dear Ann", "a"), ("Dear Bob", "a"), ("x", "b"))]
    answer = await client.post(
        f"{mine}/score", files=outputs(*several), data={"prompt": "mail", "model_field": "model"}
    )
    assert answer.headers["location"] == f"/w/main/evaluations?suite={mine.rpartition('/')[2]}"
    one = await client.post(f"{mine}/score", files=outputs({"output": "Dear Ann"}), data={"model": "small"})
    async with world.database.read() as session:
        about = Filters(suite_id=UUID(mine.rpartition("/")[2]))
        runs, _ = await queries.page(session, world.owner.workspace_id, about, 10)
    assert one.headers["location"] == f"/w/main/evaluations/{runs[0]['id']}"
    assert [(run["model"], run["prompt_name"], run["cases"]) for run in runs] == [
        ("small", None, 2),
        ("b", "mail", 2),
        ("a", "mail", 2),
    ]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "file"),
        ({"files": {"file": ("a.jsonl", b"{nonsense")}}, "file"),
        ({"files": outputs({"colour": 1, "shape": 2})}, "file"),
        ({"files": outputs({"output": "x"}), "data": {"prompt": "no/such@3"}}, "prompt"),
        (
            {
                "files": outputs(*({"output": "x", "model": one} for one in "ab")),
                "data": {"model": "c", "model_field": "model"},
            },
            "model",
        ),
    ],
)
async def test_what_cannot_be_scored_is_said_at_its_field_and_nothing_is_stored(
    client: httpx2.AsyncClient, world: World, sent: dict[str, Any], field: str
) -> None:
    before = (await client.get(f"/w/main/suites/{world.suite.suite_id}")).text
    answer = await client.post(f"{W}/{world.suite.suite_id}/score", **({"data": {"model": ""}} | sent))
    assert (answer.status_code, f'id="{field}-wrong"' in answer.text) == (422, True)
    assert (await client.get(f"/w/main/suites/{world.suite.suite_id}")).text == before
    for other in (world.foreign_suite, uuid4()):
        assert (await client.get(f"{W}/{other}/score")).status_code == 404
        assert (await client.post(f"{W}/{other}/score", **({"data": {"model": ""}} | sent))).status_code == 404


async def test_a_page_takes_no_more_cases_than_a_program_may_send(client: httpx2.AsyncClient) -> None:
    numbers = "[" + ", ".join(f"'{n}'" for n in range(30)) + "]"
    many = f"- vars: {{a: {numbers}, b: {numbers}, c: {numbers}}}\n"
    answer = await client.post(W, data={"name": "many", "tests": many})
    assert answer.status_code == 413
    assert "These are 27,000 cases" in answer.text


@pytest.mark.parametrize(
    ("tests", "told"),
    [
        ("- vars: {a: 1}\n  assert: [{type: icontian, value: a}]\n", "Test 1, assertion 1: "),
        ("tests:\n- vars: {a: 1}\n- assert: [{type: equals, value: a}, {type: nothing}]\n", "Test 2, assertion 2: "),
        ("- vars: {a: 1}\n   b: 2\n", "Line 2, column "),
    ],
)
async def test_what_is_wrong_is_told_in_words(client: httpx2.AsyncClient, tests: str, told: str) -> None:
    answer = await client.post(W, data={"name": "Words", "tests": tests})
    assert answer.status_code == 422
    wrong = answer.text.partition('id="tests-wrong">')[2].partition("</p>")[0]
    assert told in wrong, wrong
    assert "tests.yaml" not in wrong


async def test_a_file_that_expands_too_far_is_refused(
    client: httpx2.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoforge.reading.source.MAX_UPLOAD", 1_000)
    packed = {"file": ("outputs.jsonl.gz", gzip.compress(b'{"output": "x"}\n' * 100))}
    assert (await client.post(f"{W}/{world.suite.suite_id}/score", files=packed)).status_code == 413
    assert (await client.post(W, files=packed, data={"name": "packed"})).status_code == 413
