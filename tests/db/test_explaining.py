"""Plans of statements for people, on both databases: with parameters, without, and of what has none."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, select, update

from autoforge.db import Database, explaining, named
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.db.trace import count_statements

pytestmark = pytest.mark.anyio

BY_KEY = named("t.by_key", select(m.Prompt.name).where(m.Prompt.id == bindparam("id")))
BY_TITLE = named("t.by_title", select(m.Prompt.name).where(m.Prompt.title == bindparam("t")).order_by(m.Prompt.title))
CHANGE = update(m.Prompt).where(m.Prompt.title == bindparam("of")).values(description=bindparam("d"))


@pytest.mark.parametrize("given", [True, False])
async def test_a_full_scan_is_found_with_and_without_parameters(database: Database, given: bool) -> None:
    async with database.write() as session:
        with count_statements() as counted:
            await session.execute(BY_KEY, {"id": new_id()})
            await session.execute(BY_TITLE, {"t": "it's secret"})
            await session.execute(CHANGE, {"of": "very secret", "d": "secret"})
    async with database.read() as session:
        if database.dialect == "postgresql":  # few rows are read from end to end, whatever indexes there are
            from sqlalchemy import text

            await session.execute(text("SET LOCAL enable_seqscan = off"))
        plans = [
            await explaining.explained(session, ran.name, ran.sql, ran.bound if given else None)
            for ran in counted.statements
        ]
    what = [[finding.what for finding in plan.findings] for plan in plans]
    assert what == [[], ["full scan"], ["full scan"]]
    assert all(plan.lines and bool(plan.note) is not given for plan in plans)
    assert "secret" not in repr(plans)


async def test_what_has_no_plan_says_so(database: Database) -> None:
    async with database.read() as session:
        none = await explaining.explained(session, "t", "BEGIN", None)
        gone = await explaining.explained(session, "t", "SELECT 1 FROM no_such_table", None)
    assert none.note.startswith("Only selects")
    assert "no_such_table" in gone.note
