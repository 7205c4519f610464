"""Indexes and plans: what is planted is found, with DDL that was tried on a copy, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from autoforge.db.models import Base
from autoforge.operations.doctor import indexes, tables
from autoforge.operations.doctor.advice import Proposal, proposals
from autoforge.operations.doctor.finding import Finding, Severity
from autoforge.operations.doctor.review import Check
from autoforge.operations.doctor.traffic import Traffic
from tests.operations.doctor.ward import Ward, limits

FEW = limits(large_table=5, index_uptime=timedelta(0))
"""So few rows make a large table that the sample data has some."""
CHECKS = (tables.sizes, *indexes.CHECKS)


def _found(ward: Ward, checks: Sequence[Check] = CHECKS, **about: Any) -> dict[str, Finding]:
    report = ward.report(checks=checks, **{"limits": FEW, **about})
    assert report.unseen == []
    return {one.id: one for one in report.findings}


def _seen_live(ward: Ward) -> Traffic:
    """What a running server would have written down about statements that the product does not have."""
    holder, like = ("?", "LIKE") if ward.dialect == "sqlite" else ("$1", "ILIKE")
    seen = {
        "prompts.by_title": f"SELECT prompts.name FROM prompts WHERE prompts.workspace_id = {holder}"
        " AND prompts.deleted_at IS NULL ORDER BY prompts.title DESC, prompts.id DESC LIMIT 50",
        "prompts.by_description": f"SELECT prompts.name FROM prompts WHERE prompts.description {like} '%a%'",
        "prompts.by_length": "SELECT prompts.name FROM prompts WHERE prompts.seq > 0"
        " ORDER BY length(prompts.description)",
    }
    return Traffic(
        statements=[{"sql": sql, "name": name, "dialect": ward.dialect, "count": 0} for name, sql in seen.items()]
    )


def test_faults_of_indexes_and_plans_are_found_proved_and_cured(ward: Ward) -> None:
    assert _found(ward) == {}
    ward.plant(
        "DROP INDEX ix_prompts_workspace_created",
        "DROP INDEX ix_jobs_ended",
        "CREATE INDEX ix_jobs_ended ON jobs (title)",
        "CREATE INDEX mine_again ON prompts (workspace_id, updated_at) WHERE deleted_at IS NULL",
        "CREATE INDEX mine_alone ON prompts (description)",
    )
    found = _found(ward, traffic=_seen_live(ward))
    assert set(found) == {
        "index-dropped", "index-differs", "index-duplicate", "index-unused", "index-missing", "plan-full-scan",
        "plan-temporary-sort",
    }  # fmt: skip
    _check_dropped(found["index-dropped"])
    _check_missing(found["index-missing"])
    assert "ix_prompts_workspace_updated" in found["index-duplicate"].title
    assert found["plan-full-scan"].title.startswith("prompts.by_description reads")
    assert found["plan-temporary-sort"].title.startswith("prompts.by_length sorts")
    cures = [found[slug].commands.split("\n") for slug in found if slug.startswith("index-")]
    ward.plant(*(command for commands in cures for command in commands))
    left = _found(ward, traffic=_seen_live(ward))
    assert set(left) == {"plan-full-scan", "plan-temporary-sort"}


def _check_dropped(finding: Finding) -> None:
    assert finding.severity is Severity.HIGH
    made = "ix_prompts_workspace_created ON prompts (workspace_id, created_at, id) WHERE deleted_at IS NULL"
    assert made in finding.commands
    before, _, after = finding.proof.partition("after:")
    assert "prompts.page" in before
    assert "ix_prompts_workspace_created" not in before
    assert "ix_prompts_workspace_created" in after


def _check_missing(finding: Finding) -> None:
    name = "ix_prompts_workspace_id_title_id"
    assert finding.commands.endswith(f"{name} ON prompts (workspace_id, title, id) WHERE deleted_at IS NULL;")
    before, _, after = finding.proof.partition("after:")
    assert "Sort" in before or "TEMP B-TREE" in before
    assert name in after
    assert "Sort" not in after
    assert "TEMP B-TREE" not in after


def test_a_dropped_unique_index_is_critical_and_duplicates_are_told(file_ward: Ward) -> None:
    file_ward.plant(
        "DROP INDEX uq_prompts_workspace_name", "UPDATE prompts SET name = (SELECT name FROM prompts LIMIT 1)"
    )
    found = _found(file_ward, (indexes.missing,))["index-dropped"]
    assert found.severity is Severity.CRITICAL
    assert any("rows with the same (workspace_id, name)" in line for line in found.evidence)


def test_an_invalid_index_and_a_search_without_one_are_found(server_ward: Ward) -> None:
    server_ward.plant("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_jobs_ended'::regclass")
    found = _found(server_ward, (indexes.invalid,))
    assert set(found) == {"index-invalid"}
    server_ward.plant(found["index-invalid"].commands, "DROP INDEX ix_prompt_search_document")
    found = _found(server_ward, (indexes.invalid, indexes.search))
    assert set(found) == {"index-dropped"}
    server_ward.plant(found["index-dropped"].commands)
    assert _found(server_ward, (indexes.invalid, indexes.search)) == {}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "SELECT a.id FROM jobs AS a WHERE a.queue = ? AND a.worker IN (?, ?) AND a.created_at > ?",
            [Proposal("jobs", ("queue", "worker", "created_at"))],
        ),
        (
            "SELECT p.id FROM prompts AS p JOIN users ON users.id = p.owner_id WHERE users.role = ? ORDER BY p.title",
            [
                Proposal("prompts", ("title",)),
                Proposal("prompts", ("owner_id",)),
                Proposal("users", ("role",)),
                Proposal("users", ("role", "id")),
            ],
        ),
        (
            "SELECT id FROM users WHERE deleted_at IS NOT NULL AND (name, id) < (?, ?) ORDER BY name DESC, id",
            [Proposal("users", ("name DESC", "id"), "deleted_at IS NOT NULL")],
        ),
        ("UPDATE jobs SET note = ? WHERE jobs.task = ?", [Proposal("jobs", ("task",))]),
        ("SELECT x.y FROM nowhere AS x WHERE x.y = ?", []),
        ("SELECT lower(name) FROM users ORDER BY lower(name)", []),
        ("this is (no SQL", []),
    ],
)
def test_the_advice_follows_the_statement(sql: str, expected: list[Proposal]) -> None:
    assert proposals(sql, "sqlite", Base.metadata) == expected


def test_a_huge_file_is_copied_as_schema_and_statistics(file_ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    from autoforge.operations.doctor import copies

    monkeypatch.setattr(copies, "_WHOLE", 0)
    file_ward.plant("ANALYZE", "DROP INDEX ix_prompts_workspace_created")
    found = _found(file_ward, (indexes.missing,))
    assert set(found) == {"index-dropped"}
    assert "statistics" in found["index-dropped"].proof
