"""Brings a database's schema to the newest revision, and says how far it is.

Several processes may start at once: PostgreSQL holds an advisory lock for the length of the migration, SQLite the
write lock (one immediate transaction), so that the second one finds nothing left to do. Every migration gives up
after a short wait for a table lock instead of queueing in front of the whole service.

To ask how far it is takes neither: that reads, and writes nothing.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError, SAWarning
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from autoforge.db import revision as revisions
from autoforge.db.driver import dbapi
from autoforge.db.engines import file_of, parse_url, read_only_uri
from autoforge.db.faults import translated
from autoforge.db.models import Base
from autoforge.db.private import make_file
from autoforge.db.turns import one_turn
from autoforge.errors import Conflict, DatabaseUnavailable, NotFound

LOCK = 0x4155_544F_464F_5247  # any constant that is ours: the letters AUTOFORG

_PATIENCE = 30.0  # seconds for other processes' writes
_NO_ENTRY = ("28", "3D", "42501")  # PostgreSQL: wrong user or password, no such database, no right to it


def _configuration(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str | None:
    return ScriptDirectory.from_config(_configuration()).get_current_head()


def remedy(at: str | None) -> str:
    """One sentence or two for a database at revision ``at``, which is not the newest: what is wrong, and what to do."""
    newest = revisions.newest()
    if at is None:
        return "The database was never migrated: run `autoforge db upgrade`."
    if at in revisions.known():
        return f"The database is at revision {at}, the newest is {newest}: run `autoforge db upgrade`."
    strange = f"The database is at revision {at}, which this version does not know (its newest is {newest})."
    if at.isdigit() and at > newest:
        return f"{strange} A newer version of the product migrated it: run that one, or restore a backup from before."
    return f"{strange} No version has this number: put the revision that the tables are at back into alembic_version."


@contextmanager
def _understood() -> Iterator[None]:
    """What a driver or Alembic says of the database as an error of ours; a fault of a migration stays what it is."""
    try:
        yield
    except DBAPIError as error:
        if known := translated(error):
            raise known from error
        state = str(getattr(error.orig, "sqlstate", None))
        if isinstance(error, OperationalError) or state.startswith(_NO_ENTRY):
            raise DatabaseUnavailable(f"the database cannot be read or migrated: {error.orig}") from error
        raise
    except OSError as error:
        raise DatabaseUnavailable(f"the database does not answer: {error}") from error
    except CommandError as error:
        raise Conflict(f"The database cannot be migrated: {error}.") from error


def _sqlite_engine(file: str, **options: Any) -> Engine:
    return create_engine(
        "sqlite://",
        module=dbapi.dbapi2,  # whose errors SQLAlchemy shall know
        creator=lambda: dbapi.connect(file, isolation_level=None, **options),
        poolclass=NullPool,
    )


def _on_sqlite(path: Path, work: Callable[[Connection], Any]) -> Any:
    """One immediate transaction: SQLAlchemy's own BEGIN would come too late to keep a second process out."""
    make_file(path)
    engine = _sqlite_engine(str(path))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.connect() as plain:
            plain.exec_driver_sql(f"PRAGMA busy_timeout={_PATIENCE * 1000:.0f}")
            plain.exec_driver_sql("PRAGMA foreign_keys=OFF")  # tables are rebuilt in batch mode
            plain.rollback()
            with one_turn(path, _PATIENCE), plain.begin():
                return work(plain)
    finally:
        engine.dispose()


def _reading_sqlite(path: Path, work: Callable[[Connection], Any]) -> Any:
    if not path.is_file():
        raise NotFound(f"There is no database at {path}; `autoforge db upgrade` makes it.")
    engine = _sqlite_engine(read_only_uri(path), uri=True)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))  # one snapshot for all
    try:
        with engine.connect() as plain:
            return work(plain)
    finally:
        engine.dispose()


async def _on_postgresql(url: str, first: tuple[str, ...], work: Callable[[Connection], Any]) -> Any:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            for statement in first:
                await connection.execute(text(statement))
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


_READING = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",)
_MIGRATING = ("SET LOCAL lock_timeout = '5s'", f"SELECT pg_advisory_xact_lock({LOCK})")


def _run(url: str, work: Callable[[Connection], Any], *, reading: bool = False) -> Any:
    parsed = parse_url(url)
    with _understood():
        if parsed.get_backend_name() == "sqlite":
            return (_reading_sqlite if reading else _on_sqlite)(file_of(parsed), work)
        asynchronous = parsed.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
        return asyncio.run(_on_postgresql(asynchronous, _READING if reading else _MIGRATING, work))


def upgrade(url: str, revision: str = "head") -> None:
    """Applies what is missing. Call it outside of a running event loop, or in a thread.

    Conflict when the database is at a revision that this version does not know, DatabaseUnavailable when it does not
    answer, cannot be written, or is damaged.
    """

    def work(connection: Connection) -> None:
        at = _revision_of(connection)
        if at is not None and at not in revisions.known():
            raise Conflict(remedy(at))
        command.upgrade(_configuration(connection), revision)

    _run(url, work)


def downgrade(url: str, revision: str) -> None:
    """Takes migrations back down to ``revision`` (``base`` for all); what they held is lost."""
    _run(url, lambda connection: command.downgrade(_configuration(connection), revision))


def _revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def current_revision(url: str) -> str | None:
    """The revision that the database is at, or None when it was never migrated. Errors as of :func:`upgrade`.

    Only reads. NotFound when there is no file.
    """
    revision: str | None = _run(url, _revision_of, reading=True)
    return revision


def compare(connection: Connection) -> list[Any]:
    """What the models say and the database does not have, or the other way round, as Alembic's differences."""
    options = {"include_name": lambda name, kind, _: not (kind == "table" and "_search" in (name or ""))}
    with warnings.catch_warnings():  # of an index on an expression that SQLAlchemy leaves out, and that is not ours
        warnings.filterwarnings("ignore", "Skipped unsupported reflection", SAWarning)
        differences: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    return differences


def drift(url: str) -> list[Any]:
    """:func:`compare` for the database at ``url``, which is only read; empty when they agree."""
    found: list[Any] = _run(url, compare, reading=True)
    return found
