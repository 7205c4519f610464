"""An installation that is healthy until a test plants a fault in it, and the doctor's findings about it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoforge.db.engines import file_of, parse_url
from autoforge.operations.doctor.finding import Finding, Report
from autoforge.operations.doctor.host import Host
from autoforge.operations.doctor.patient import Limits, Patient, opened
from autoforge.operations.doctor.review import Check, review
from autoforge.settings import Settings

GB = 1024**3
HOST = Host(sqlite=(3, 53, 4), disk_total=100 * GB, disk_free=60 * GB, memory=16 * GB, sync_seconds=0.001)
ON_PURPOSE = {"postgresql-fsync", "postgresql-full-page-writes", "postgresql-synchronous-commit"}
"""The PostgreSQL of the tests forgets everything by design, which the doctor rightly finds."""


@dataclass(slots=True)
class Ward:
    """``settings`` lead to a copy of a healthy installation with the sample data, for one test alone."""

    settings: Settings
    dialect: str

    @property
    def path(self) -> Path:
        return file_of(parse_url(self.settings.database_url))

    def plant(self, *statements: str) -> None:
        """Runs SQL as somebody would who switches foreign keys off first; on PostgreSQL triggers too."""
        if self.dialect == "sqlite":
            self._on_sqlite(statements)
        else:
            asyncio.run(self._on_postgresql(statements))

    def _on_sqlite(self, statements: Sequence[str]) -> None:
        from autoforge.db.driver import dbapi

        connection = dbapi.connect(self.path, isolation_level=None)
        for statement in statements:
            connection.execute(statement).fetchall()
        connection.close()

    async def _on_postgresql(self, statements: Sequence[str]) -> None:
        import asyncpg

        connection = await asyncpg.connect(self.settings.database_url)
        await connection.execute("SET session_replication_role = replica")
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    def report(
        self, *, checks: Sequence[Check] | None = None, ignored: Collection[str] = ON_PURPOSE, **about: Any
    ) -> Report:
        """A whole review; ``about`` are fields of the patient (host, traffic, limits)."""
        return asyncio.run(self.visit(checks, ignored, **about))

    async def visit(
        self, checks: Sequence[Check] | None = None, ignored: Collection[str] = ON_PURPOSE, **about: Any
    ) -> Report:
        """The same where an event loop runs already."""
        async with opened(self.settings) as (database, url):
            patient = Patient(self.settings, database, url, **{"host": HOST, **about})
            return await review(patient, ignored=ignored, checks=checks)

    def findings(self, **about: Any) -> dict[str, Finding]:
        """By id; everything was looked at."""
        report = self.report(**about)
        assert report.unseen == []
        assert len({one.id for one in report.findings}) == len(report.findings)
        return {one.id: one for one in report.findings}

    def found(self, **about: Any) -> set[str]:
        return set(self.findings(**about))


def limits(**given: Any) -> Limits:
    return Limits(**given)
