"""After a full run, every statement that the product issued in it is explained on full databases, of both kinds.

One that goes through a growing table from end to end, or sorts one, fails the run, unless ``tests/db/allowed_plans.py``
says why it may; so does one that cannot be explained. Tests may run in any order and in any number of processes: this
is done once, by the process that the run was started in, when all others have ended. A run of some tests only is left
alone, unless it asks for it: ``script/test tests/users --plans``.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests import issued, servers
from tests.issued import Issued

_MANY = re.compile(r"(\?|\$\d+(?:::\w+)?)(?:, (?:\?|\$\d+(?:::\w+)?))+")
DIALECTS = ("sqlite", "postgresql")
FEWEST = 250
"""A full run issues more distinct statements than this on each database; if not, nobody listened."""


def of_each_kind(statements: Iterable[Issued]) -> list[Issued]:
    """One of each name and SQL; lists of different lengths make no different statement."""
    kinds = {(one.dialect, one.name, _MANY.sub("...", one.sql)): one for one in statements}
    return sorted(kinds.values(), key=lambda one: (one.dialect, one.name, one.sql))


class SuitePlans:
    """Lives in the process that a run was started in."""

    def __init__(self, config: pytest.Config) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="autoforge-statements-"))
        issued.begin(self._folder)
        self._told: list[str] = []
        self._wrong: list[str] = []
        self._full = _is_full(config)
        self._wanted = self._full or config.getoption("plans")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if not self._wanted or exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return
        statements = of_each_kind(issued.heard(self._folder))
        for dialect in DIALECTS:
            self._explain(dialect, [one for one in statements if one.dialect == dialect])
        if self._wrong:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _explain(self, dialect: str, statements: list[Issued]) -> None:
        from tests.plan_check import wrong_plans

        try:
            with full_database(dialect) as url:
                wrong = asyncio.run(wrong_plans(url, statements))
        except servers.Missing as missing:
            self._told.append(f"{dialect}: not explained: {missing}")
            return
        if self._full and len(statements) < FEWEST:
            wrong.append(f"{dialect}: only {len(statements)} statements were heard, so the listening is broken")
        self._told.append(f"{dialect}: {len(statements)} statements explained, {len(wrong)} not as they should be")
        self._wrong += wrong

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._told:
            terminalreporter.section("plans of all statements", red=bool(self._wrong), green=not self._wrong)
            for line in [*self._told, *self._wrong]:
                terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _is_full(config: pytest.Config) -> bool:
    option = config.option
    chosen = option.keyword or option.markexpr or option.lf or option.collectonly or option.deselect or option.ignore
    return not chosen and sorted(config.args) in (["."], sorted(config.getini("testpaths")))


@contextmanager
def full_database(dialect: str) -> Iterator[str]:
    """The URL of a migrated database with thousands of rows in every table; servers.Missing where there is no server.

    PostgreSQL is AUTOFORGE_TEST_POSTGRES or one of our own.
    """
    from autoforge.db.migrate import upgrade
    from tests.plan_check import fill

    with _fresh(dialect) as url:
        upgrade(url)
        asyncio.run(fill(url))
        yield url


@contextmanager
def _fresh(dialect: str) -> Iterator[str]:
    if dialect == "sqlite":
        with tempfile.TemporaryDirectory(prefix="autoforge-plans-") as folder:
            yield f"sqlite:///{folder}/full.db"
    elif given := os.environ.get("AUTOFORGE_TEST_POSTGRES"):
        name = f"autoforge_plans_{uuid4().hex[:12]}"
        servers.create_database(given, name, "template0")
        try:
            yield servers.naming(given, name)
        finally:
            servers.on_postgres(given, f"DROP DATABASE {name} WITH (FORCE)")
    else:
        with servers.postgres() as url:
            yield url
