"""Remedies name what exists: the database that was examined, commands, requests; and they heal."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy import make_url

from autoforge.app import create
from autoforge.operations.doctor import environment, indexes, migrations, remedies, tables, totals, triggers
from autoforge.operations.doctor.finding import Finding
from autoforge.operations.doctor.patient import Patient, opened
from autoforge.operations.doctor.review import review
from autoforge.settings import DatabaseSettings, Settings
from tests.operations.doctor.test_rows import FAULTS, _plant
from tests.operations.doctor.typed import commands_of, parsed
from tests.operations.doctor.ward import HOST, Ward, limits
from tests.servers import ROOT

_REQUEST = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) (/api/v1/[^\s`'\"]+)")


def _check_address(ward: Ward, finding: Finding) -> None:
    for line in commands_of(finding.commands):
        told = parsed(line)[1]
        if ward.dialect == "sqlite":
            assert told["data"] == ward.settings.data
            assert told["database_url"] is None
        else:
            examined = make_url(ward.settings.database_url)
            assert make_url(told["database_url"]).database == examined.database


def test_every_command_is_there_and_leads_to_what_was_examined(ward: Ward) -> None:
    for slug in FAULTS:
        if not slug.startswith("migration-"):
            _plant(ward, slug)
    typed = 0
    for finding in ward.report().findings:
        _check_address(ward, finding)
        typed += len(commands_of(finding.commands))
    assert typed >= 8
    for slug in ("migration-none", "migration-behind"):
        ward.plant("DELETE FROM alembic_version", "INSERT INTO alembic_version VALUES ('0001')")
        _plant(ward, slug)
        (finding,) = ward.report(checks=migrations.CHECKS).findings
        assert parsed(finding.commands)[0] == "autoforge db upgrade"
        _check_address(ward, finding)


def test_every_request_is_in_the_openapi_document() -> None:
    paths = create(Settings()).openapi()["paths"]
    there = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    folder = ROOT / "autoforge" / "operations" / "doctor"
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    told = set(_REQUEST.findall(source))
    assert len(told) >= 2
    assert told <= there


def test_an_address_is_told_without_its_password(tmp_path: Path) -> None:
    told = _line(tmp_path, "postgresql://ann:hidden1@db.example/forge?sslmode=require&password=hidden2")
    assert "hidden" not in told
    assert told.endswith(" --database-url 'postgresql://ann@db.example/forge?sslmode=require'")


def test_a_file_elsewhere_is_told_by_its_whole_path(tmp_path: Path) -> None:
    told = parsed(_line(tmp_path / "a b", "sqlite:///elsewhere.db"))[1]
    assert told["data"] == tmp_path / "a b"
    assert told["database_url"] == f"sqlite:///{Path.cwd()}/elsewhere.db"


def _line(data: Path, url: str) -> str:
    settings = Settings(data=data, database=DatabaseSettings(url=url))

    class Nothing:
        dialect = make_url(url).get_backend_name()

    return remedies.command(Patient(settings, Nothing(), make_url(url), HOST), "db check")  # type: ignore[arg-type]


def test_paths_are_quoted(file_ward: Ward, tmp_path: Path) -> None:
    folder = tmp_path / "my data" / "x; y #1? 50%20"
    shutil.copytree(file_ward.settings.data, folder)
    ward = Ward(Settings(data=folder), "sqlite")
    (folder / "secret").chmod(0o644)
    folder.chmod(0o777)
    ward.plant("CREATE TABLE junk (x)", "INSERT INTO junk VALUES (zeroblob(20000000))", "DROP TABLE junk")
    ward.plant("DROP INDEX ix_users_created")  # which is tried out on a copy
    report = ward.report(checks=[environment.permissions, tables.free_pages, indexes.missing])
    assert report.unseen == []
    lines = [line for one in report.findings if one.id != "index-dropped" for line in one.commands.splitlines()]
    assert {tuple(shlex.split(line)) for line in lines} >= {
        ("chmod", "600", os.fspath(folder / "secret")),
        ("chmod", "o-w", os.fspath(folder)),
        ("sqlite3", os.fspath(folder / "autoforge.db"), "VACUUM"),
    }


FOREIGN = {
    "sqlite": "CREATE TRIGGER evil AFTER DELETE ON prompts BEGIN DELETE FROM prompt_heads; END",
    "postgresql": "CREATE TRIGGER evil AFTER DELETE ON prompts EXECUTE FUNCTION audit_log_moves_head()",
}
GUARD = {
    "sqlite": ["DROP TRIGGER audit_log_stays", "DROP TRIGGER audit_log_keeps",
               "CREATE TRIGGER audit_log_keeps BEFORE UPDATE ON audit_log BEGIN SELECT 1; END"],
    "postgresql": ["DROP FUNCTION audit_log_refuses() CASCADE",
                   "ALTER TABLE audit_log DISABLE TRIGGER audit_log_moves_head"],
}  # fmt: skip
SCHEMA = (migrations.drift, *triggers.CHECKS, indexes.different, indexes.superfluous, totals.folders)


def test_what_was_changed_in_the_schema_is_found_and_healed(ward: Ward) -> None:
    ward.plant(
        FOREIGN[ward.dialect],
        *GUARD[ward.dialect],
        "DROP INDEX ix_users_created",
        "CREATE INDEX ix_users_created ON users (created_at DESC, id) WHERE deleted_at IS NULL",
        'CREATE UNIQUE INDEX "Mine" ON prompts (workspace_id, folder, owner_id, status, title, description, name)',
        "UPDATE prompts SET folder = 'elsewhere/'",
    )
    expected = {"trigger-unexpected", "audit-unguarded", "index-differs", "index-unexpected", "total-folder"}
    found = ward.report(checks=SCHEMA)
    assert found.unseen == []
    assert {one.id for one in found.findings} == expected
    ward.plant(*_sql(one for one in found.findings if one.id != "trigger-unexpected"))
    (left,) = ward.report(checks=SCHEMA).findings
    assert "evil" in left.evidence[0]
    ward.plant(*_sql([left]))
    assert ward.report(checks=SCHEMA).findings == []


def test_a_unique_index_on_an_expression_is_found(ward: Ward) -> None:
    ward.plant("CREATE UNIQUE INDEX my_names ON suites (lower(name), workspace_id DESC)")
    report = ward.report(checks=SCHEMA)
    assert report.unseen == []
    (finding,) = report.findings
    assert finding.id == "index-unexpected"
    assert "unique (lower name, workspace_id DESC)" in finding.evidence[0]


def test_a_unique_index_that_can_refuse_nothing_only_costs(file_ward: Ward) -> None:
    file_ward.plant("CREATE UNIQUE INDEX my_ids ON suites (id, description)")
    report = file_ward.report(checks=SCHEMA, limits=limits(index_uptime=timedelta(0)))
    assert [one.id for one in report.findings] == ["index-unused"]


def test_a_narrower_unique_index_is_no_duplicate_of_a_wider_one(ward: Ward) -> None:
    ward.plant(
        "CREATE UNIQUE INDEX wide ON suites (description, id)", "CREATE UNIQUE INDEX narrow ON suites (description)"
    )
    found = {one.id: one for one in ward.report(checks=SCHEMA).findings}
    assert "narrow" in found["index-unexpected"].title


def _sql(findings: Iterable[Finding]) -> list[str]:
    """The statements of the remedies, without the commands for a shell."""
    texts = [one.commands.split("\n") for one in findings]
    return [line for lines in texts for line in _statements([one for one in lines if not commands_of(one)])]


def _statements(lines: Sequence[str]) -> Iterator[str]:
    """Lines up to one that ends in a semicolon are one statement."""
    waiting: list[str] = []
    for line in lines:
        waiting.append(line)
        if line.endswith(";"):
            yield "\n".join(waiting)
            waiting = []
    assert not waiting


def test_tables_that_are_missing_do_not_hide_the_rows_of_the_others(file_ward: Ward) -> None:
    file_ward.plant("DROP TABLE service_levels", "UPDATE alembic_version SET version_num = '0004'")

    async def look() -> dict[str, int]:
        async with opened(file_ward.settings) as (database, url):
            patient = Patient(file_ward.settings, database, url, HOST)
            await review(patient, checks=[tables.sizes])
            return patient.rows

    rows = asyncio.run(look())
    assert rows["prompts"] > 0
    assert "service_levels" not in rows
