"""How the running processes fare: statements that repeat or are slow, waits for connections, the worth of the cache."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from autoforge.operations.doctor.catalogue import Known
from autoforge.operations.doctor.copies import plan_on
from autoforge.operations.doctor.finding import Finding, Severity, examples, plural
from autoforge.operations.doctor.patient import Patient
from autoforge.operations.doctor.traffic import waited
from autoforge.telemetry import slow

_WRITER_WAIT = 0.5  # seconds
_ENOUGH_WAITS = 20
_SHORT_LIVED = {"access"}  # kept for a second: its rate says how often people ask, not how good the cache is
_KEPT = (
    "CONFIG REWRITE keeps that over a restart. Where it answers that the server is running without a config file (as "
    "in most containers), add `--maxmemory 256mb --maxmemory-policy allkeys-lru` to the command that starts Redis."
)
_EVICTED_SHARE = 0.1  # of the computed values


async def repeated(patient: Patient) -> AsyncIterator[Finding]:
    if patient.traffic is None or not patient.traffic.repeated:
        return
    found = patient.traffic.repeated
    lines = [
        f"{one['route']}: {one['statement']} {one['most']} times in one request, at {one['line']}"
        f" ({plural(one['requests'], 'request')} of those looked at)"
        for one in found
    ]
    yield Finding(
        "n-plus-one",
        Severity.MEDIUM,
        f"{plural(len(found), 'place asks', 'places ask')} the same statement again for every row",
        examples(lines, len(lines)),
        "Ask once for all rows: a join, or one statement with the keys of all of them.",
    )


async def slow_statements(patient: Patient) -> AsyncIterator[Finding]:
    if patient.traffic is None:
        return
    limits, found = patient.limits, []
    for shape in patient.traffic.statements:
        p95 = slow.quantile(shape["buckets"], 0.95) if shape["count"] >= limits.enough_calls else 0.0
        if p95 > limits.slow_statement and not str(shape["name"]).startswith("doctor."):
            found.append((p95, shape))
    found.sort(key=lambda one: -one[1]["seconds"])
    if found:
        lines = [_slow(p95, shape) for p95, shape in found]
        yield Finding(
            "statement-slow",
            Severity.MEDIUM,
            f"{plural(len(found), 'statement takes', 'statements take')} more than {limits.slow_statement * 1000:g} ms"
            " (P95)",
            examples(lines, len(lines)),
            "See its plan, and what else kept the database busy; a missing index is a finding of its own.",
            await _plan(patient, next((shape for _, shape in found if _reads(shape)), found[0][1])),
        )


def _reads(shape: Mapping[str, Any]) -> bool:
    return str(shape["sql"]).lstrip().upper().startswith(("SELECT", "WITH"))


def _slow(p95: float, shape: Mapping[str, Any]) -> str:
    routes = ", ".join(sorted(shape["routes"], key=lambda name: -shape["routes"][name])[:3])
    return f"{shape['name']}: P95 {p95 * 1000:,.0f} ms over {plural(shape['count'], 'call')} ({routes or 'no route'})"


async def _plan(patient: Patient, shape: Mapping[str, Any]) -> str:
    known = Known(str(shape["name"]), None, str(shape.get("example") or shape["sql"]))
    async with patient.read() as session:
        plan = await plan_on(session, known) if shape["dialect"] == session.dialect else None
    return f"{known.sql}\n\n{plan.text}" if plan is not None else known.sql


async def pool(patient: Patient) -> AsyncIterator[Finding]:
    """Tiny against what is asked of it."""
    pools = patient.traffic.pools if patient.traffic is not None else []
    places = waits = long = refused = waiting = 0
    for one in pools:
        every, longer = waited(one["waits"], patient.limits.pool_wait)
        places, waits, long = places + one["places"], waits + every, long + longer
        refused, waiting = refused + one["refused"], waiting + one["waiting"]
    if refused or long >= _ENOUGH_WAITS:
        size = patient.settings.database.pool_size
        yield Finding(
            "pool-tiny",
            Severity.HIGH if refused else Severity.MEDIUM,
            f"The pool is too small: {refused:,} were turned away, {long:,} waited long for a connection",
            (
                f"{plural(places, 'place')} in {plural(len(pools), 'process', 'processes')}; {waits:,} had to wait, "
                f"{long:,} for more than {patient.limits.pool_wait * 1000:g} ms; "
                f"{waiting} wait now.",
                f"Here the setting is pool_size={size}.",
            ),
            "Make the pool larger, unless slow statements keep the connections: see those first.",
            f"AUTOFORGE_DATABASE_POOL_SIZE={max(4, 2 * size)}",
        )


async def writer(patient: Patient) -> AsyncIterator[Finding]:
    waits = long = refused = 0
    for one in patient.traffic.pools if patient.traffic is not None else ():
        if one["writer"] is not None:
            every, longer = waited(one["writer"]["waits"], _WRITER_WAIT)
            waits, long, refused = waits + every, long + longer, refused + one["writer"]["refused"]
    if refused or long >= _ENOUGH_WAITS:
        yield Finding(
            "writer-queue",
            Severity.HIGH if refused else Severity.MEDIUM,
            f"Writers queue: {refused:,} were turned away, {long:,} waited for more than {_WRITER_WAIT:g} s",
            (f"{waits:,} blocks of writing had to wait for SQLite's one writer.",),
            "Look for long writing blocks in the log (write_slow), make imports jobs, or move to PostgreSQL.",
            "autoforge serve --database-url postgresql://USER:PASSWORD@HOST/NAME",
        )


async def hit_rates(patient: Patient) -> AsyncIterator[Finding]:
    limits, low = patient.limits, []
    for kind, counts in (patient.traffic.kinds() if patient.traffic is not None else {}).items():
        reads = counts["hits"] + counts["misses"]
        rate = (counts["hits"] + counts["far_hits"]) / reads if reads else 1.0
        if kind not in _SHORT_LIVED and reads >= limits.enough_reads and rate < limits.hit_rate:
            low.append(f"{kind}: {rate:.0%} of {reads:,.0f} reads, {counts['loads']:,.0f} values computed")
    if low:
        yield Finding(
            "cache-hit-rate",
            Severity.MEDIUM,
            "The cache seldom has what is asked for",
            tuple(low),
            "More room, if values are thrown away (cache-evicts); else see what changes so often that they are "
            "forgotten, or whether everybody asks for something else.",
            f"AUTOFORGE_CACHE_SIZE_MB={2 * patient.settings.cache.size_mb}",
        )


async def evictions(patient: Patient) -> AsyncIterator[Finding]:
    if patient.traffic is None:
        return
    evicted = sum(one["cache"]["evicted"] for one in patient.traffic.processes)
    loads = sum(counts["loads"] + counts["far_hits"] for counts in patient.traffic.kinds().values())
    if evicted >= patient.limits.enough_reads and evicted > _EVICTED_SHARE * loads:
        chosen = patient.settings.cache
        yield Finding(
            "cache-evicts",
            Severity.LOW,
            f"{evicted:,} values were thrown out of the cache to make room, of {loads:,.0f} that were put in",
            (f"size_mb={chosen.size_mb}, entries={chosen.entries:,} for each process.",),
            "Give the cache more room.",
            f"AUTOFORGE_CACHE_SIZE_MB={2 * chosen.size_mb}\nAUTOFORGE_CACHE_ENTRIES={2 * chosen.entries}",
        )


async def redis(patient: Patient) -> AsyncIterator[Finding]:
    """Whether it is there, for the processes and from here, and whether it may grow for ever."""
    url = patient.settings.cache.url
    fars = [one["cache"]["far"] for one in patient.traffic.processes] if patient.traffic is not None else []
    down = sum(1 for far in fars if far is not None and not far["up"])
    told = await _redis_memory(url, max(1.0, patient.settings.cache.timeout)) if url else {}
    if down or isinstance(told, str):
        evidence = [f"From here: {told}"] if isinstance(told, str) else []
        evidence += [f"{plural(down, 'process does', 'processes do')} without it just now."] if down else []
        yield Finding(
            "redis-unreachable",
            Severity.MEDIUM,
            "Redis does not answer: every process keeps and computes values for itself",
            tuple(evidence),
            "Nothing is wrong or lost, only slower. Start Redis, or correct the address.",
            "redis-cli -u $AUTOFORGE_CACHE_URL ping",
        )
    elif told and not told["maxmemory"]:
        yield Finding(
            "redis-unbounded",
            Severity.LOW,
            "Redis may take all memory of its machine",
            (f"maxmemory=0, policy {told['maxmemory_policy']}, {int(told['used_memory']) // 1024:,} KB in use.",),
            f"Give it a limit, and let it forget what was not used for long. {_KEPT}",
            "CONFIG SET maxmemory 256mb\nCONFIG SET maxmemory-policy allkeys-lru\nCONFIG REWRITE",
        )
    elif told and told["maxmemory_policy"] == "noeviction":
        yield Finding(
            "redis-noeviction",
            Severity.MEDIUM,
            "Redis refuses to take anything once it is full",
            (f"maxmemory={told['maxmemory']}, policy noeviction: the cache then goes on without it.",),
            f"Let it forget what was not used for long; any policy that evicts is right for us. {_KEPT}",
            "CONFIG SET maxmemory-policy allkeys-lru\nCONFIG REWRITE",
        )


async def _redis_memory(url: str, patience: float) -> dict[str, Any] | str:
    """The section ``memory`` of INFO, or why there is none."""
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    try:
        async with Redis.from_url(url, socket_timeout=patience, socket_connect_timeout=patience) as client:
            found: dict[str, Any] = await client.info("memory")
            return found
    except (RedisError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


CHECKS = (repeated, slow_statements, pool, writer, hit_rates, evictions, redis)
