"""Indexes and plans: what is planted is found, with DDL that was tried on a copy, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from autoforge.db.models import Base
from autoforge.operations.doctor import indexes, tables
from autoforge.operations.doctor.advice import Proposal, proposals
from autoforge.operations.doctor.finding import Finding, Severity
from autoforge.operations.doctor.traffic import Traffic
from tests.operations.doctor.ward import Ward, limits

FEW = limits(large_table=5, index_uptime=timedelta(0))
"""So few rows make a large table that the sample data has some."""
CHECKS = (tables.sizes, *indexes.CHECKS)


def _found(ward: Ward, traffic: Traffic | None = None) -> dict[str, Finding]:
    report = ward.report(checks=CHECKS, limits=FEW, traffic=traffic)
    assert report.unseen == []
    return {one.id: one for one in report.findings}


def _live(ward: Ward, sql: str, name: str = "select prompts") -> Traffic:
    """What a running server would have written down about this statement."""
    return Traffic(statements=[{"sql": sql, "name": name, "dialect": ward.dialect, "count": 0}])


def test_no_statement_of_the_product_goes_through_a_table(ward: Ward) -> None:
    assert _found(ward) == {}


def test_a_dropped_index_is_found_and_its_return_proved(ward: Ward) -> None:
    ward.plant("DROP INDEX ix_prompts_workspace_created")
    found = _found(ward)
    assert set(found) == {"index-dropped"}
    finding = found["index-dropped"]
    assert finding.severity is Severity.HIGH
    assert "ix_prompts_workspace_created ON prompts (workspace_id, created_at, id) WHERE deleted_at IS NULL" in (
        finding.commands
    )
    before, _, after = finding.proof.partition("after:")
    assert "prompts.page" in before
    assert "ix_prompts_workspace_created" not in before
    assert "ix_prompts_workspace_created" in after
    ward.plant(finding.commands)
    assert _found(ward) == {}


def test_a_dropped_unique_index_is_critical(file_ward: Ward) -> None:
    file_ward.plant(
        "DROP INDEX uq_prompts_workspace_name", "UPDATE prompts SET name = (SELECT name FROM prompts LIMIT 1)"
    )
    found = _found(file_ward)["index-dropped"]
    assert found.severity is Severity.CRITICAL
    assert any("duplicates already" in line for line in found.evidence)


def test_a_missing_index_is_derived_and_proved(ward: Ward) -> None:
    holder = "?" if ward.dialect == "sqlite" else "$1"
    sql = (
        f"SELECT prompts.name FROM prompts WHERE prompts.workspace_id = {holder} AND prompts.deleted_at IS NULL"
        " ORDER BY prompts.title DESC, prompts.id DESC LIMIT 50"
    )
    found = _found(ward, _live(ward, sql))
    assert set(found) == {"index-missing"}
    finding = found["index-missing"]
    expected = "ix_prompts_workspace_id_title_id ON prompts (workspace_id, title, id) WHERE deleted_at IS NULL;"
    assert finding.commands.endswith(expected)
    before, _, after = finding.proof.partition("after:")
    assert "SORT" in before.upper() or "TEMP B-TREE" in before
    assert "ix_prompts_workspace_id_title_id" in after
    assert "TEMP B-TREE" not in after
    ward.plant(finding.commands)
    assert "index-missing" not in _found(ward, _live(ward, sql))


def test_plans_that_no_index_mends_are_told_by_name(ward: Ward) -> None:
    word = "LIKE" if ward.dialect == "sqlite" else "ILIKE"
    scan = f"SELECT prompts.name FROM prompts WHERE prompts.description {word} '%a%'"
    sort = "SELECT prompts.name FROM prompts ORDER BY length(prompts.description)"
    found = _found(ward, _live(ward, scan, "prompts.by_description"))
    assert set(found) == {"plan-full-scan"}
    assert found["plan-full-scan"].title.startswith("prompts.by_description reads")
    assert set(_found(ward, _live(ward, sort))) in ({"plan-full-scan"}, {"plan-temporary-sort"})


def test_a_duplicate_and_an_unused_index_are_found(ward: Ward) -> None:
    ward.plant(
        "CREATE INDEX mine_again ON prompts (workspace_id, created_at) WHERE deleted_at IS NULL",
        "CREATE INDEX mine_alone ON prompts (description)",
    )
    found = _found(ward)
    assert set(found) == {"index-duplicate", "index-unused"}
    assert "mine_again" in found["index-duplicate"].commands
    assert "ix_prompts_workspace_created" in found["index-duplicate"].title
    assert "mine_alone" in found["index-unused"].commands


def test_an_index_of_another_shape_is_found(ward: Ward) -> None:
    ward.plant("DROP INDEX ix_evaluations_batch", "CREATE INDEX ix_evaluations_batch ON evaluations (name)")
    found = _found(ward)
    assert set(found) == {"index-differs"}
    ward.plant(*found["index-differs"].commands.split("\n"))
    assert _found(ward) == {}


def test_an_invalid_index_is_found(server_ward: Ward) -> None:
    server_ward.plant(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_evaluations_batch'::regclass",
    )
    found = _found(server_ward)
    assert set(found) == {"index-invalid"}
    server_ward.plant(found["index-invalid"].commands)
    assert _found(server_ward) == {}


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
    report = file_ward.report(checks=CHECKS)
    assert [one.id for one in report.findings] == ["index-dropped"]
    assert "statistics" in report.findings[0].proof
