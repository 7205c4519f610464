"""Every statement that the product issues, known without running one.

Most are module-level statements with a name; they are collected from the modules. Lists are built when first asked for,
so each is asked for once, in every sort and with every filter, with a session that notes what it is asked and answers
nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from types import ModuleType
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Executable, Insert, TextClause

from autoforge.db import ReadSession
from autoforge.db.keyset import KeysetQuery
from autoforge.db.statements import NAME
from autoforge.errors import AutoforgeError

_ROOMS = ("access", "analytics", "cache", "evaluations", "jobs", "operations", "prompts", "queue", "users", "web")
_NO_SQL = ("pages", "routes", "schemas", "doctor", "samples", "templates", "config", "assertions", "outputs", "formats")
_OF = ("prompt_id", "suite_id", "batch_id")
_KEY = UUID("019a0000-0000-7000-8000-000000000001")


@dataclass(frozen=True, slots=True)
class Known:
    """A statement of the product. A shape that the running server reported has only the ``sql`` that the driver got."""

    name: str
    statement: Executable | None
    sql: str = ""


class Noting:
    """Stands where a session is expected, notes each statement, and finds nothing."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.noted: list[Known] = []

    def _note(self, statement: Executable) -> None:
        self.noted.append(Known(_name(statement), statement))

    async def all(self, statement: Executable, parameters: Any = None) -> list[Any]:
        self._note(statement)
        return []

    async def first(self, statement: Executable, parameters: Any = None) -> None:
        self._note(statement)

    async def scalar(self, statement: Executable, parameters: Any = None) -> None:
        self._note(statement)

    async def stream(self, statement: Executable, parameters: Any = None, batch: int = 1000) -> AsyncIterator[Any]:
        self._note(statement)
        return
        yield


async def statements(dialect: str) -> list[Known]:
    """All that are known for this database, each once."""
    found = [Known(_name(one), one) for one in _of_modules(dialect) if _has_a_plan(one)]
    noting = Noting(dialect)
    for ask in _lists():
        with suppress(AutoforgeError, StopAsyncIteration):  # "there is no such prompt" is the expected answer
            await ask(cast(ReadSession, noting))
    return list({id(one.statement): one for one in [*found, *noting.noted]}.values())


def _name(statement: Executable) -> str:
    return str(statement.get_execution_options().get(NAME) or "(no name)")


def _has_a_plan(statement: Executable) -> bool:
    """An insert of given rows has none worth asking for, and only the database knows about plain SQL."""
    if isinstance(statement, Insert):
        return statement.select is not None
    return not isinstance(statement, TextClause)


def _of_modules(dialect: str) -> Iterator[Executable]:
    for module in _modules():
        for value in vars(module).values():
            yield from _executables(value, dialect)


def _executables(value: Any, dialect: str) -> Iterator[Executable]:
    if isinstance(value, Executable):
        if value.get_execution_options().get(NAME):
            yield value
    elif isinstance(value, KeysetQuery):
        yield from (value.first, value.following)
    elif isinstance(value, dict):
        other = {"sqlite": "postgresql", "postgresql": "sqlite"}[dialect]
        yield from (found for key, one in value.items() if key != other for found in _executables(one, dialect))
    elif isinstance(value, list | tuple) and len(value) < 100:
        yield from (found for one in value for found in _executables(one, dialect))


def _modules() -> Iterable[ModuleType]:
    for room in _ROOMS:
        package = importlib.import_module(f"autoforge.{room}")
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(part.endswith(_NO_SQL) for part in info.name.split(".")):
                yield importlib.import_module(info.name)


Ask = Callable[[ReadSession], Awaitable[Any]]


def _lists() -> Iterator[Ask]:
    """What builds its statements when it is asked: each list, in all its sorts and with each filter."""
    yield from _lists_of_prompts()
    yield from _lists_of_evaluations()
    yield from _lists_of_people()
    yield from _lists_of_the_rest()


def _lists_of_prompts() -> Iterator[Ask]:
    from autoforge.prompts import exporting, folder_queries, queries, template_queries

    filters: list[dict[str, Any]] = [{}, {"status": "active"}, {"status": "deleted"}, {"owner_id": _KEY}]
    listings = [
        queries.Listing(sort=sort, **given)
        for sort, given in product(("-created_at", "-updated_at", "name"), filters)
        if sort == "-created_at" or not given
    ]
    for asked in (*listings, queries.Listing(sort="name", folder="a/b"), queries.Listing(words="words")):
        yield partial(queries.page, workspace_id=_KEY, asked=asked, limit=50, after=None)
    yield partial(folder_queries.below, workspace_id=_KEY, folder="")
    page: Any = template_queries.page
    for sort, category in product(("-created_at", "-usage_count"), (None, "a")):
        yield partial(page, workspace_id=_KEY, sort=sort, category=category, limit=50, after=None)
    for wanted in (exporting.Wanted(), exporting.Wanted(folder="a")):
        yield partial(_first_of, exporting.export_records, wanted)


async def _first_of(stream: Callable[..., AsyncIterator[Any]], wanted: Any, session: ReadSession) -> Any:
    return await anext(stream(session, _KEY, wanted))


def _lists_of_evaluations() -> Iterator[Ask]:
    from autoforge.analytics import queries as analytics
    from autoforge.evaluations import queries, suite_queries

    given = (queries.Filters(), *(queries.Filters(**{name: _KEY}) for name in _OF))  # type: ignore[arg-type]
    for filters in given:
        yield partial(queries.page, workspace_id=_KEY, filters=filters)
    for sort in ("position", "outcome", "-score", "score"):
        yield partial(queries.results, evaluation_id=_KEY, asked=queries.ResultsAsked(sort=sort), limit=50)
    for sort in suite_queries.SORTS:
        yield partial(suite_queries.page, workspace_id=_KEY, limit=50, sort=sort)
    yield partial(suite_queries.cases, suite_id=_KEY, limit=50, after=None)
    yield partial(analytics.prompt_scores_shown, workspace_id=_KEY, limit=50)


def _lists_of_people() -> Iterator[Ask]:
    from autoforge.users import queries, workspace_queries

    listing = queries.Listing
    for asked in (
        listing(),
        listing(role="user"),
        listing(deleted=True),
        listing(active=False),
        listing(sort="name"),
        listing(sort="name", role="user"),
        listing(words="a"),
    ):
        yield partial(queries.page, asked=asked, limit=50, after=None)
    yield partial(workspace_queries.members, workspace_id=_KEY, words="", limit=50, after=None)


def _lists_of_the_rest() -> Iterator[Ask]:
    from autoforge.access import Actor, audit_queries
    from autoforge.jobs import queries as jobs

    actor = Actor(_KEY, "", _KEY, "", "")
    for listed in (jobs.Listing(), jobs.Listing(status="running"), jobs.Listing(system=True)):
        yield partial(jobs.page, actor=actor, asked=listed, limit=50, after=None)
    for subject, everywhere in ((None, False), (None, True), ("x", True)):
        asked = audit_queries.Asked(subject, everywhere)
        yield partial(audit_queries.page, actor=actor, asked=asked, limit=50, after=None)
