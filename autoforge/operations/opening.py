"""Opening a data directory: migrated, with an owner, and with sample data the very first time.

The web process and every command that touches data come through here; it imports no routes, so that a command starts
quickly.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from autoforge.access import Actor
from autoforge.access.commands import ensure_local_owner
from autoforge.access.tokens import installation_secret
from autoforge.cache import Cache, Stamps
from autoforge.cache.opening import open_cache
from autoforge.db import Database, revision
from autoforge.settings import Settings


@dataclass(slots=True)
class Opened:
    """What a process works with; ``owner`` is who the command line acts as: the local owner.

    ``secret`` is what session ids, keys and links are hashed with.
    """

    settings: Settings
    database: Database
    cache: Cache
    owner: Actor
    secret: bytes


def _migrate(url: str) -> None:
    if not revision.is_current(url):
        from autoforge.db import migrate

        migrate.upgrade(url)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Opened]:
    """Everything open and ready; closed again at the end of the block."""
    await asyncio.to_thread(_migrate, settings.database_url)
    stamps = Stamps(settings.data / "stamps")
    try:
        database = await Database.open(settings)
    except BaseException:
        stamps.close()
        raise
    try:
        async with open_cache(settings.cache, database, stamps) as cache:
            async with database.write() as session:
                owner, first = await ensure_local_owner(session)
            if first and settings.samples:
                from autoforge.operations.samples import add_samples

                await add_samples(database, owner)
            yield Opened(settings, database, cache, owner, installation_secret(settings))
    finally:
        await database.close()
        stamps.close()
