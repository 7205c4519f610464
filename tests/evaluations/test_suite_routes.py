"""Suites over HTTP: stored, imported, changed by whoever saw the newest version, and never broken by bad input."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from autoforge.db import Database
from autoforge.db import models as m
from autoforge.evaluations import routes, suite_routes
from tests import make
from tests.web.client import API, serving

TESTS = [
    {"description": "one", "vars": {"q": "1+1"}, "assert": [{"type": "equals", "value": "2"}]},
    {"vars": {"q": "2+2"}, "assert": [{"type": "not-contains", "value": "5", "weight": 2}]},
]


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with database.write() as session:
        owner = await make.actor(session)
    async with serving(database, owner, api=(suite_routes.router, routes.router)) as opened:
        yield opened


async def _make(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(f"{API}/suites", json={"name": "math", "tests": TESTS, **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_store_read_and_list(client: httpx2.AsyncClient) -> None:
    made = await _make(client, description="Sums.", default_test={"assert": [{"type": "regex", "value": "\\d"}]})
    assert made["cases"] == 2
    read = await client.get(f"{API}/suites/{made['id']}")
    assert (read.json()["name"], read.json()["description"], read.json()["cases"]) == ("math", "Sums.", 2)
    seen = await client.get(read.url, headers={"If-None-Match": read.headers["ETag"]})
    assert seen.status_code == 304
    listed = (await client.get(f"{API}/suites?fields=name,cases&q=MAT")).json()
    assert listed == {"items": [{"name": "math", "cases": 2}], "next": None}
    cases = (await client.get(f"{API}/suites/{made['id']}/cases")).json()["items"]
    assert [case["position"] for case in cases] == [1, 2]
    assert cases[1]["variables"] == {"q": "2+2"}
    assert cases[1]["assertions"] == [
        {"type": "regex", "value": "\\d"},
        {"type": "not-contains", "value": "5", "weight": 2.0},
    ]


async def test_storing_again_keeps_the_cases(client: httpx2.AsyncClient) -> None:
    made = await _make(client)
    before = (await client.get(f"{API}/suites/{made['id']}/cases")).json()["items"]
    again = await _make(client, tests=[TESTS[1]])
    after = (await client.get(f"{API}/suites/{made['id']}/cases")).json()["items"]
    assert again["id"] == made["id"]
    assert [case["id"] for case in after] == [before[1]["id"]]


async def test_changes_are_guarded(client: httpx2.AsyncClient) -> None:
    address = f"{API}/suites/{(await _make(client))['id']}"
    tag = (await client.get(address)).headers["ETag"]
    assert (await client.patch(address, json={"name": "sums"}, headers={"If-Match": tag})).status_code == 204
    assert (await client.patch(address, json={"name": "more"}, headers={"If-Match": tag})).status_code == 412
    assert (await client.delete(address, headers={"If-Match": tag})).status_code == 412
    assert (await client.patch(address, json={"tests": TESTS[:1]})).status_code == 204
    read = (await client.get(address)).json()
    assert (read["name"], read["cases"]) == ("sums", 1)
    await _make(client, name="other")
    assert (await client.patch(address, json={"name": "other"})).status_code == 409


async def test_lists_of_variables_cannot_make_too_many_cases(client: httpx2.AsyncClient, database: Database) -> None:
    """Found by trying: what POST refuses, PATCH stored."""
    made = await _make(client)
    many = [{"vars": {name: [str(n) for n in range(30)] for name in "abc"}}]
    told = "These are 27,000 cases; over HTTP a suite has at most 20,000."
    url = f"{API}/suites/{made['id']}"
    upload = {"file": ("tests.json", json.dumps(many).encode())}
    for answer in (
        await client.post(f"{API}/suites", json={"name": "many", "tests": many}),
        await client.patch(url, json={"name": "renamed", "tests": many}),
        await client.post(f"{API}/suites/import?name=many", files=upload),
        await client.put(f"{url}/cases/{(await client.get(f'{url}/cases')).json()['items'][0]['id']}", json=many[0]),
    ):
        assert (answer.status_code, answer.json()["detail"]) == (413, told)
    assert (await client.get(url)).json()["name"] == "math"
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(m.TestCase)) == 2


async def test_delete_and_restore(client: httpx2.AsyncClient) -> None:
    address = f"{API}/suites/{(await _make(client))['id']}"
    assert (await client.delete(address)).status_code == 204
    assert (await client.get(address)).status_code == 404
    other = await _make(client)
    assert (await client.post(f"{address}/restore")).status_code == 409
    assert (await client.delete(f"{API}/suites/{other['id']}")).status_code == 204
    assert (await client.post(f"{address}/restore")).status_code == 204
    assert (await client.get(address)).status_code == 200


async def test_a_case_is_replaced(client: httpx2.AsyncClient) -> None:
    address = f"{API}/suites/{(await _make(client))['id']}/cases"
    first = (await client.get(address)).json()["items"][0]
    answer = await client.put(f"{address}/{first['id']}", json={"vars": {"q": "3+3"}})
    assert answer.status_code == 200, answer.text
    cases = (await client.get(address)).json()["items"]
    assert (cases[0]["id"], cases[0]["variables"]) == (answer.json()["id"], {"q": "3+3"})
    assert (await client.put(f"{address}/{first['id']}", json={"vars": {"q": "3+3"}})).status_code == 404
    several = await client.put(f"{address}/{cases[0]['id']}", json={"vars": {"q": ["1", "2"]}})
    assert several.status_code == 422


CONFIG = b"description: Sums\ntests:\n  - vars: {q: 1+1}\n    assert: [{type: equals, value: '2'}]\n"
LINES = b"".join(json.dumps(test).encode() + b"\n" for test in TESTS)
TABLE = b"q,__expected\n1+1,equals: 2\n2+2,contains: 4\n"

UPLOADS = [
    ("config.yaml", CONFIG, 1),
    ("config.json", json.dumps({"tests": TESTS}).encode(), 2),
    ("tests.json", json.dumps(TESTS).encode(), 2),
    ("tests.yaml", b"- vars: {q: 1}\n- vars: {q: 2}\n- vars: {q: 3}\n", 3),
    ("tests.jsonl", LINES, 2),
    ("tests.csv", TABLE, 2),
    ("tests.csv.gz", gzip.compress(TABLE, mtime=0), 2),
]


@pytest.mark.parametrize(("name", "content", "cases"), UPLOADS)
async def test_files_are_imported(client: httpx2.AsyncClient, name: str, content: bytes, cases: int) -> None:
    answer = await client.post(f"{API}/suites/import?name=up", files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["cases"] == cases
    assert (await client.get(answer.headers["Location"])).json()["name"] == "up"


async def test_a_body_may_be_the_file(client: httpx2.AsyncClient) -> None:
    for kind, content in (("application/yaml", CONFIG), ("text/csv", TABLE), ("application/jsonl; a=b", LINES)):
        answer = await client.post(f"{API}/suites/import", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 201, answer.text
    suites = (await client.get(f"{API}/suites?sort=name&fields=name")).json()["items"]
    assert "Sums" in [suite["name"] for suite in suites]


async def test_files_that_an_upload_names_are_not_read(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    config = f"tests:\n  - vars: {{q: 'file://{secret}'}}\n    assert: [{{type: equals, value: 'file://{secret}'}}]\n"
    table = f"q,__expected\nfile://{secret},equals: file://{secret}\n"
    for name, content in (("a.yaml", config), ("a.csv", table), ("b.yaml", f"- vars: file://{secret}\n")):
        answer = await client.post(f"{API}/suites/import?name={name}", files={"file": (name, content.encode())})
        if answer.status_code == 201:
            cases = await client.get(f"{answer.headers['Location']}/cases")
            assert "the secret" not in cases.text
        assert "the secret" not in answer.text


BAD_FILES = [
    ("a.yaml", b"tests: ["),
    ("a.yaml", b"{a: &a [*a]}"),
    ("a.yaml", b"[" * 20_000),
    ("a.json", b"["),
    ("a.json", b"[" * 100_000),
    ("a.json", b'[{"vars": {"q": "\\u0000"}}]'),
    ("a.json", b'[{"vars": {"q": "\\ud800"}}]'),
    ("a.json", b'[{"vars": {"q": 1e999}}]'),
    ("a.json", b"42"),
    ("a.jsonl", b"{}\n{\n"),
    ("a.csv", b'a,b\n1,"'),
    ("a.csv", b"a,b\n1,2,3\n"),
    ("a.csv", b"\x00\x01\x02"),
    ("a.csv", gzip.compress(b"a\n" + b"0" * 50_000_000, mtime=0)),
    ("a.exe", b"MZ"),
    ("a.yaml", b""),
    ("a.csv", b""),
    ("a.yaml", b"tests: []"),
    ("a.yaml", b"tests: 5"),
    ("a.yaml", b"tests: [{assert: [{type: nonsense}]}]"),
    ("a.yaml", b"tests: [{assert: 7}]"),
]


@pytest.mark.parametrize(("name", "content"), BAD_FILES)
async def test_bad_files_are_refused_whole(
    client: httpx2.AsyncClient, database: Database, name: str, content: bytes
) -> None:
    answer = await client.post(f"{API}/suites/import", files={"file": (name, content)})
    assert answer.status_code in (413, 422), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(m.Suite)) == 0


@pytest.mark.parametrize("kind", ["text/plain", "", "multipart/form-data", "multipart/form-data; boundary=x"])
async def test_bodies_that_are_no_file_are_refused(client: httpx2.AsyncClient, kind: str) -> None:
    answer = await client.post(f"{API}/suites/import", content=b"x", headers={"Content-Type": kind})
    assert answer.status_code in (400, 422), answer.text


BAD_SUITES: list[Any] = [
    None,
    [],
    {},
    {"name": "x"},
    {"tests": []},
    {"name": "", "tests": []},
    {"name": 5, "tests": []},
    {"name": "a\x00", "tests": []},
    {"name": "\ud800", "tests": []},
    {"name": "x" * 201, "tests": []},
    {"name": "x", "description": "y" * 20_001, "tests": []},
    {"name": "x", "tests": [5]},
    {"name": "x", "tests": {}},
    {"name": "x", "tests": [{"assert": [{"type": "nonsense"}]}]},
    {"name": "x", "tests": [{"vars": {"q": "\x00"}}]},
    {"name": "x", "tests": [{"vars": {"q": "\udfff"}}]},
    {"name": "x", "tests": [{"threshold": "many"}]},
    {"name": "x", "tests": [], "surprise": 1},
]


@pytest.mark.parametrize("body", BAD_SUITES)
async def test_bad_suites_are_refused(client: httpx2.AsyncClient, database: Database, body: Any) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.post(f"{API}/suites", content=json.dumps(body), headers=headers)
    assert answer.status_code == 422, answer.text
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(m.Suite)) == 0
