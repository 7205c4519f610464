"""Evaluations over HTTP: what comes back, what it costs, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from autoforge.db import models as m
from autoforge.db.ids import new_id
from tests.evaluations.conftest import World, more_runs
from tests.web.client import API
from tests.web.stalled import two_stalled


async def test_list_and_read(client: httpx2.AsyncClient, world: World) -> None:
    first = (await client.get(f"{API}/evaluations?limit=1")).json()
    second = await client.get(f"{API}/evaluations", params={"limit": 1, "after": first["next"]})
    assert [one["id"] for page in (first, second.json()) for one in page["items"]] == [
        str(run) for run in world.runs[::-1]
    ]
    assert second.json()["next"] is None
    answer = await client.get(f"{API}/evaluations/{world.runs[1]}")
    body = answer.json()
    assert (body["cases"], body["passed"], body["failed"], body["errors"], body["score"]) == (8, 4, 2, 2, 0.5)
    assert (body["prompt_name"], body["version_number"], body["suite_name"]) == ("mail", 1, "math")
    again = await client.get(answer.url, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_results(client: httpx2.AsyncClient, world: World) -> None:
    address = f"{API}/evaluations/{world.runs[1]}/results"
    failed = (await client.get(address, params={"outcome": "fail", "fields": "position,outcome,case"})).json()
    assert failed["items"] == [
        {"position": 3, "case": "case 3", "outcome": "fail"},
        {"position": 7, "case": "case 7", "outcome": "fail"},
    ]
    problems = (await client.get(address, params={"sort": "outcome", "limit": 3})).json()
    assert [one["outcome"] for one in problems["items"]] == ["error", "error", "fail"]
    one = (await client.get(f"{address}/3")).json()
    assert (one["variables"], one["expected"]) == ({"question": "What is 3?"}, "3")
    assert one["assertions"][0] == {
        "type": "equals", "metric": "exact", "outcome": "fail", "score": 0.0, "reason": "equals: fail", "weight": 1.0,
    }  # fmt: skip
    metrics = (await client.get(f"{API}/evaluations/{world.runs[1]}/metrics")).json()
    assert metrics == {"metrics": [{"name": "exact", "cases": 8, "passed": 4, "score": 0.5}], "latency_p95_ms": 7.0}


async def test_compare(client: httpx2.AsyncClient, world: World) -> None:
    params: dict[str, Any] = {"a": str(world.runs[0]), "b": str(world.runs[1]), "limit": 2}
    body = (await client.get(f"{API}/evaluations/compare", params=params)).json()
    assert (body["compared"], body["errors"], body["regressions"], body["improvements"]) == (6, 2, 0, 2)
    assert body["verdict"] == "cannot tell"
    assert [row["change"] for row in body["items"]] == [0.0, 0.0]
    better = (await client.get(f"{API}/evaluations/compare", params={**params, "show": "better"})).json()
    assert [(row["case"], row["outcome_a"], row["outcome_b"]) for row in better["items"]] == [
        ("case 5", "fail", "pass"),
        ("case 1", "fail", "pass"),
    ]
    rest = (await client.get(f"{API}/evaluations/compare", params={**params, "after": "6"})).json()
    assert [row["outcome_b"] for row in rest["items"]] == ["error", "error"]
    assert rest["next"] is None
    same = (await client.get(f"{API}/evaluations/compare", params={**params, "b": params["a"]})).json()
    assert (same["difference"], same["only_in_a"], same["only_in_b"]) == (0.0, 0, 0)


async def test_export(client: httpx2.AsyncClient, world: World) -> None:
    address = f"{API}/evaluations/{world.runs[1]}/export"
    lines = [json.loads(line) for line in (await client.get(address)).text.splitlines()]
    assert [line["position"] for line in lines] == list(range(1, 9))
    assert lines[2]["assertions"][0]["type"] == "equals"
    rows = list(csv.DictReader(io.StringIO((await client.get(address, params={"format": "csv"})).text)))
    assert [row["outcome"] for row in rows[:4]] == ["pass", "pass", "fail", "error"]
    assert json.loads(rows[0]["assertions"])[0]["metric"] == "exact"


async def test_exports_that_are_not_read_on_stop_no_reads(client: httpx2.AsyncClient, world: World) -> None:
    address = f"{API}/evaluations/{world.runs[1]}"
    async with two_stalled(client, f"{address}/export"):
        refused = await client.get(f"{address}/export")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert (await client.get(f"{address}/results")).status_code == 200
    assert (await client.get(f"{address}/export")).status_code == 200


async def test_delete_and_restore(client: httpx2.AsyncClient, world: World) -> None:
    address = f"{API}/evaluations/{world.runs[0]}"
    assert (await client.delete(address, headers={"If-Match": '"9"'})).status_code == 412
    assert (await client.delete(address, headers={"If-Match": '"1"'})).status_code == 204
    assert (await client.get(address)).status_code == 404
    assert (await client.delete(address)).status_code == 404
    assert (await client.post(f"{address}/restore")).status_code == 204
    assert (await client.post(f"{address}/restore")).status_code == 404
    assert (await client.get(address)).status_code == 200


def _scoring(world: World, **changes: Any) -> dict[str, Any]:
    outputs = [{"output": str(number), "latency_ms": 5} for number in range(1, 8)]
    return {"suite_id": str(world.suite.suite_id), "model": "gpt", "prompt": "mail", "outputs": outputs, **changes}


async def test_recorded_outputs_are_scored_and_stored(client: httpx2.AsyncClient, world: World) -> None:
    answer = await client.post(f"{API}/evaluations", json=_scoring(world))
    assert answer.status_code == 201
    body = answer.json()
    assert {key: body[key] for key in ("cases", "passed", "failed", "errors", "score")} == {
        "cases": 8, "passed": 7, "failed": 0, "errors": 1, "score": 0.875,
    }  # fmt: skip
    stored = (await client.get(answer.headers["Location"])).json()
    assert (stored["prompt_id"], stored["latency_ms"], stored["cases"]) == (str(world.prompt[0]), 5.0, 8)
    compared = await client.get(f"{API}/evaluations/compare", params={"a": str(world.runs[0]), "b": body["id"]})
    assert compared.json()["compared"] == 7


async def test_python_and_files_are_not_trusted(client: httpx2.AsyncClient, world: World) -> None:
    tests = [
        {"assert": [{"type": "python", "value": "True"}]},
        {"assert": [{"type": "equals", "value": "file:///etc/hostname"}]},
        {"assert": [{"type": "equals", "value": "x", "transform": "file://run.py:f"}]},
    ]
    made = await client.post(f"{API}/suites", json={"name": "bad", "tests": tests})
    assert made.status_code == 201, made.text
    body = _scoring(world, suite_id=made.json()["id"], outputs=[{"output": "x"}] * 3)
    answer = (await client.post(f"{API}/evaluations", json=body)).json()
    assert (answer["passed"], answer["failed"], answer["errors"]) == (0, 0, 3)


async def test_a_prompt_comes_with_its_first_evaluation_or_not_at_all(client: httpx2.AsyncClient, world: World) -> None:
    evaluation = {key: value for key, value in _scoring(world).items() if key != "prompt"}
    body = {"prompt": {"name": "fresh", "content": "Add {{a}}."}, "evaluation": evaluation}
    answer = await client.post(f"{API}/evaluations/with-prompt", json=body)
    assert answer.status_code == 201, answer.text
    run = (await client.get(f"{API}/evaluations/{answer.json()['evaluation_id']}")).json()
    assert (run["prompt_id"], run["version_number"]) == (answer.json()["prompt_id"], 1)
    again = await client.post(f"{API}/evaluations/with-prompt", json=body)
    assert again.status_code == 409
    broken = {**body, "prompt": {**body["prompt"], "name": "other"}, "evaluation": {**evaluation, "model": "m" * 201}}
    assert (await client.post(f"{API}/evaluations/with-prompt", json=broken)).status_code == 422
    async with world.database.read() as session:
        names = [row.name for row in await session.all(select(m.Prompt.name).order_by(m.Prompt.name))]
    assert names == ["fresh", "mail"]


BAD_RUNS: dict[str, Any] = {
    "no body": None,
    "a list": [],
    "no suite": {"suite_id": None},
    "a suite that is no id": {"suite_id": "x"},
    "an unknown key": {"surprise": 1},
    "too many outputs": {"outputs": [{"output": "1"}] * 2_001},
    "more outputs than cases": {"outputs": [{"output": "1"}] * 9},
    "outputs that are no objects": {"outputs": ["1"]},
    "NUL in an output": {"outputs": [{"output": "a\x00b"}]},
    "NUL in a key": {"outputs": [{"output": {"a\x00": 1}}]},
    "a surrogate in an output": {"outputs": [{"output": ["\ud800"]}]},
    "NUL in the model": {"model": "a\x00"},
    "a surrogate in the name": {"name": "\udc00"},
    "a negative latency": {"outputs": [{"output": "1", "latency_ms": -1}]},
    "latency beyond numbers": {"outputs": [{"output": "1", "latency_ms": 1e999}]},
    "tokens beyond numbers": {"outputs": [{"output": "1", "tokens_in": 2**63}]},
    "a long model": {"model": "x" * 201},
    "an unknown prompt": {"prompt": "nothing@production"},
    "no reference": {"prompt": "@@"},
}


@pytest.mark.parametrize("name", BAD_RUNS)
async def test_bad_runs_are_refused(client: httpx2.AsyncClient, world: World, name: str) -> None:
    change = BAD_RUNS[name]
    body = _scoring(world, **change) if isinstance(change, dict) else change
    content = json.dumps(body)
    answer = await client.post(f"{API}/evaluations", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    async with world.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(m.Evaluation)) == 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"model": ' + b"9" * 10_000 + b"}",
        b'{"outputs": NaN}',
    ],
)
@pytest.mark.parametrize("path", ["evaluations", "evaluations/with-prompt", "suites"])
async def test_broken_bodies_are_refused(client: httpx2.AsyncClient, path: str, content: bytes) -> None:
    answer = await client.post(f"{API}/{path}", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_deep_outputs_are_never_fatal(client: httpx2.AsyncClient, world: World) -> None:
    for depth in (100, 900, 5_000):
        deep = "[" * depth + "]" * depth
        content = json.dumps(_scoring(world, outputs=["HERE"])).replace('"HERE"', f'{{"output": {deep}}}')
        answer = await client.post(f"{API}/evaluations", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code in (201, 400, 422), answer.text


FOREIGN = [
    ("GET", "evaluations/{run}"),
    ("GET", "evaluations/{run}/results"),
    ("GET", "evaluations/{run}/results/1"),
    ("GET", "evaluations/{run}/metrics"),
    ("GET", "evaluations/{run}/export"),
    ("GET", "evaluations/compare?a={own}&b={run}"),
    ("GET", "evaluations/compare?a={run}&b={own}"),
    ("DELETE", "evaluations/{run}"),
    ("POST", "evaluations/{run}/restore"),
    ("GET", "suites/{suite}"),
    ("GET", "suites/{suite}/cases"),
    ("DELETE", "suites/{suite}"),
    ("POST", "suites/{suite}/restore"),
]


@pytest.mark.parametrize(("method", "path"), FOREIGN)
async def test_what_others_have_does_not_exist(
    client: httpx2.AsyncClient, world: World, method: str, path: str
) -> None:
    for run, suite in ((world.foreign_run, world.foreign_suite), (new_id(), new_id())):
        address = path.format(run=run, suite=suite, own=world.runs[0])
        answer = await client.request(method, f"{API}/{address}")
        assert answer.status_code == 404, answer.text


async def test_the_suites_of_others_cannot_be_scored_or_changed(client: httpx2.AsyncClient, world: World) -> None:
    theirs = str(world.foreign_suite)
    assert (await client.post(f"{API}/evaluations", json=_scoring(world, suite_id=theirs))).status_code == 404
    assert (await client.patch(f"{API}/suites/{theirs}", json={"name": "mine"})).status_code == 404
    address = f"{API}/suites/{theirs}/cases/{world.suite.case_ids[0]}"
    assert (await client.put(address, json={"vars": {"a": 1}})).status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "after=x",
        "fields=password",
        "fields=,",
        "status=x",
        "prompt=x",
        "q=%00",
        "batch=1",
    ],
)
async def test_bad_questions_are_refused(client: httpx2.AsyncClient, query: str) -> None:
    answer = await client.get(f"{API}/evaluations?{query}")
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_pages_show_what_is_stored(client: httpx2.AsyncClient, world: World) -> None:
    await more_runs(world)
    shown = (await client.get(f"/w/main/evaluations/{world.runs[1]}?sort=outcome")).text
    assert shown.index("case 4") < shown.index("case 3") < shown.index("case 1")
    assert "What is 3?" in shown
    assert "mail" in (await client.get("/w/main/analysis")).text
    assert "math" in (await client.get("/w/main/suites")).text
    compared = (await client.get(f"/w/main/compare?a={world.runs[0]}&b={world.runs[1]}")).text
    assert "Cannot tell" in compared
    for path in (f"evaluations/{world.foreign_run}", f"suites/{world.foreign_suite}", f"compare?a={world.foreign_run}"):
        assert (await client.get(f"/w/main/{path}")).status_code == 404
    for path in ("evaluations?suite=x", "evaluations?status=nonsense", "suites?sort=password"):
        assert (await client.get(f"/w/main/{path}")).status_code == 200


async def test_a_run_is_deleted_on_its_page_and_brought_back(client: httpx2.AsyncClient, world: World) -> None:
    mine = f"/w/main/evaluations/{world.runs[0]}"
    assert f'action="{mine}/delete"' in (await client.get(mine)).text
    assert (await client.post(f"{mine}/delete")).headers["location"] == "/w/main/evaluations"
    assert (await client.get(mine)).status_code == 404
    listed = (await client.get("/w/main/evaluations")).text
    assert (mine in listed.replace(f"{mine}/restore", ""), f"{mine}/restore" in listed) == (False, True)
    assert (await client.post(f"{mine}/restore")).headers["location"] == mine
    assert (await client.get(mine)).status_code == 200
    for part in ("delete", "restore"):
        assert (await client.post(f"/w/main/evaluations/{world.foreign_run}/{part}")).status_code == 404
