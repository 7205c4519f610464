"""``/metrics`` of the product in this process: what is there, in which formats, and for whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from prometheus_client.openmetrics import parser
from prometheus_client.parser import text_string_to_metric_families as plain
from pydantic import SecretStr

from autoforge.settings import CacheSettings
from autoforge.telemetry import families, metrics
from autoforge.telemetry.families import FAMILIES
from tests.web.site import Site, key, opened, settings, signed_in

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scraped(site: Site) -> Samples:
    answer = await site.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in plain(answer.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"autoforge_{name}", tuple(sorted(labels.items()))]


async def test_what_happened_is_there(site: Site) -> None:
    for _ in range(3):
        assert (await site.client.get(f"/api/v1/prompts/{uuid4()}")).status_code == 404
    await site.client.get(f"/nothing/{uuid4()}")
    seen = await scraped(site)
    route = {"method": "GET", "route": "/api/v1/prompts/{prompt_id}"}
    assert value(seen, "http_requests_total", **route, status="404") == 3
    assert value(seen, "http_request_duration_seconds_count", **route) == 3
    assert value(seen, "http_requests_total", method="GET", route="unmatched", status="404") == 1
    assert value(seen, "http_requests_in_flight") == 1  # the scrape
    assert value(seen, "db_statements_total", operation="select", table="prompts", status="ok") >= 3
    assert value(seen, "db_statements_total", operation="insert", table="templates", status="ok") == 1
    assert value(seen, "cache_hits_total", kind="access", tier="near") >= 1
    assert value(seen, "db_up") == 1
    assert value(seen, "db_size_bytes") > 100_000
    assert value(seen, "processes") == 1
    assert value(seen, "process_resident_memory_bytes", process="1") > 10_000_000
    pool = {"sqlite": "readers", "postgresql": "connections"}[site.database.dialect]
    assert value(seen, "db_pool_checked_out", pool=pool) == 0
    assert value(seen, "db_pool_size", pool=pool) >= 1


async def test_labels_hold_nothing_that_somebody_chose(small_site: Site) -> None:
    word = uuid4().hex
    for address in (f"/api/v1/prompts/{word}", f"/{word}", f"/static/{word}", f"/w/{word}/prompts"):
        await small_site.client.get(address)
        await small_site.client.request(word.upper(), address)
    answer = await small_site.client.get("/metrics")
    assert word not in answer.text.lower()
    assert str(small_site.owner.user_id) not in answer.text


async def test_both_formats_hold_the_same(small_site: Site) -> None:
    await small_site.client.get("/api/v1/prompts")
    first = await small_site.client.get("/metrics")
    second = await small_site.client.get("/metrics", headers={"Accept": OPENMETRICS})
    assert first.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert second.headers["content-type"].startswith("application/openmetrics-text")
    openmetrics: Any = parser.text_string_to_metric_families
    names = [
        {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
        for families in (list(plain(first.text)), list(openmetrics(second.text)))
    ]
    assert names[0] == names[1] == set(FAMILIES)


async def test_who_may_scrape(small_site: Site) -> None:
    client, app, nobody = small_site.client, small_site.app, {"Authorization": ""}
    assert (await client.get("/metrics", headers=nobody)).status_code == 200  # only this machine can ask
    reading = await key(app, small_site.owner, "server:read")
    prompts = await key(app, small_site.owner, "prompts:read")
    asking = {
        "nobody": nobody,
        "admin": small_site.mine,
        "reading": reading,
        "prompts": prompts,
        "other": small_site.theirs,
        "browser": {**nobody, **await signed_in(small_site, small_site.owner)},
        "other browser": {**nobody, **await signed_in(small_site, small_site.other)},
        "wrong": {"Authorization": "Bearer 0123456789abcdef0"},
    }
    expected = {"nobody": 401, "admin": 200, "reading": 200, "prompts": 403, "other": 403}
    expected |= {"browser": 200, "other browser": 403, "wrong": 401}
    services = app.state.services
    for changed in ({"public_hosts": "forge.example.com"}, {"metrics_token": SecretStr("0123456789abcdef")}):
        services.settings = services.settings.model_copy(update={"public_hosts": "", **changed})
        answers = {name: await client.get("/metrics", headers=headers) for name, headers in asking.items()}
        assert {name: answer.status_code for name, answer in answers.items()} == expected
        assert "autoforge_" not in answers["other"].text + answers["nobody"].text
    token = {"Authorization": "Bearer 0123456789abcdef"}
    assert (await client.get("/metrics", headers=token)).status_code == 200
    assert (await client.get("/api/v1/prompts", headers=token)).status_code == 401  # it opens nothing else


async def test_a_database_that_does_not_answer_is_said(small_site: Site) -> None:
    small_site.database.gate.close()
    seen = await scraped(small_site)
    assert value(seen, "db_up") == 0
    assert not any(name == "autoforge_jobs_waiting" for name, _ in seen)
    assert value(seen, "process_cpu_seconds_total", process="1") > 0


async def test_redis_is_seen_where_there_is_one(tmp_path: Path, sqlite_url: str, redis_url: str) -> None:
    cache = CacheSettings(url=redis_url, prefix=f"metrics-{uuid4().hex}")
    async with opened(settings(tmp_path / "data", sqlite_url, samples=False, cache=cache)) as site:
        seen = await scraped(site)
        assert value(seen, "cache_redis_up", process="1") == 1
        assert value(seen, "cache_redis_failures_total") == 0
        site.app.state.services.cache.far.link.lose(ConnectionError("it takes no changes"))
        site.app.state.meter.take_over()  # at once: the link is back in a moment
        cells = metrics.current()
        assert cells.values[cells.places[families.FAR_UP.name, "1"]] == 0
