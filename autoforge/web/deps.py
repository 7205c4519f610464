"""What any route may ask for: the services of this process. Who asks is the business of :mod:`autoforge.access`."""

from __future__ import annotations

from typing import Annotated, Protocol

from fastapi import Depends, Request

from autoforge.cache import Cache
from autoforge.db import Database
from autoforge.settings import Settings


class Services(Protocol):
    """What lives as long as the process."""

    settings: Settings
    database: Database
    cache: Cache


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _database(request: Request) -> Database:
    return (await _services(request)).database


async def _cache(request: Request) -> Cache:
    return (await _services(request)).cache


App = Annotated[Services, Depends(_services)]
Db = Annotated[Database, Depends(_database)]
Near = Annotated[Cache, Depends(_cache)]
