"""What each read may cost: the statements that it declares, whatever the data. Twice the rows cost as many."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from autoforge.access import Actor, sessions
from autoforge.db import Database, WriteSession, clock
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.db.trace import StatementCount, count_statements
from tests import make
from tests.web.examples import Asked, everything
from tests.web.site import Site, signed_in

pytestmark = pytest.mark.anyio

BESIDE = ("access.by_", "access.key_seen", "access.session_seen", "limits.", "idempotency.")
ROWS = 60
LASTING = {"/api/v1/jobs/{job_id}/events"}
"""Streams that look again every second: as many statements as they last."""


async def fill(site: Site, number: int) -> None:
    """``number`` more of everything that a list shows, in the workspace of the owner."""
    owner = site.owner
    async with site.database.write(bulk=True) as session:
        made = await make.prompts(session, owner, number)
        suite = await make.suite(session, owner, number)
        for prompt_id, version_id in made[:5]:
            await make.evaluation(session, owner, suite, prompt_id=prompt_id, version_id=version_id)
        await make.evaluations(session, owner, number)
        for _ in range(number):
            await make.suite(session, owner, 2)
        await _fill_history(session, owner, made[0])
    await _fill_people(site.database, site.app.state.gate.secret, owner, number)


async def _fill_history(session: WriteSession, owner: Actor, of: tuple[object, object]) -> None:
    now = clock.now()
    heads = [
        {"prompt_id": of[0], "kind": "label", "name": f"label-{new_id().hex}", "version_id": of[1]} for _ in range(ROWS)
    ]
    await session.execute(
        insert(m.PromptHead), [{**head, "updated_at": now, "updated_by": owner.user_id} for head in heads]
    )


async def _fill_people(database: Database, secret: bytes, owner: Actor, number: int) -> None:
    now = clock.now()
    people = [{"id": new_id(), "name": f"person {index}"} for index in range(number)]
    fixed = {"created_at": now, "updated_at": now}
    place = {"workspace_id": owner.workspace_id, "created_at": now}
    job = {"task": "t", "status": "completed", "run_after": now, "turn_at": now, "created_by": owner.user_id, **place}
    async with database.write(bulk=True) as session:
        users = [{**one, "email": f"{one['id'].hex}@example.com", **fixed} for one in people]
        await session.execute(insert(m.User), users)
        members = [{"user_id": one["id"], "role": "member", **place} for one in people]
        await session.execute(insert(m.Membership), members)
        await session.execute(insert(m.Job), [{"id": new_id(), **job} for _ in range(number)])
        for _ in range(5):
            await sessions.make_key(session, secret, owner, "more", ["*:read"], None)


async def reads(site: Site) -> list[Asked]:
    """Those with a budget; of lists, pages as long as they may be."""
    return [
        one
        for one in await everything(site)
        if one.budget is not None and one.method == "GET" and "/merge" not in one.path
    ]


def of_the_route(counted: StatementCount) -> list[str]:
    return [one.name for one in counted.statements if not one.name.startswith(BESIDE) and one.table != "rate_limits"]


async def costs(site: Site) -> dict[str, list[str]]:
    """The statements of each read, none of it from the cache."""
    found = {}
    cookie = await signed_in(site, site.owner)
    for one in await reads(site):
        headers = cookie if one.page else site.mine
        await site.client.get("/api/v1/me", headers=headers)
        _forget(site)
        limit = ("&" if "?" in one.path else "?") + "limit=200" if "limit" in one.query else ""
        with count_statements() as counted:
            answer = await site.client.get(one.path + limit, headers={"Authorization": "", **headers})
        assert answer.status_code in (200, 302, 303), (one.place, answer.text[:300])
        found[one.place] = of_the_route(counted)
    return found


def _forget(site: Site) -> None:
    """An empty cache, as after a start."""
    near = site.app.state.services.cache
    site.app.state.services.cache = type(near)()


async def test_every_read_has_a_budget(site: Site) -> None:
    without = {one.template for one in await everything(site) if one.method == "GET" and one.budget is None}
    assert without == LASTING


async def test_every_read_stays_within_its_budget_whatever_the_data(each_site: Site) -> None:
    budgets = {one.place: one.budget or 0 for one in await reads(each_site)}
    assert len(budgets) > 25
    await fill(each_site, ROWS)
    before = await costs(each_site)
    assert sum(map(len, before.values())) > 30
    await fill(each_site, ROWS)
    after = await costs(each_site)
    over = {place: names for place, names in before.items() if len(names) > budgets[place]}
    assert over == {}
    assert {place: (before[place], names) for place, names in after.items() if len(names) != len(before[place])} == {}
