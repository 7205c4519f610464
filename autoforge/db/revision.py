"""Is the schema up to date? Answered without Alembic, which takes half a second to import and is rarely needed."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path

from sqlalchemy import make_url

from autoforge.db.driver import dbapi
from autoforge.db.engines import read_only_uri

_VERSIONS = Path(__file__).parent / "migrations" / "versions"
_ASK = "SELECT version_num FROM alembic_version"


def known() -> set[str]:
    """The revisions that there are; the files are numbered."""
    return {path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*.py")}


@cache
def newest() -> str:
    """The last one."""
    return max(known())


def is_current(url: str) -> bool:
    """Whether the database is at the newest revision; False also when nothing can be asked (migrating will say why)."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _of_file(Path(parsed.database or "")) == newest()
    if parsed.get_backend_name() != "postgresql":
        return False
    plain = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    return asyncio.run(_of_server(plain)) == newest()


def _of_file(path: Path) -> str | None:
    if not path.is_file():
        return None
    connection = dbapi.connect(read_only_uri(path), uri=True, timeout=5)
    try:
        row = connection.execute(_ASK).fetchone()
        return str(row[0]) if row else None
    except dbapi.Error:
        return None
    finally:
        connection.close()


async def _of_server(url: str) -> str | None:
    import asyncpg

    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (OSError, asyncpg.PostgresError, ValueError):
        return None
    try:
        found = await connection.fetchval(_ASK)
        return None if found is None else str(found)
    except asyncpg.PostgresError:
        return None
    finally:
        await connection.close()
