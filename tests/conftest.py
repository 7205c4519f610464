"""What tests may ask for: real data, real databases, a real browser, the product itself as a running server.

Nothing here is started, and no room of the product imported, before a test asks for it. Servers start once per run.
What the machine lacks is skipped with its reason, and the last lines of the run say so in one place.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from tests import servers
from tests.suite_plans import SuitePlans

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

    from autoforge.db import Database

# On a busy machine an example may take long to make and to try: that is no fault of what is tested.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
CHROMIUM += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]

LONG = (
    "tests/web/test_browser.py", "tests/serving/", "tests/access/test_doors.py", "tests/cache/test_processes.py",
    "tests/web/test_contract", "tests/prompts/test_round_trips.py", "tests/web/test_schemathesis.py",
    "tests/web/test_templates.py", "tests/web/test_everybody.py", "tests/web/test_remembered.py", "tests/deploy/",
    "tests/queue/test_durability.py", "tests/jobs/test_served.py", "tests/test_scripts.py", "tests/operations/",
    "tests/users/test_import_durability.py", "tests/prompts/test_cli.py", "tests/evaluations/test_cli.py",
)  # fmt: skip
"""Where files begin that take a quarter of a minute or more, whatever number of tests they have."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--plans", action="store_true", help="explain what this run issues, as is done after a full one")


def pytest_configure(config: pytest.Config) -> None:
    """The settings of whoever runs the tests must not reach them: a database named there is no place to test on."""
    for name in [name for name in os.environ if name.startswith("AUTOFORGE_") and "_TEST_" not in name]:
        del os.environ[name]
    if not hasattr(config, "workerinput"):  # not in the workers of pytest-xdist
        config.pluginmanager.register(SuitePlans(config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that two processes end at about the same time (see script/test)."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What hostile tests make the product log has lone surrogates, which cannot travel between test processes."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True)
def heard_logs() -> None:
    """A test that starts the product sets how much is logged; the next one starts from what it was before."""
    ours = logging.getLogger("autoforge")
    ours.propagate = True
    ours.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public data sets that is not part of the repository."""
    beside = servers.ROOT.parent / "shared" / "data"
    folder = Path(os.environ.get("AUTOFORGE_TEST_DATA") or beside)
    if not folder.is_dir():
        pytest.skip("no real data: AUTOFORGE_TEST_DATA names no folder, and there is no ../shared/data")
    return folder


def _server(variable: str, start: AbstractContextManager[str]) -> Iterator[str]:
    if url := os.environ.get(variable):
        yield url
        return
    try:
        with start as url:
            yield url
    except servers.Missing as missing:
        pytest.skip(f"{missing}, and {variable} names none")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server where the tests may create databases: AUTOFORGE_TEST_POSTGRES, or one of our own."""
    yield from _server("AUTOFORGE_TEST_POSTGRES", servers.postgres())


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis server for the tests alone: AUTOFORGE_TEST_REDIS, or one of our own."""
    yield from _server("AUTOFORGE_TEST_REDIS", servers.redis())


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[str]:
    """The name of a migrated, empty database to clone; the migrations run once per session."""
    from autoforge.db.migrate import upgrade

    name = f"autoforge_template_{uuid4().hex[:12]}"
    servers.create_database(postgres_url, name, "template0")
    try:
        upgrade(servers.naming(postgres_url, name))
        yield name
    finally:
        servers.on_postgres(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database file to copy; the migrations run once per session."""
    from autoforge.db.migrate import upgrade

    path = tmp_path_factory.mktemp("template") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite database."""
    path = tmp_path / "autoforge.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_database_url(postgres_url: str, postgres_template: str) -> Iterator[str]:
    """A fresh, migrated PostgreSQL database, dropped after the test."""
    name = f"autoforge_test_{uuid4().hex[:12]}"
    servers.create_database(postgres_url, name, postgres_template)
    yield servers.naming(postgres_url, name)
    servers.on_postgres(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Each test that asks for it, directly or through ``database``, runs once per database."""
    name: str = request.param
    return name


@pytest.fixture
def database_url(dialect: str, request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database of the dialect."""
    url: str = request.getfixturevalue("sqlite_url" if dialect == "sqlite" else "postgres_database_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open :class:`Database` on a fresh, migrated database of each dialect."""
    from autoforge.db import Database
    from autoforge.settings import DatabaseSettings

    async with await Database.open(DatabaseSettings(url=database_url)) as opened:
        yield opened


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Served]:
    """``autoforge serve`` as a user starts it: SQLite in a new data directory, with the samples; one per module.

    The owner is signed in by the link that it printed; ``page`` is the owner's browser.
    """
    with servers.serve(tmp_path_factory.mktemp("data"), sign_in=True) as running:
        yield servers.signed_in(running)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Headless Chromium of the machine; the one that Playwright would fetch is never asked for."""
    program = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if program is None:
        pytest.skip("no Chromium on this machine (Debian, Ubuntu: apt-get install chromium)")
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        yield launched
        await launched.close()


@pytest.fixture
async def page(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A fresh window, signed in to ``served`` where a test asks for that.

    Afterwards: no request may have left the machine, and no script may have failed.
    """
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    if "served" in request.fixturenames:
        await context.add_cookies(request.getfixturevalue("served").cookies)
    window = await context.new_page()
    outside: list[str] = []
    failures: list[str] = []
    context.on("request", lambda request: None if _is_local(request.url) else outside.append(request.url))
    window.on("pageerror", lambda error: failures.append(str(error)))
    window.on("console", lambda message: failures.extend(_complaint(message.type, message.text)))
    yield window
    await context.close()
    assert not outside, f"requests left the machine: {outside}"
    assert not failures, f"the browser complained: {failures}"


def _is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("http", "https", "ws", "wss") or parts.hostname in ("127.0.0.1", "localhost", "::1")


def _complaint(kind: str, text: str) -> list[str]:
    """Errors count, except that a page answered 4xx or 5xx: tests of such pages look at the answer themselves."""
    return [text] if kind == "error" and not text.startswith("Failed to load resource") else []


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says in one place what could not be run and why."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped if report.longrepr)
    if reasons:
        terminalreporter.section("could not be run")
        for reason, count in reasons.most_common():
            terminalreporter.write_line(f"{count} {'test' if count == 1 else 'tests'}: {reason}")
