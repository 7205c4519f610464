"""The check of all statements of a run finds what it should, wherever a statement was issued."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from autoforge.access.commands import ensure_local_owner
from autoforge.db import Database
from autoforge.db.trace import add_hook
from tests import issued, make
from tests.issued import Issued
from tests.plan_check import wrong_plans
from tests.suite_plans import of_each_kind

pytestmark = pytest.mark.anyio


def test_what_processes_of_a_test_issue_is_heard(sqlite_url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from autoforge.cli import main; main()", "prompts", "list", "--database-url"]
    environment = {**os.environ, issued.FOLDER: str(tmp_path)}
    subprocess.run([*command, sqlite_url, "--data", str(tmp_path / "data")], env=environment, check=True)
    heard = {one.name: one for one in issued.heard(tmp_path)}
    assert heard["prompts.page"].line.startswith("autoforge/prompts/queries.py:")


async def test_what_a_test_itself_asks_is_not_the_product(database: Database, tmp_path: Path) -> None:
    take_away = add_hook(issued.Listener(tmp_path))
    async with database.write() as session:
        await session.execute(text("SELECT 1 AS of_a_test"))
        await make.actor(session, "other")
        await ensure_local_owner(session)
    take_away()
    heard = list(issued.heard(tmp_path))
    assert heard
    assert all(one.line.startswith("autoforge/access/") for one in heard)


def test_scans_and_broken_statements_fail_the_run(database_url: str, dialect: str) -> None:
    mark = "?" if dialect == "sqlite" else "$1"
    asked = {
        "by key": f"SELECT name FROM prompts WHERE id = {mark}",
        "by text": f"SELECT name FROM prompts WHERE description = {mark}",
        "by index": "SELECT count(*) FROM users WHERE deleted_at IS NULL",
        "users.places": "SELECT id FROM users ORDER BY profile",
        "broken": "SELECT no_column FROM prompts",
    }
    bound = {"by key": (b"x" * 16,), "by text": ("x",)}
    if dialect == "postgresql":
        bound["by key"] = ("00000000-0000-0000-0000-000000000000",)
    given = [Issued(dialect, name, sql, bound.get(name), f"{name}.py:1") for name, sql in asked.items()]
    wrong = asyncio.run(wrong_plans(database_url, given))
    scanned, walked, excused_for_sorting, broken = wrong
    assert excused_for_sorting.startswith("users.places: full scan ")
    assert walked.startswith("by index: full scan ix_users_")
    assert scanned.startswith("by text: full scan prompts (")
    assert "(by text.py:1)" in scanned
    assert broken.startswith("broken: cannot be explained: ")


def test_lists_of_other_lengths_are_no_other_statement() -> None:
    sql = "SELECT 1 FROM t WHERE a IN ({}) AND b = ?"
    given = [Issued("sqlite", "x", sql.format(", ".join("?" * n)), (), "") for n in (2, 3, 50)]
    given += [Issued("sqlite", "y", sql.format("?, ?"), (), "")]
    assert [one.name for one in of_each_kind(given)] == ["x", "y"]
