"""A copy of the embedded database in one file, made while servers and workers use it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from autoforge.db.driver import dbapi
from autoforge.db.engines import file_of, parse_url, read_only_uri
from autoforge.errors import BadInput, DatabaseUnavailable
from autoforge.settings import Settings

_PATIENCE = 30.0  # seconds for somebody who holds the whole file


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written: where, of which revision, how many bytes; ``secret`` is the file to keep with it, if any."""

    file: Path
    revision: str
    bytes: int
    secret: Path | None


def back_up(settings: Settings, target: Path) -> Backup:
    """Writes ``target``, whole or not at all, for its owner alone. It holds what was committed when it began.

    BadInput when it exists, or for PostgreSQL; DatabaseUnavailable when there is nothing to copy or it cannot be.
    """
    url = parse_url(settings.database_url)
    if url.get_backend_name() != "sqlite":
        raise BadInput(
            "PostgreSQL is backed up by its own program: pg_dump --format=custom --file FILE DATABASE_URL "
            "(docs/operations.md says how to restore it)."
        )
    source = file_of(url)
    if not source.is_file():
        raise DatabaseUnavailable(f"There is no database at {source}.")
    _refuse(target)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)  # mode 0600
    try:
        revision = _copy(source, name)
        os.fsync(descriptor)
        _refuse(target)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
    finally:
        os.close(descriptor)
    secret = settings.data / "secret"
    return Backup(target, revision, target.stat().st_size, secret if settings.secret is None else None)


def _refuse(target: Path) -> None:
    if target.exists():
        raise BadInput(f"{target} exists already; a backup is written to a new file.")


def _copy(source: Path, name: str) -> str:
    """One transaction reads all; nobody is held up, and nothing of the log is missing. The revision of the copy."""
    connection = dbapi.connect(read_only_uri(source), uri=True, isolation_level=None, timeout=_PATIENCE)
    try:
        connection.execute("VACUUM INTO ?", (name,))
    except dbapi.Error as error:
        raise DatabaseUnavailable(f"{source} cannot be copied: {error}") from error
    finally:
        connection.close()
    return _revision(name)


def _revision(name: str) -> str:
    connection = dbapi.connect(name)
    try:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    except (dbapi.Error, TypeError) as error:
        raise DatabaseUnavailable("This database was never migrated: there is nothing to back up.") from error
    finally:
        connection.close()
