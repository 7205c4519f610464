"""What programs are told of the service: added up over processes, kept to its budget of rows, and for admins only."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from autoforge.db import Database, clock, trace
from autoforge.db import models as m
from autoforge.operations import levels
from autoforge.operations.doctor.traffic import Traffic
from autoforge.operations.watching import watched
from autoforge.telemetry.levels import BOUNDS, LEVELS
from tests.web.site import Site

pytestmark = pytest.mark.anyio


async def test_counts_of_processes_are_added_up_and_old_ones_forgotten(database: Database) -> None:
    minute = int(clock.now().timestamp()) // 60 * 60
    old = minute - int(timedelta(days=36).total_seconds())
    counts = [3, 1, 2, *[0] * len(BOUNDS)]
    for _ in range(2):
        async with database.write() as session:
            await levels.store(session, {(minute, "api"): counts, (minute, "page"): counts, (old, "api"): counts})
    async with database.read() as session:
        minutes, hours = await levels.history(session)
    assert minutes == {(minute, "api"): [2 * one for one in counts], (minute, "page"): [2 * one for one in counts]}
    assert hours == {(minute // 3_600 * 3_600, kind): [2 * one for one in counts] for kind in ("api", "page")}
    async with database.write() as session:
        assert await levels.forget_old(session) == 2
        assert await session.scalar(select(func.count()).select_from(m.ServiceLevel)) == 4


async def test_levels_tell_what_is_stored_and_what_is_not_yet(site: Site) -> None:
    await site.app.state.watcher.store()
    await site.client.get("/api/v1/prompts")
    before = (await site.client.get("/api/v1/operations/levels")).json()["objectives"][0]["budget"]["requests"]
    await site.app.state.watcher.store()
    after = (await site.client.get("/api/v1/operations/levels?over=30d")).json()
    assert after["objectives"][0]["budget"]["requests"] == before + 1
    assert [one["state"] for one in after["objectives"]] == ["kept"] * 4
    assert after["over_time"][-1]["requests_per_second"] > 0


async def test_the_snapshot_is_that_of_all_processes(site: Site) -> None:
    watcher = site.app.state.watcher
    await site.client.get("/api/v1/prompts?q=verysecret")
    other = json.loads(json.dumps(watcher.own()))
    other["process"]["name"] = "another"
    folder = site.app.state.services.settings.data / "processes"
    folder.mkdir(exist_ok=True)
    (folder / "another.json").write_text(json.dumps(other))
    foreign = {
        "broken": "{", "empty": "{}", "list": "[1]", "newer": json.dumps({**other, "format": 99}),
        "older": json.dumps({name: part for name, part in other.items() if name not in ("format", "statements")}),
        "other": json.dumps({**other, "statements": {"shapes": [{}]}}),
    }  # fmt: skip
    for name, text in foreign.items():
        (folder / f"{name}.json").write_text(text)
    (folder / "bytes.json").write_bytes(b'{"format": "\xff"}')
    (folder / "folder.json").mkdir()
    answer = await site.client.get("/api/v1/operations/snapshot")
    found = answer.json()
    assert {one["name"] for one in found["processes"]} == {watcher.name, "another"}
    search = next(one for one in found["statements"]["shapes"] if one["name"] == "prompts.search")
    assert search["count"] == 2
    assert search["routes"] == [{"route": "GET /api/v1/prompts", "count": 2}]
    assert found["cache"]["kinds"]["access"]["loads"] >= 2
    assert len(found["pools"]) == 2
    traffic = Traffic.read(folder.parent)
    assert traffic is not None
    assert {one["process"]["name"] for one in traffic.processes} - {watcher.name} == {"another"}
    assert "verysecret" not in answer.text
    watcher.write()
    assert "verysecret" not in (folder / f"{watcher.name}.json").read_text()


async def test_every_step_of_the_end_is_taken(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    services = site.app.state.services

    async def fail(*_: object) -> None:
        raise RuntimeError("not stored")

    hooks = len(trace._hooks)
    ending = AsyncExitStack()
    watcher = await ending.enter_async_context(watched(services, "worker"))
    watcher.write()
    assert len(trace._hooks) == hooks + 1
    LEVELS.request_finished("api", 200, 0.01)
    monkeypatch.setattr(levels, "store", fail)
    with pytest.raises(RuntimeError, match="not stored"):
        await ending.aclose()
    assert len(trace._hooks) == hooks
    assert not watcher._file.exists()


async def test_the_plan_of_a_statement(site: Site) -> None:
    await site.client.get("/api/v1/prompts?q=verysecret")
    shapes = (await site.client.get("/api/v1/operations/snapshot")).json()["statements"]["shapes"]
    search = next(one for one in shapes if one["name"] == "prompts.search")
    answer = await site.client.get(f"/api/v1/operations/statements/{search['key']}/plan")
    assert answer.json()["lines"]
    assert "verysecret" not in answer.text
    assert (await site.client.get("/api/v1/operations/statements/0123456789abcdef/plan")).status_code == 404


async def test_only_admins_are_told(site: Site) -> None:
    for path in ("levels", "snapshot", "statements/0123456789abcdef/plan"):
        answer = await site.client.get(f"/api/v1/operations/{path}", headers=site.theirs)
        assert answer.status_code == 403, path
