"""Brings a database's schema to the newest revision, and says how far it is.

Several processes may start at once: PostgreSQL holds an advisory lock for the length of the migration, SQLite the
write lock (one immediate transaction), so that the second one finds nothing left to do. Every migration gives up
after a short wait for a table lock instead of queueing in front of the whole service.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import SAWarning
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from autoforge.db.driver import dbapi
from autoforge.db.engines import parse_url
from autoforge.db.models import Base
from autoforge.db.turns import one_turn

LOCK = 0x4155_544F_464F_5247  # any constant that is ours: the letters AUTOFORG

_PATIENCE = 30.0  # seconds for other processes' writes


def _configuration(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str | None:
    return ScriptDirectory.from_config(_configuration()).get_current_head()


def _on_sqlite(path: str, work: Callable[[Connection], Any]) -> Any:
    """One immediate transaction: SQLAlchemy's own BEGIN would come too late to keep a second process out."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine("sqlite://", creator=lambda: dbapi.connect(path, isolation_level=None), poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.connect() as plain:
            plain.exec_driver_sql(f"PRAGMA busy_timeout={_PATIENCE * 1000:.0f}")
            plain.exec_driver_sql("PRAGMA foreign_keys=OFF")  # tables are rebuilt in batch mode
            plain.rollback()
            with one_turn(Path(path), _PATIENCE), plain.begin():
                return work(plain)
    finally:
        engine.dispose()


async def _on_postgresql(url: str, work: Callable[[Connection], Any]) -> Any:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _run(url: str, work: Callable[[Connection], Any]) -> Any:
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _on_sqlite(parsed.database or "", work)
    asynchronous = parsed.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
    return asyncio.run(_on_postgresql(asynchronous, work))


def upgrade(url: str, revision: str = "head") -> None:
    """Applies what is missing. Call it outside of a running event loop, or in a thread."""
    _run(url, lambda connection: command.upgrade(_configuration(connection), revision))


def downgrade(url: str, revision: str) -> None:
    """Takes migrations back down to ``revision`` (``base`` for all); what they held is lost."""
    _run(url, lambda connection: command.downgrade(_configuration(connection), revision))


def current_revision(url: str) -> str | None:
    """The revision that the database is at, or None when it was never migrated."""
    revision: str | None = _run(url, lambda connection: MigrationContext.configure(connection).get_current_revision())
    return revision


def compare(connection: Connection) -> list[Any]:
    """What the models say and the database does not have, or the other way round, as Alembic's differences."""
    options = {"include_name": lambda name, kind, _: not (kind == "table" and "_search" in (name or ""))}
    with warnings.catch_warnings():  # of an index on an expression that SQLAlchemy leaves out, and that is not ours
        warnings.filterwarnings("ignore", "Skipped unsupported reflection", SAWarning)
        differences: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    return differences


def drift(url: str) -> list[Any]:
    """:func:`compare` for the database at ``url``; empty when they agree."""
    found: list[Any] = _run(url, compare)
    return found
