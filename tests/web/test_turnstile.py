"""Who is let in, who waits, and who is turned away; with a clock of our own."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from autoforge.db import Database
from autoforge.db.admission import Line
from autoforge.errors import Overloaded
from autoforge.web.turnstile import Place, Turnstile
from tests.web.site import opened, settings
from tests.web.test_middleware import client_of, must_be_problem

pytestmark = pytest.mark.anyio

PAGE: Any = {"path": "/api/v1/prompts"}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.asked = asyncio.Event()

    def __call__(self) -> float:
        self.asked.set()
        return self.now


def made(places: int = 1) -> tuple[Turnstile, Clock]:
    clock = Clock()
    return Turnstile(places, burst=0.5, patience=0.04, clock=clock), clock


async def entering(turnstile: Turnstile) -> asyncio.Task[Place | None]:
    """Somebody who stands at the turnstile by now."""
    task = asyncio.ensure_future(turnstile.enter(PAGE))
    await asyncio.sleep(0)
    return task


async def test_first_come_first_served() -> None:
    turnstile, clock = made(2)
    one, two = await turnstile.enter(PAGE), await turnstile.enter(PAGE)
    third, fourth = await entering(turnstile), await entering(turnstile)
    assert one is not None
    assert two is not None
    one.leave()
    one.leave()
    clock.now += 0.3  # a burst may wait
    assert (await third is not None, turnstile.inside, turnstile.waiting) == (True, 2, 1)
    two.leave()
    assert await fourth is not None
    assert (turnstile.inside, turnstile.waiting, turnstile.turned_away) == (2, 0, 0)


async def test_a_line_that_stands_turns_away_and_a_calm_one_does_not() -> None:
    turnstile, clock = made()
    inside = await turnstile.enter(PAGE)
    assert inside is not None
    waiting = [await entering(turnstile) for _ in range(3)]
    clock.now += 0.51  # since then nobody's turn has come: all have waited for too long
    turnstile.call()
    for one in waiting:
        with pytest.raises(Overloaded):
            await one
    late = await entering(turnstile)
    clock.now += 0.05  # more than who comes now may wait
    soon = await entering(turnstile)
    inside.leave()
    with pytest.raises(Overloaded):
        await late
    place = await soon
    assert place is not None
    assert turnstile.turned_away == 4
    clock.now += 0.6
    patient = await entering(turnstile)
    clock.now += 0.3
    place.leave()
    assert await patient is not None  # it is calm again: a burst may wait as before
    assert turnstile.turned_away == 4


async def test_a_line_that_moves_turns_nobody_away_however_long_it_is_there() -> None:
    turnstile, clock = made()
    inside = await turnstile.enter(PAGE)
    waiting = await entering(turnstile)
    for _ in range(40):  # 1.2 s, more than a burst
        clock.now += 0.03
        following = await entering(turnstile)
        assert inside is not None
        inside.leave()
        inside, waiting = await waiting, following
    clock.now += 0.3
    assert inside is not None
    inside.leave()
    assert await waiting is not None
    assert turnstile.turned_away == 0


async def let_some_in(turnstile: Turnstile, clock: Clock, waiting: int, newcomers: int, pause: float = 0.03) -> None:
    """A fifth of a burst in which all have waited long, and ``newcomers`` come whenever somebody is let in."""
    place = await turnstile.enter(PAGE)
    line = deque([await entering(turnstile) for _ in range(waiting)])
    clock.now += 0.05
    for _ in range(6):
        assert place is not None
        place.leave()
        if turnstile.turned_away:
            break
        place = await line.popleft()
        line += [await entering(turnstile) for _ in range(newcomers)]
        clock.now += pause
    for one in line:
        one.cancel()
    await asyncio.gather(*line, return_exceptions=True)


@pytest.mark.parametrize(("waiting", "newcomers", "is_cut"), [(64, 1, False), (64, 3, True), (29, 3, False)])
async def test_a_long_line_that_grows_is_cut_before_a_burst_is_over(waiting: int, newcomers: int, is_cut: bool) -> None:
    turnstile, clock = made()
    await let_some_in(turnstile, clock, waiting, newcomers)
    assert (turnstile.turned_away > 0) == is_cut


async def test_who_comes_after_a_standstill_is_no_growing_line() -> None:
    turnstile, clock = made()
    await let_some_in(turnstile, clock, 64, 3, pause=0.05)  # longer than a moment: nothing was called meanwhile
    assert turnstile.turned_away == 0


async def test_nobody_keeps_a_place_by_going_away() -> None:
    turnstile, _ = made()
    inside = await turnstile.enter(PAGE)
    assert inside is not None
    gone, called, last = await entering(turnstile), await entering(turnstile), await entering(turnstile)
    gone.cancel()
    await asyncio.sleep(0)
    inside.leave()
    called.cancel()  # after its turn has come
    place = await last
    assert place is not None
    place.leave()
    assert (turnstile.inside, turnstile.waiting) == (0, 0)


async def test_a_slow_sender_has_no_place_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoforge.web.turnstile._MOMENT", 0.0)
    turnstile, _ = made()
    slow = await turnstile.enter(PAGE)
    assert slow is not None
    arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    reading = asyncio.ensure_future(slow.outside(lambda: arrived)())
    other = await turnstile.enter(PAGE)
    assert other is not None
    arrived.set_result({"type": "http.request"})
    await reading
    assert turnstile.inside == 2
    slow.leave()
    other.leave()
    assert turnstile.inside == 0


async def test_what_tells_how_the_service_is_never_waits() -> None:
    turnstile, _ = made()
    await turnstile.enter(PAGE)
    for path in ("/api/v1/health", "/api/v1/ready", "/metrics", "/static/app.js"):
        assert await turnstile.enter({"path": path}) is None
    assert await Turnstile(0).enter(PAGE) is None


async def test_some_go_first_but_not_any_number_of_them() -> None:
    turnstile = Turnstile(1, first=("/served/",))
    for _ in range(8):
        assert await turnstile.enter({"path": "/served/x"}) is not None
    ordinary, too_many = await entering(turnstile), asyncio.ensure_future(turnstile.enter({"path": "/served/y"}))
    await asyncio.sleep(0)
    assert (turnstile.inside, turnstile.waiting) == (8, 2)
    for _ in range(9):
        turnstile.leave()
    assert await ordinary is not None
    assert await too_many is not None


async def test_the_answer_says_when_to_try_again() -> None:
    turnstile, clock = made()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def working(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with client_of(working, turnstile=turnstile) as client:
        first = asyncio.ensure_future(client.get("/"))
        await begun.wait()
        second = asyncio.ensure_future(client.get("/api/v1/prompts"))
        await clock.asked.wait()
        assert turnstile.waiting == 1
        clock.now += 0.6
        turnstile.call()
        refused = await second
        go_on.set()
        assert (await first).status_code == 204
    must_be_problem(refused, 503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert (turnstile.inside, turnstile.turned_away) == (0, 1)


async def test_an_answer_that_lasts_gives_its_place_back() -> None:
    turnstile, _ = made()
    seen: list[int] = []

    async def streaming(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        seen.append(turnstile.inside)
        await send({"type": "http.response.body", "body": b"x"})

    async with client_of(streaming, turnstile=turnstile) as client:
        await client.get("/")
    assert (seen, turnstile.inside) == ([0], 0)


async def test_who_steps_out_lets_somebody_in_and_goes_on_without_waiting() -> None:
    turnstile, _ = made()
    writer = await turnstile.enter(PAGE)
    assert writer is not None
    second = await entering(turnstile)
    assert writer.step_out()
    other = await second
    assert other is not None
    writer.step_in()
    assert turnstile.inside == 2
    writer.leave()
    assert not writer.step_out()  # there is nothing left to give
    other.leave()
    assert turnstile.inside == 0


async def test_reads_are_answered_while_writes_wait_for_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"content": {"messages": [{"role": "user", "content": "Hello"}]}}
    begun, enough, come = asyncio.Event(), asyncio.Event(), asyncio.Event()
    wait = Line.wait

    async def seen(line: Line, *args: Any, **given: Any) -> None:
        if len(line) == 2:
            come.set()
        await wait(line, *args, **given)

    async def keep_the_writer(database: Database) -> None:
        async with database.write():
            begun.set()
            await enough.wait()

    async with opened(settings(tmp_path, requests_at_once=1)) as site:
        keeping = asyncio.ensure_future(keep_the_writer(site.database))
        await begun.wait()
        monkeypatch.setattr(Line, "wait", seen)
        writes = [site.client.post("/api/v1/prompts", json={"name": name, **body}) for name in ("one", "two", "three")]
        waiting = [asyncio.ensure_future(write) for write in writes]
        try:
            async with asyncio.timeout(10):
                await come.wait()  # all of them, though there is one place
                assert (await site.client.get("/api/v1/prompts")).status_code == 200
            assert not any(write.done() for write in waiting)
        finally:
            enough.set()
            await keeping
        assert [(await answer).status_code for answer in waiting] == [201, 201, 201]
