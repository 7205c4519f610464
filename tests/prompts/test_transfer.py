"""Prompts as files over HTTP: in, all or nothing; out, whole."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx2
import pytest

from autoforge.access import Actor
from autoforge.db import Database, count_statements
from autoforge.prompts import transfer_routes
from autoforge.prompts.exporting import Wanted
from autoforge.prompts.importing import import_all
from tests.prompts.test_bulk import MERGED, exported, record
from tests.web.stalled import two_stalled

CSV = b"act,prompt\nPoet,Write about ${topic:the sea}\nCritic,Judge it\n"


async def send(api: httpx2.AsyncClient, data: bytes, kind: str = "text/csv", **params: Any) -> httpx2.Response:
    return await api.post("prompts/import", content=data, headers={"Content-Type": kind}, params=params)


async def names(database: Database, actor: Actor) -> list[str]:
    return [one.name for one in await exported(database, actor)]


async def test_a_body_of_each_kind_comes_in(api: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    answer = await send(api, CSV)
    assert (answer.status_code, answer.json()) == (
        200,
        {"stored": True, "created": 2, "extended": 0, "unchanged": 0, "failed_count": 0, "failed": []},
    )
    for kind, data in (
        ("application/json", b'[{"name": "a", "prompt": "x"}]'),
        ("application/jsonl; charset=utf-8", b'{"name": "b", "prompt": "x"}\n'),
        ("application/yaml", b"- name: c\n  prompt: x\n"),
        ("TEXT/CSV", gzip.compress(b"name,prompt\nd,x\n")),
    ):
        assert (await send(api, data, kind)).json()["created"] == 1, kind
    assert await names(database, owner) == ["a", "b", "c", "critic", "d", "poet"]


async def test_a_form_with_a_file_comes_in(api: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    answer = await api.post("prompts/import", files={"file": ("prompts.csv", CSV)}, params={"folder": "from/web"})
    assert (answer.status_code, answer.json()["created"]) == (200, 2)
    assert await names(database, owner) == ["from/web/critic", "from/web/poet"]


async def test_the_same_file_twice_changes_nothing(api: httpx2.AsyncClient) -> None:
    await send(api, CSV)
    assert (await send(api, CSV)).json() | {"failed": 0} == {
        "stored": True, "created": 0, "extended": 0, "unchanged": 2, "failed_count": 0, "failed": 0
    }  # fmt: skip


async def test_one_bad_row_keeps_all_out_and_is_named(
    api: httpx2.AsyncClient, database: Database, owner: Actor
) -> None:
    data = b'{"name": "good", "prompt": "x"}\n\n{"name": "bad"}\nnonsense\n{"name": "good2", "prompt": "y"}\n'
    answer = await send(api, data, "application/jsonl")
    problem = answer.json()
    assert (answer.status_code, problem["detail"]) == (422, "2 rows are no prompt, so nothing was imported.")
    assert [error["pointer"] for error in problem["errors"]] == ["line 3", "line 4"]
    assert await names(database, owner) == []
    dry = (await send(api, data, "application/jsonl", dry_run=True)).json()
    assert (dry["stored"], dry["created"], [row["line"] for row in dry["failed"]]) == (False, 2, [3, 4])
    assert await names(database, owner) == []
    kept = (await send(api, data, "application/jsonl", skip_bad=True)).json()
    assert (kept["stored"], kept["created"], kept["failed_count"]) == (True, 2, 2)
    assert await names(database, owner) == ["good", "good2"]


async def test_columns_can_be_named(api: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    data = b"question,heading,a=b\nWhy {x}?,First,note\n"
    mapping = {"map": ["question=prompt", "heading=name", "a=b=description"], "placeholders": "braces"}
    assert (await send(api, data, **mapping)).status_code == 200
    (found,) = await exported(database, owner)
    assert (found.name, found.description) == ("first", "note")
    assert found.current.content.messages[0].content == "Why {{x}}?"


@pytest.mark.parametrize(
    ("data", "kind", "params", "says"),
    [
        (b"", "text/csv", {}, "empty"),
        (b"", "application/json", {}, "empty"),
        (b"x", "application/octet-stream", {}, "format"),
        (b"a,b\n1,2\n", "text/csv", {"map": "nonsense"}, "column=field"),
        (b"a,b\n1,2\n", "text/csv", {"map": "a=colour"}, "colour"),
        (b"a,b\n1,2\n", "text/csv", {"folder": "a@b"}, "@"),
        (b"a,prompt\n1,2\n", "text/csv", {"format": "xml"}, "csv"),
        (b"PK\x03\x04rest", "text/csv", {}, "spreadsheet"),
        (b"\xff\xfe\x00", "application/json", {}, ""),
        (b"\x1f\x8b\x08rest", "application/json", {}, "compression"),
        (b"[" * 100_000, "application/json", {}, "nested"),
        (b"- " * 100_000, "application/yaml", {}, ""),
        (b'{"name": "\\ud800", "prompt": "x"}', "application/jsonl", {}, "surrogate"),
        (b'{"name": "n", "prompt": "x", "versions": [{"number": 1e400}]}', "application/jsonl", {}, ""),
        (b"&a [*a]", "application/yaml", {}, ""),
        (b"!!python/object:os.system x", "application/yaml", {}, ""),
        (b"no form", "multipart/form-data", {}, ""),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=x", {}, ""),
    ],
)
async def test_what_cannot_be_read_is_said_and_nothing_is_stored(
    api: httpx2.AsyncClient, database: Database, owner: Actor, data: bytes, kind: str, params: Any, says: str
) -> None:
    answer = await send(api, data, kind, **params)
    assert answer.status_code in (400, 413, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.text
    assert await names(database, owner) == []


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"folder": "a//b"}, "?folder"),
        ({"map": "a=colour"}, "?map"),
        ({"map": "a"}, "?map"),
        ({"placeholders": "x"}, "?placeholders"),
    ],
)
async def test_parameters_are_pointed_at_as_such(api: httpx2.AsyncClient, params: Any, place: str) -> None:
    answer = await send(api, CSV, **params)
    assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (422, [place])


async def test_many_rows_of_names_that_are_taken(api: httpx2.AsyncClient) -> None:
    """The numbering of names once called itself, and that was told as JSON nested too deeply."""
    rows = [*(f"poet-{number}" for number in range(2, 1500)), "poet", "poet"]
    data = "\n".join(json.dumps({"name": name, "prompt": "x"}) for name in rows).encode()
    answer = await send(api, data, "application/jsonl", dry_run=True)
    assert (answer.status_code, answer.json().get("created")) == (200, 1500)


async def test_an_upload_that_expands_beyond_reason_is_refused(api: httpx2.AsyncClient) -> None:
    bomb = gzip.compress(b"prompt\n" + b"x\n" * 40_000_000, 9)
    assert (await send(api, bomb)).status_code == 413


async def test_a_form_without_a_file(api: httpx2.AsyncClient) -> None:
    answer = await api.post("prompts/import", data={"file": "text"}, files={"other": ("a.csv", CSV)})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/file")


@pytest.mark.parametrize("format", ["csv", "json", "jsonl", "yaml"])
async def test_what_goes_out_comes_in_again(
    api: httpx2.AsyncClient, database: Database, owner: Actor, stranger: Actor, format: str
) -> None:
    await import_all(database, owner, [MERGED, record("a", "one", "two")])
    await import_all(database, stranger, [record("secret")])
    answer = await api.get("prompts/export", params={"format": format})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="prompts.{format}"'
    assert b"secret" not in answer.content
    before = await exported(database, owner)
    again = await api.post(
        "prompts/import", content=answer.content, headers={"Content-Type": answer.headers["content-type"]}
    )
    assert again.json()["unchanged"] == 2
    assert await exported(database, owner) == before


async def test_a_part_goes_out(api: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    await import_all(database, owner, [record(name) for name in ("a/x", "a/y", "b")])

    async def out(**params: Any) -> list[str]:
        answer = await api.get("prompts/export", params=params)
        return [json.loads(line)["name"] for line in answer.text.splitlines()]

    assert await out() == ["a/x", "a/y", "b"]
    assert await out(folder="a") == ["a/x", "a/y"]
    assert await out(name=["b", "a/x"]) == ["a/x", "b"]
    missing = await api.get("prompts/export", params={"name": ["b", "nowhere"]})
    assert (missing.status_code, "nowhere" in missing.json()["detail"]) == (404, True)


async def test_an_export_is_three_statements_and_streams(
    database: Database, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_routes, "_CHUNK", 1)
    await import_all(database, owner, [record(f"p{number:04}") for number in range(700)])
    with count_statements() as counting:
        pieces = [piece async for piece in transfer_routes._file(database, owner.workspace_id, Wanted(), "jsonl")]
    assert counting.count == 3
    assert len(pieces) >= 700


async def test_few_exports_run_at_a_time(api: httpx2.AsyncClient, database: Database, owner: Actor) -> None:
    await import_all(database, owner, [record("p")])
    async with two_stalled(api, "/api/v1/prompts/export"):
        answer = await api.get("prompts/export")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (await api.get("prompts/export")).status_code == 200
