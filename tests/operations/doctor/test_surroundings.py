"""Faults of the machine, of the settings and of the files, and of what only one of the databases has."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from autoforge.cli import autoforge
from autoforge.db import clock
from autoforge.errors import BadInput, DatabaseUnavailable
from autoforge.operations.doctor import environment, preferences, tables
from autoforge.operations.doctor.finding import Severity
from autoforge.settings import CacheSettings
from tests.operations.doctor.ward import GB, HOST, ON_PURPOSE, Ward, limits


def _with(ward: Ward, **given: Any) -> Ward:
    """Other settings: those of the database begin with ``database_``, of the cache with ``cache_``."""
    settings = ward.settings
    own = {name: value for name, value in given.items() if "_" not in name or name in type(settings).model_fields}
    database = {name[9:]: value for name, value in given.items() if name.startswith("database_")}
    cache = {name[6:]: value for name, value in given.items() if name.startswith("cache_")}
    nested = {"database": settings.database.model_copy(update=database), "cache": CacheSettings(**cache)}
    return Ward(settings.model_copy(update={**own, **nested}), ward.dialect)


LOCAL: dict[str, dict[str, Any]] = {
    "sqlite-synchronous": {"database_synchronous": "NORMAL"},
    "cache-huge": {"cache_size_mb": 12 * 1024},
    "log-level-debug": {"log_level": "debug", "database_environment": "production"},
    "statement-timeout-long": {"database_statement_timeout": 3600.0},
    "body-size-huge": {"most_body_bytes": 2 * GB},
}
REACHED: dict[str, dict[str, Any]] = {
    "secret-unset": {"host": "0.0.0.0"},
    "rate-limit-off": {"requests_per_minute": 0},
    "sign-in-off": {"sign_in": False},
}
HOSTS: dict[str, dict[str, Any]] = {
    "sqlite-old": {"sqlite": (3, 40, 1)},
    "disk-space-low": {"disk_free": GB // 10},
    "disk-slow": {"sync_seconds": 0.4},
}


@pytest.mark.parametrize("faults", [LOCAL, REACHED])
def test_settings_that_hurt_are_found(file_ward: Ward, faults: dict[str, dict[str, Any]]) -> None:
    given = {name: value for fault in faults.values() for name, value in fault.items()}
    findings = _with(file_ward, **given).findings()
    assert set(findings) == set(faults)
    for finding in findings.values():
        assert "AUTOFORGE_" in finding.commands


def test_a_server_that_others_may_reach_is_fine_with_a_secret(file_ward: Ward) -> None:
    report = _with(file_ward, host="0.0.0.0", secret="s" * 40).report(checks=preferences.CHECKS)
    assert report.findings == []


def test_faults_of_the_machine_are_found(file_ward: Ward) -> None:
    given = {name: value for fault in HOSTS.values() for name, value in fault.items()}
    assert file_ward.found(host=replace(HOST, **given)) == set(HOSTS)
    for slug, fault in HOSTS.items():
        report = file_ward.report(checks=environment.CHECKS, host=replace(HOST, **fault))
        assert [one.id for one in report.findings] == [slug]


def test_what_is_worse_with_several_processes(file_ward: Ward) -> None:
    several = replace(HOST, sqlite=(3, 45, 0), processes=2)
    findings = _with(file_ward, database_mmap_mb=256).findings(host=several)
    assert set(findings) == {"sqlite-old", "sqlite-mmap"}
    assert findings["sqlite-old"].severity is Severity.CRITICAL


def _readable(ward: Ward) -> None:
    (ward.settings.data / "secret").chmod(0o644)


def _open_to_read(ward: Ward) -> None:
    ward.path.parent.chmod(0o755)
    ward.path.chmod(0o644)


def _writable(ward: Ward) -> None:
    ward.path.chmod(0o666)


def _fragmented(ward: Ward) -> None:
    ward.plant("CREATE TABLE junk (x)", "INSERT INTO junk VALUES (zeroblob(20000000))", "DROP TABLE junk")


def _long_log(ward: Ward) -> None:
    log = ward.path.with_name(ward.path.name + "-wal")
    log.touch()
    os.truncate(log, 300 * 1024 * 1024)  # sparse


def _journal(ward: Ward) -> None:
    ward.plant("PRAGMA journal_mode=DELETE")


def _corrupt(ward: Ward) -> None:
    """An index loses an entry: its page is overwritten by that of another."""
    from autoforge.db.driver import dbapi

    connection = dbapi.connect(ward.path)
    page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'ix_templates_own_usage'").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with ward.path.open("r+b") as file:
        file.seek((page - 1) * size + 3)
        count = int.from_bytes(file.read(2))
        file.seek((page - 1) * size + 3)
        file.write((count - 1).to_bytes(2))


def _search_gap(ward: Ward) -> None:
    ward.plant("DELETE FROM prompt_search WHERE rowid = (SELECT min(seq) FROM prompts)")


def _search_orphan(ward: Ward) -> None:
    ward.plant("INSERT INTO prompt_search (rowid, document) VALUES (99999, 'nobody')")


def _unguarded(ward: Ward) -> None:
    ward.plant("DROP TRIGGER audit_log_keeps")


FILES: dict[str, Callable[[Ward], None]] = {
    "secret-readable": _readable,
    "data-readable": _open_to_read,
    "data-writable": _writable,
    "file-fragmented": _fragmented,
    "search-index-gap": _search_gap,
    "search-index-orphans": _search_orphan,
    "audit-unguarded": _unguarded,
    "wal-huge": _long_log,  # at last: whoever writes afterwards writes the log back
}


def test_faults_of_the_files_are_found(file_ward: Ward) -> None:
    for plant in FILES.values():
        plant(file_ward)
    assert file_ward.found() == set(FILES)


def test_a_damaged_file_and_one_without_a_log_are_found(file_ward: Ward) -> None:
    _journal(file_ward)
    _corrupt(file_ward)
    assert file_ward.found() == {"sqlite-journal-mode", "database-corrupt"}


def test_outgrown_statistics_are_found(file_ward: Ward) -> None:
    file_ward.plant("ANALYZE")
    asked: dict[str, Any] = {"checks": tables.CHECKS, "limits": limits(unanalysed_rows=100)}
    assert file_ward.report(**asked).findings == []
    file_ward.plant("UPDATE sqlite_stat1 SET stat = '3 1 1' WHERE tbl = 'test_results'")
    assert [one.id for one in file_ward.report(**asked).findings] == ["statistics-stale"]


def test_a_disk_that_fills_is_found(file_ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_LEAST_GROWTH", 1)
    small = replace(HOST, disk_total=GB, disk_free=500_000)
    report = file_ward.report(checks=tables.CHECKS, host=small, limits=limits(large_table=5))
    assert [one.id for one in report.findings] == ["disk-fills"]


def test_faults_of_postgresql(server_ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    ward = server_ward
    monkeypatch.setattr(preferences, "_OTHER_HOSTS", text("SELECT 2"))
    ward.plant(
        "DELETE FROM prompt_search WHERE seq = (SELECT min(seq) FROM prompts)",
        "ALTER TABLE audit_log DISABLE TRIGGER audit_log_keeps",
        "CREATE TABLE filler AS SELECT g AS n FROM generate_series(1, 3000) AS g",
        "ALTER TABLE filler SET (autovacuum_enabled = off)",
        "DELETE FROM filler WHERE n > 500",
        "SELECT pg_stat_force_next_flush()",
    )
    wide = _with(ward, database_pool_size=500)
    found = wide.findings(limits=limits(dead_rows=1000, unanalysed_rows=1000, analysed_within=timedelta(0)))
    expected = {
        "cache-url-missing",
        "search-index-gap",
        "audit-unguarded",
        "table-bloated",
        "pool-exceeds-server",
        "statistics-stale",
    }
    assert set(found) - {"schema-drift"} == expected
    assert "VACUUM (ANALYZE) filler" in found["table-bloated"].commands


def test_a_server_that_does_not_sync_is_found(server_ward: Ward) -> None:
    report = server_ward.report(checks=[preferences.postgresql], ignored=())
    assert {one.id for one in report.findings} <= ON_PURPOSE


def test_clocks_that_are_apart_are_found(server_ward: Ward) -> None:
    with clock.running_on(lambda: clock._system() + timedelta(minutes=3)):
        report = server_ward.report(checks=environment.CHECKS)
    assert [one.id for one in report.findings] == ["clock-skew"]


def test_a_check_that_runs_out_of_time_says_so(file_ward: Ward) -> None:
    async def endless(patient: Any) -> Any:
        patient.progress = "half of it"
        await asyncio.sleep(3600)
        yield

    report = file_ward.report(checks=[endless], limits=limits(seconds=0.01))
    assert report.healthy
    assert "half of it" in report.unseen[0].reason


def test_the_command_reviews_a_data_directory(file_ward: Ward, tmp_path: Path) -> None:
    file_ward.plant("UPDATE suites SET case_count = 99 WHERE id = (SELECT id FROM suites LIMIT 1)")
    runner, ours = CliRunner(), ["doctor", "--data", str(file_ward.settings.data)]
    said = runner.invoke(autoforge, [*ours, "--json"])
    told = json.loads(said.output)
    assert said.exit_code == 1
    assert "total-cases" in {one["id"] for one in told["findings"]}
    accepted = [part for one in ("disk-slow", "disk-space-low") for part in ("--ignore", one)]
    shown = runner.invoke(autoforge, [*ours, *accepted])
    assert shown.exit_code == 1
    assert "## 1. Medium: A stored total is stale" in shown.output
    assert "UPDATE suites SET case_count" in shown.output
    calm = runner.invoke(autoforge, [*ours, *accepted, "--ignore", "total-cases"])
    assert (calm.exit_code, "nothing found" in calm.output) == (0, True)


def test_a_finding_that_there_is_not_cannot_be_ignored(tmp_path: Path) -> None:
    said = CliRunner().invoke(autoforge, ["doctor", "--data", str(tmp_path), "--ignore", "disc-slow"])
    assert isinstance(said.exception, BadInput)
    assert "the nearest name is disk-slow" in said.exception.detail


def test_what_cannot_be_examined_is_an_error(tmp_path: Path) -> None:
    runner = CliRunner()
    nothing = runner.invoke(autoforge, ["doctor", "--data", str(tmp_path)])
    assert isinstance(nothing.exception, DatabaseUnavailable)
    wrong = runner.invoke(autoforge, ["doctor", "--database-url", "mysql://x/y"])
    assert isinstance(wrong.exception, BadInput)
    silent = runner.invoke(autoforge, ["doctor", "--database-url", "postgresql://nobody@127.0.0.1:1/none"])
    assert isinstance(silent.exception, DatabaseUnavailable)
    assert silent.exception.exit_code == 3
    assert list(tmp_path.iterdir()) == []
