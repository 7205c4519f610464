"""Profiles on demand: only for admins, one at a time, bounded, and of what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from autoforge.operations import profiling
from autoforge.queue import Context, Registry, enqueue
from autoforge.queue.pool import Pool
from autoforge.telemetry import profiles
from autoforge.telemetry.profiles import PROFILES, Profiles, walk
from tests.queue.conftest import until
from tests.web.site import Site, key, signed_in

pytestmark = pytest.mark.anyio

NAME = "/api/v1/operations/profiles"


@pytest.fixture
def dialect() -> str:
    """Profiles know nothing of databases."""
    return "sqlite"


async def kept(site: Site) -> list[dict[str, Any]]:
    PROFILES.settle()
    found = (await site.client.get(NAME)).json()["items"]
    return [one for one in found if one["by"] != "tests"]


async def test_an_admins_request_is_profiled_and_nobody_elses(site: Site) -> None:
    reader = await key(site.app, site.owner, "*:read")
    for headers in (site.theirs, reader, {"Authorization": "Bearer nonsense"}, {"Authorization": ""}):
        answer = await site.client.get("/api/v1/prompts", headers={**headers, "X-Profile": "1"})
        assert "x-profile" not in answer.headers
    assert await kept(site) == []
    answer = await site.client.get("/api/v1/prompts?q=verysecret", headers={"X-Profile": "1"})
    assert answer.status_code == 200
    (made,) = await kept(site)
    assert answer.headers["x-profile"] == f"/operations/profiles/{made['id']}"
    assert (made["kind"], made["what"]) == ("request", "GET /api/v1/prompts")
    tree = await site.client.get(f"{NAME}/{made['id']}")
    assert any(node["place"].startswith("autoforge/") for _, node in walk(tree.json()["tree"]))
    assert "verysecret" not in tree.text
    cookie = await signed_in(site, site.owner)
    page = await site.client.get(answer.headers["x-profile"], headers={"Authorization": "", **cookie})
    assert page.status_code == 200
    assert "<details open>" in page.text


async def test_the_next_request_that_was_ordered_whoever_asks_it(site: Site) -> None:
    asked = await site.client.post(NAME, json={"kind": "request", "what": "/api/v1/suites"})
    assert asked.status_code == 202
    await site.client.get("/api/v1/prompts", headers=site.theirs)
    for _ in range(2):
        await site.client.get("/api/v1/suites", headers=site.theirs)
    assert [one["what"] for one in await kept(site)] == ["GET /api/v1/suites"]
    assert (await site.client.get(NAME)).json()["ordered"] is None


async def test_asking_is_for_admins_and_for_what_there_is(site: Site) -> None:
    wrong = [("job", "no.such"), ("server", "0"), ("server", "61"), ("server", "²"), ("request", "api")]
    for kind, what in wrong:
        assert (await site.client.post(NAME, json={"kind": kind, "what": what})).status_code == 422, what
    asked = {"kind": "server", "what": "1"}
    assert (await site.client.post(NAME, json=asked, headers=site.theirs)).status_code == 403
    assert (await site.client.get(f"{NAME}/0123456789abc")).status_code == 404


async def test_one_at_a_time(site: Site) -> None:
    running = PROFILES.begin("server", "test", "nobody")
    assert running is not None
    answer = await site.client.get("/api/v1/prompts", headers={"X-Profile": "1"})
    assert "x-profile" not in answer.headers
    assert (await site.client.post(NAME, json={"kind": "server", "what": "1"})).status_code == 409
    running.stop()
    running.stop()
    assert [one["kind"] for one in await kept(site)] == ["server"]


async def test_the_form_says_what_is_wrong_and_takes_an_order_back(site: Site) -> None:
    cookie = await signed_in(site, site.owner)

    async def post(path: str = "", **fields: str) -> httpx2.Response:
        headers = {"Authorization": "", **cookie}
        return await site.client.post(f"/operations/profiles{path}", data=fields, headers=headers)

    wrong = await post(kind="request", **{"request-what": "nothing"})
    assert (wrong.status_code, "begins with a slash" in wrong.text) == (422, True)
    task = profiling.profilable()[0].name
    assert (await post(kind="job", **{"job-what": task})).status_code == 303
    assert PROFILES.ordered() is not None
    await post("/cancel")
    assert PROFILES.ordered() is None


def _busy(context: Context) -> int:
    return sum(len(str(number)) for number in range(300_000))


async def _busy_too(context: Context) -> int:
    return _busy(context)


@pytest.mark.parametrize("function", [_busy, _busy_too])
async def test_the_next_run_of_a_task(site: Site, function: Callable[..., Any]) -> None:
    registry = Registry()
    task = registry.task("test.busy")(function)
    PROFILES.order("job", "test.busy", "Ada")
    services = site.app.state.services
    pool = Pool(services, registry=registry)
    async with site.database.write() as session:
        await enqueue(session, None, task, {})
    await pool.start()
    await until(lambda: bool(pool.counts["completed"]))
    await pool.stop()
    (made,) = await kept(site)
    assert (made["kind"], made["what"], made["by"]) == ("job", "test.busy", "Ada")
    tree = PROFILES.get(made["id"])
    assert tree is not None
    assert any(node["function"] == "_busy" for _, node in walk(tree["tree"]))


def test_only_the_last_are_kept(tmp_path: Path) -> None:
    desk = Profiles()
    desk.open(tmp_path, "a")
    for number in range(profiles.KEPT + 3):
        (tmp_path / f"{number:013x}.json").write_text("{}")
    running = desk.begin("request", "x", "y")
    assert running is not None
    running.stop()
    desk.close()
    assert len(list(tmp_path.glob("*.json"))) == profiles.KEPT


def test_a_file_for_speedscope_opens_and_closes_in_order() -> None:
    def node(name: str, seconds: float, *children: Any) -> dict[str, Any]:
        shown = {"function": name, "place": "a.py:1", "seconds": seconds, "own": 0.0, "waiting": 0.0}
        return {**shown, "children": list(children)}

    tree = node("a", 1.0, node("b", 0.4, node("a", 0.1)), node("c", 0.5))
    made = profiles.speedscope({"kind": "job", "what": "x", "tree": tree})
    events = made["profiles"][0]["events"]
    stack: list[int] = []
    for event in events:
        if event["type"] == "O":
            stack.append(event["frame"])
        else:
            assert stack.pop() == event["frame"]
    assert stack == []
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
