"""Settings in, engines out.

SQLite: one writing connection, and a pool of readers that the database itself holds to reading. PostgreSQL: one pool,
from which readers take REPEATABLE READ, READ ONLY transactions.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from autoforge.db.connection import Limits, Opening
from autoforge.db.driver import AutoforgeSQLiteDialect
from autoforge.errors import BadInput
from autoforge.settings import DatabaseSettings

SAFE_SQLITE = (3, 51, 3)  # older ones can, rarely, lose a commit that races with a checkpoint of another process


def parse_url(url: str) -> URL:
    """BadInput when it is no address of a database that we speak to."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadInput.at("/database/url", "the database address is not a URL, such as sqlite:///FILE") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise BadInput.at("/database/url", f"{parsed.get_backend_name()} is not supported; use sqlite or postgresql")
    if parsed.get_backend_name() == "sqlite" and (parsed.database or ":memory:") == ":memory:":
        raise BadInput.at("/database/url", "the SQLite database needs a file: sqlite:///FILE")
    return parsed


def file_of(url: URL) -> Path:
    """The SQLite file at ``url``, from the root; a relative one is meant from the working directory."""
    return Path.cwd() / (url.database or "")


def read_only_uri(path: Path) -> str:
    """How SQLite opens the file at ``path`` for reading; no character of the path means anything else to it."""
    return f"file:{quote(os.fspath(path))}?mode=ro"


def log_of(path: Path) -> Path:
    """Where SQLite keeps what is written to the file at ``path``, until a checkpoint carries it over."""
    return path.with_name(f"{path.name}-wal")


READERS_SHARE = 1 / 3
"""Of the page cache: there are several readers, and what they read often the system has in memory as well."""


def sqlite_engine(path: Path, settings: DatabaseSettings, *, read_only: bool) -> Engine:
    """An engine without a pool: whoever connects keeps the connection and closes it."""
    opening = Opening(
        path=os.fspath(path),
        read_only=read_only,
        pragmas=_reader_pragmas(settings) if read_only else _writer_pragmas(settings),
        limits=Limits(settings.statement_timeout, settings.inline_deadline, settings.busy_timeout),
    )
    engine = create_async_engine(
        f"sqlite+{AutoforgeSQLiteDialect.driver}:///",
        poolclass=NullPool,
        connect_args={"opening": opening},
        hide_parameters=True,
    )
    return engine.sync_engine


def _shared_pragmas(settings: DatabaseSettings, share: float) -> list[tuple[str, str | int]]:
    return [
        ("cache_size", -int(1024 * settings.cache_mb * share)),
        ("mmap_size", settings.mmap_mb * 1024 * 1024),
        ("temp_store", "MEMORY"),
    ]


def _reader_pragmas(settings: DatabaseSettings) -> list[tuple[str, str | int]]:
    return [*_shared_pragmas(settings, READERS_SHARE), ("query_only", "ON")]


def _writer_pragmas(settings: DatabaseSettings) -> list[tuple[str, str | int]]:
    return [
        ("journal_mode", "WAL"),
        ("synchronous", settings.synchronous),
        ("foreign_keys", "ON"),
        ("journal_size_limit", 64 * 1024 * 1024),
        *_shared_pragmas(settings, 1.0),
    ]


def postgresql_engine(url: URL, settings: DatabaseSettings) -> Engine:
    """One pool for reading and writing."""
    timeout = str(int(settings.statement_timeout * 1000))
    connect: dict[str, Any] = {
        "timeout": settings.connect_timeout,
        "server_settings": {
            "application_name": "autoforge",
            "timezone": "UTC",
            "statement_timeout": timeout,
            "idle_in_transaction_session_timeout": str(10 * int(timeout)),
            "jit": "off",  # no statement here runs long enough to be worth compiling
        },
    }
    engine = create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        poolclass=AsyncAdaptedQueuePool,
        # SQLAlchemy closes a connection beyond the pool's size as soon as it is given back: under load each would come,
        # prepare its statements and go.
        pool_size=settings.pool_size + settings.pool_overflow,
        max_overflow=0,
        pool_timeout=settings.pool_timeout,
        pool_recycle=settings.pool_recycle,
        pool_pre_ping=settings.pool_pre_ping,
        pool_use_lifo=settings.pool_lifo,
        isolation_level=settings.isolation_level,
        hide_parameters=True,  # people's texts do not belong in error messages
        connect_args=connect,
    )
    return engine.sync_engine


def version_warnings(sqlite_version: tuple[int, ...]) -> tuple[str, ...]:
    """What an operator should know about the SQLite that is installed."""
    if sqlite_version >= SAFE_SQLITE:
        return ()
    spelled = ".".join(map(str, sqlite_version))
    return (
        f"SQLite {spelled} can, rarely, lose a committed write while another process writes to the same file; 3.51.3 "
        "fixed it. Let one process write, or install pysqlite3.",
    )
