"""Each fault planted in the rows is found, on both databases, and nothing else is; a healthy system has no findings."""

from __future__ import annotations

from autoforge.operations.doctor import indexes, migrations
from tests.operations.doctor.ward import Ward

_ZERO = {"sqlite": "zeroblob(32)", "postgresql": "decode(repeat('00', 32), 'hex')"}
_KEY = {"sqlite": "X'019a0000000070008000{:012x}'", "postgresql": "'019a0000-0000-7000-8000-{:012x}'"}
_NOW = {"sqlite": "1760000000000000", "postgresql": "'2025-10-09T00:00:00Z'"}
_JOB = "INSERT INTO jobs (id, task, status, run_after, turn_at, created_at, {more}) VALUES ({key}, 'users.import', "
_FIRST = "(SELECT id FROM prompts ORDER BY seq LIMIT 1)"
_SECOND = "(SELECT id FROM prompts ORDER BY seq LIMIT 1 OFFSET 1)"

FAULTS = {
    "head-foreign-version": "UPDATE prompt_heads SET version_id = (SELECT id FROM prompt_versions WHERE prompt_id ="
    f" {_SECOND} LIMIT 1) WHERE prompt_id = {_FIRST} AND kind = 'label'",
    "head-missing": f"DELETE FROM prompt_heads WHERE prompt_id = {_FIRST} AND kind = 'branch' AND name = 'main'",
    "version-content-changed": f"UPDATE prompt_versions SET content = '{{}}' WHERE prompt_id = {_FIRST} AND number = 1",
    "case-content-changed": "UPDATE test_cases SET content = '{}' WHERE id = (SELECT id FROM test_cases LIMIT 1)",
    "lineage-foreign-parent": "UPDATE prompt_lineage SET parent_id = (SELECT id FROM prompt_versions WHERE prompt_id = "
    f"{_SECOND} LIMIT 1) WHERE version_id = (SELECT id FROM prompt_versions WHERE prompt_id = {_FIRST} AND number = 2)",
    "lineage-cycle": "INSERT INTO prompt_lineage (version_id, position, parent_id) SELECT parent_id, 9, version_id FROM"
    f" prompt_lineage WHERE version_id = (SELECT id FROM prompt_versions WHERE prompt_id = {_SECOND} AND number = 2)",
    "evaluation-foreign": "UPDATE evaluations SET version_id = (SELECT v.id FROM prompt_versions v WHERE v.prompt_id <>"
    " evaluations.prompt_id LIMIT 1) WHERE id = (SELECT id FROM evaluations WHERE prompt_id IS NOT NULL LIMIT 1)",
    "total-versions": f"UPDATE prompts SET latest_number = latest_number + 5 WHERE id = {_FIRST}",
    "total-cases": "UPDATE suites SET case_count = case_count + 1 WHERE id = (SELECT id FROM suites LIMIT 1)",
    "total-evaluation": "UPDATE evaluations SET passed = passed + 1 WHERE id = (SELECT id FROM evaluations LIMIT 1)",
    "total-prompt-score": "UPDATE prompt_scores SET average = average / 2 WHERE prompt_id IN"
    " (SELECT prompt_id FROM prompt_scores LIMIT 1)",
    "total-folder": f"UPDATE prompts SET folder = 'elsewhere/' WHERE id = {_FIRST}",
    "audit-chain-broken": "INSERT INTO audit_log (seq, at, action, subject_kind, hash)"
    " VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM audit_log), {now}, 'forged', 'user', {zero})",
    "foreign-key-broken": "INSERT INTO import_faults (id, job_id, line, message) VALUES ({key}, {key}, 1, 'lost')",
    "job-dead": _JOB + "'dead', {now}, {now}, {now}, {now})",
    "job-lease-expired": _JOB + "'running', {now}, {now}, {now}, {now})",
    "job-waiting": _JOB + "'pending', {now}, {now}, {now}, NULL)",
    "migration-behind": "UPDATE alembic_version SET version_num = '0003'",
    "migration-ahead": "UPDATE alembic_version SET version_num = '9999'",
    "migration-unknown": "UPDATE alembic_version SET version_num = 'mine'",
    "migration-none": "DELETE FROM alembic_version",
    "schema-drift": "ALTER TABLE prompts ADD COLUMN extra TEXT",
}
_MORE = {"job-dead": "ended_at", "job-lease-expired": "lease_until", "job-waiting": "worker"}


def test_each_fault_in_the_rows_is_found_and_nothing_else(ward: Ward) -> None:
    """All at once: each has a finding of its own, and none brings another along."""
    expected = {slug for slug in FAULTS if not slug.startswith("migration-")}
    for slug in sorted(expected):
        _plant(ward, slug)
    findings = ward.findings()
    assert set(findings) == expected
    for finding in findings.values():
        assert finding.evidence
        assert finding.remedy


def test_each_wrong_revision_is_found(ward: Ward) -> None:
    for slug in (one for one in FAULTS if one.startswith("migration-")):
        ward.plant("DELETE FROM alembic_version", "INSERT INTO alembic_version VALUES ('0001')")
        _plant(ward, slug)
        assert {one.id for one in ward.report(checks=(*migrations.CHECKS, *indexes.CHECKS)).findings} == {slug}


def _plant(ward: Ward, slug: str) -> None:
    number = list(FAULTS).index(slug)
    words = {"more": _MORE.get(slug, ""), "now": _NOW[ward.dialect], "zero": _ZERO[ward.dialect]}
    statement = FAULTS[slug].replace("{key}", _KEY[ward.dialect].format(number))
    for word, text in words.items():
        statement = statement.replace(f"{{{word}}}", text)
    ward.plant(statement, "UPDATE audit_head SET seq = seq + 1" if "audit_log" in statement else "SELECT 1")


def test_a_healthy_system_has_no_findings(ward: Ward) -> None:
    report = ward.report()
    assert report.findings == []
    assert report.unseen == []
    assert report.checks > 25
