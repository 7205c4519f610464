"""What a running server noticed reaches the doctor: N+1, pools, writer, cache; and Redis, alive, full or gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from autoforge.cache import Kind
from autoforge.cache.near import Near
from autoforge.db import models as m
from autoforge.errors import Overloaded
from autoforge.operations.doctor import live
from autoforge.operations.doctor.finding import Finding
from autoforge.operations.doctor.traffic import Traffic
from autoforge.settings import CacheSettings
from autoforge.telemetry.n_plus_one import WATCH
from autoforge.telemetry.slow import SLOW
from tests.operations.doctor.ward import Ward, limits
from tests.web.site import Site, opened, settings


@pytest.fixture
async def site(tmp_path: Path, file_ward: Ward) -> AsyncIterator[Site]:
    """The whole product on a healthy copy, with one place for readers, watching every request."""
    WATCH.clear()
    SLOW.clear()
    url = file_ward.settings.database_url
    chosen = settings(file_ward.settings.data, url, watch_every=1)
    small = chosen.database.model_copy(update={"pool_size": 1, "pool_timeout": 0.05, "write_timeout": 0.05})
    async with opened(chosen.model_copy(update={"database": small})) as running:
        yield running


async def _found(site: Site, ward: Ward, **about: Any) -> dict[str, Finding]:
    site.app.state.watcher.write()
    traffic = Traffic.read(ward.settings.data)
    assert traffic is not None
    report = await ward.visit(live.CHECKS, traffic=traffic, **about)
    assert report.unseen == []
    return {one.id: one for one in report.findings}


async def test_a_route_that_asks_row_by_row_is_found(site: Site, file_ward: Ward) -> None:
    statement = select(m.Prompt.title).where(m.Prompt.name == select(m.User.name).scalar_subquery())

    @site.app.get("/api/v1/prompts/planted/titles")
    async def planted() -> list[str | None]:
        titles = []
        async with site.database.read() as session:
            for row in await session.all(select(m.Prompt.id)):
                one = statement.where(m.Prompt.id == row.id)
                titles.append(await session.scalar(one))
        return titles

    site.app.router.routes.insert(0, site.app.router.routes.pop())
    assert await _found(site, file_ward) == {}
    assert (await site.client.get("/api/v1/prompts/planted/titles")).status_code == 200
    found = await _found(site, file_ward)
    assert set(found) == {"n-plus-one"}
    assert "test_live.py" in found["n-plus-one"].evidence[0]


async def test_a_tiny_pool_and_a_blocked_writer_are_found(site: Site, file_ward: Ward) -> None:
    async with site.database.read():
        with pytest.raises(Overloaded):
            async with site.database.read():
                pass
    async with site.database.write():
        blocked = asyncio.create_task(_write(site))
        with pytest.raises(Overloaded):
            await blocked
    found = await _found(site, file_ward)
    assert set(found) == {"pool-tiny", "writer-queue"}
    assert "AUTOFORGE_DATABASE_POOL_SIZE=" in found["pool-tiny"].commands


async def _write(site: Site) -> None:
    import contextvars

    def alone() -> asyncio.Task[None]:
        return asyncio.create_task(_block(site), context=contextvars.Context())

    await alone()


async def _block(site: Site) -> None:
    async with site.database.write():
        pass


async def test_a_cache_that_never_has_it_and_one_that_is_too_small_are_found(site: Site, file_ward: Ward) -> None:
    cache = site.app.state.services.cache
    cache.near = Near(10, 10_000_000)

    async def load() -> int:
        return 1

    for number in range(120):
        await cache.get_or_load(f"key {number}", Kind.TEMPLATES, (), load)
    found = await _found(site, file_ward, limits=limits(enough_reads=100))
    assert set(found) == {"cache-hit-rate", "cache-evicts"}
    assert any(line.startswith("templates: 0% of 120 reads") for line in found["cache-hit-rate"].evidence)


async def test_a_slow_statement_is_found_with_its_plan(site: Site, file_ward: Ward) -> None:
    SLOW.clear()
    for _ in range(20):
        site.app.state.services.cache.near.clear()
        await site.client.get("/api/v1/prompts")
    found = await _found(site, file_ward, limits=limits(slow_statement=0.0, enough_calls=20))
    assert set(found) == {"statement-slow"}
    assert "SEARCH" in found["statement-slow"].commands


async def test_redis_that_is_gone_full_or_boundless_is_found(redis_url: str, file_ward: Ward) -> None:
    from redis.asyncio import Redis

    async def found(url: str) -> set[str]:
        chosen = file_ward.settings.model_copy(update={"cache": CacheSettings(url=url)})
        return {one.id for one in (await Ward(chosen, "sqlite").visit(live.CHECKS)).findings}

    assert await found("redis://127.0.0.1:1/0") == {"redis-unreachable"}
    assert await found(redis_url) == {"redis-unbounded"}
    async with Redis.from_url(redis_url) as client:
        await client.config_set("maxmemory", "100mb")
        assert await found(redis_url) == {"redis-noeviction"}
        await client.config_set("maxmemory-policy", "allkeys-lru")
        assert await found(redis_url) == set()
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("maxmemory", "0")
