"""Settings that hurt: ours, as this command reads them, and those of the database."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sqlalchemy import text

from autoforge.db.engines import READERS_SHARE
from autoforge.operations.doctor import remedies
from autoforge.operations.doctor.finding import Finding, Severity
from autoforge.operations.doctor.patient import Patient

_MB = 1024 * 1024
_LONGEST_STATEMENT = 300.0  # seconds
_LARGEST_BODY = 256 * _MB
_SERVER = text(
    "SELECT name, setting FROM pg_settings WHERE name IN"
    " ('fsync', 'full_page_writes', 'synchronous_commit', 'max_connections', 'superuser_reserved_connections')"
)
_OTHER_HOSTS = text(
    "SELECT count(DISTINCT client_addr) FROM pg_stat_activity"
    " WHERE application_name = 'autoforge' AND datname = current_database() AND client_addr IS NOT NULL"
)


async def durability(patient: Patient) -> AsyncIterator[Finding]:
    if patient.is_sqlite and patient.settings.database.synchronous != "FULL":
        yield Finding(
            "sqlite-synchronous",
            Severity.HIGH,
            "Writes are acknowledged before they are on disk",
            (f"synchronous={patient.settings.database.synchronous}: a power loss takes the last writes with it.",),
            "Sync before a write is acknowledged; waiting writers share one sync.",
            "AUTOFORGE_DATABASE_SYNCHRONOUS=FULL",
        )
    if patient.is_sqlite:
        async with patient.read() as session:
            mode = str(await session.scalar(text("PRAGMA journal_mode"))).lower()
        if mode != "wal":
            yield Finding(
                "sqlite-journal-mode",
                Severity.HIGH,
                f"The database file is in journal mode {mode}, not in WAL",
                ("Readers wait for the writer and it for them; the server switches to WAL when it starts.",),
                "Start the server once, or switch by hand while nothing uses the file.",
                remedies.on_file(patient, "PRAGMA journal_mode=WAL"),
            )


async def memory_mapping(patient: Patient) -> AsyncIterator[Finding]:
    chosen = patient.settings.database
    if patient.is_sqlite and chosen.mmap_mb and patient.host.processes > 1:
        yield Finding(
            "sqlite-mmap",
            Severity.HIGH,
            f"{patient.host.processes} processes use a file that is mapped into memory",
            (f"mmap_mb={chosen.mmap_mb}; with several writing processes mapping is not safe on every system.",),
            "Do without mapping, or let one process do all the work.",
            "AUTOFORGE_DATABASE_MMAP_MB=0",
        )


async def memory(patient: Patient) -> AsyncIterator[Finding]:
    """The caches of one process against the memory of the machine."""
    settings, most = patient.settings, patient.host.memory
    pages = (
        int(settings.database.cache_mb * (1 + READERS_SHARE * settings.database.pool_size)) if patient.is_sqlite else 0
    )
    wanted = (pages + settings.cache.size_mb) * _MB * max(1, patient.host.processes)
    if most is not None and wanted > most // 2:
        yield Finding(
            "cache-huge",
            Severity.MEDIUM,
            f"The caches may take {wanted // _MB:,} MB of this machine's {most // _MB:,} MB",
            (
                f"AUTOFORGE_CACHE_SIZE_MB={settings.cache.size_mb}; SQLite: {pages} MB "
                f"for {settings.database.pool_size + 1} connections; {patient.host.processes} processes.",
            ),
            "Leave most of the memory to the system, which caches the database's files itself.",
            "AUTOFORGE_CACHE_SIZE_MB=32\nAUTOFORGE_DATABASE_CACHE_MB=6",
        )


async def reach(patient: Patient) -> AsyncIterator[Finding]:
    """What is fine on one's own machine and not where others can reach it."""
    settings = patient.settings
    if settings.is_local:
        return
    where = f"AUTOFORGE_HOST={settings.host} can be reached by others."
    if settings.requests_per_minute == 0:
        yield Finding(
            "rate-limit-off",
            Severity.HIGH,
            "Requests are not limited although others can reach the server",
            (where, "requests_per_minute=0"),
            "Limit requests per key or session.",
            "AUTOFORGE_REQUESTS_PER_MINUTE=120000",
        )
    if settings.secret is None:
        yield Finding(
            "secret-unset",
            Severity.HIGH,
            "No secret is configured although others can reach the server",
            (where, "The server refuses to start like this."),
            "Configure a secret, the same for all processes and hosts.",
            "AUTOFORGE_SECRET=$(openssl rand -base64 48)",
        )
    if not settings.sign_in:
        yield Finding(
            "sign-in-off",
            Severity.CRITICAL,
            "Everybody who can reach the server is its owner",
            (where, "sign_in=false; the server refuses to start like this."),
            "Let people sign in.",
            "AUTOFORGE_SIGN_IN=true",
        )


async def logs(patient: Patient) -> AsyncIterator[Finding]:
    settings = patient.settings
    if settings.log_level == "debug" and (settings.database.environment == "production" or not settings.is_local):
        yield Finding(
            "log-level-debug",
            Severity.LOW,
            "Everything is logged in production",
            (f"log_level=debug, environment={settings.database.environment}, host={settings.host}",),
            "Log what somebody will read.",
            "AUTOFORGE_LOG_LEVEL=info",
        )


async def bounds(patient: Patient) -> AsyncIterator[Finding]:
    settings = patient.settings
    if settings.database.statement_timeout > _LONGEST_STATEMENT:
        yield Finding(
            "statement-timeout-long",
            Severity.MEDIUM,
            f"A statement may take {settings.database.statement_timeout:,g} s",
            ("One that never ends keeps its connection and, on PostgreSQL, its locks all that time.",),
            "Stop statements that take too long.",
            "AUTOFORGE_DATABASE_STATEMENT_TIMEOUT=30",
        )
    if settings.most_body_bytes > _LARGEST_BODY:
        yield Finding(
            "body-size-huge",
            Severity.MEDIUM,
            f"A request may bring {settings.most_body_bytes // _MB:,} MB",
            ("A few such requests at once fill the memory. Imports of files have a limit of their own.",),
            "Bound the body of a request.",
            f"AUTOFORGE_MOST_BODY_BYTES={16 * _MB}",
        )


async def postgresql(patient: Patient) -> AsyncIterator[Finding]:
    if patient.is_sqlite:
        return
    async with patient.read() as session:
        found = {row.name: str(row.setting) for row in await session.all(_SERVER)}
    for name, severity, harm in (
        ("fsync", Severity.CRITICAL, "A crash of the machine can destroy the whole database."),
        ("full_page_writes", Severity.CRITICAL, "A crash can leave half-written pages that nothing repairs."),
        ("synchronous_commit", Severity.HIGH, "The last acknowledged transactions may be lost in a crash."),
    ):
        if found.get(name) == "off":
            yield Finding(
                f"postgresql-{name.replace('_', '-')}",
                severity,
                f"PostgreSQL runs with {name} = off",
                (harm,),
                "Switch it on; where the data may be lost at any time, accept this finding (--ignore).",
                f"ALTER SYSTEM SET {name} = on;\nSELECT pg_reload_conf();",
            )


async def connections(patient: Patient) -> AsyncIterator[Finding]:
    """Whether all pools together fit into what PostgreSQL lets in."""
    if patient.is_sqlite:
        return
    async with patient.read() as session:
        found = {row.name: str(row.setting) for row in await session.all(_SERVER)}
        hosts = int(await session.scalar(_OTHER_HOSTS) or 0)
    chosen = patient.settings.database
    places = int(found["max_connections"]) - int(found["superuser_reserved_connections"])
    each, processes = chosen.pool_size + chosen.pool_overflow, max(1, patient.host.processes)
    if each * processes > places:
        yield Finding(
            "pool-exceeds-server",
            Severity.HIGH,
            f"{processes} processes may open {each * processes} connections, PostgreSQL lets {places} in",
            (f"pool_size={chosen.pool_size}, pool_overflow={chosen.pool_overflow} for each process.",),
            "Make the pools smaller, let more in, or put PgBouncer between.",
            f"AUTOFORGE_DATABASE_POOL_SIZE={max(1, places // processes - chosen.pool_overflow)}",
        )
    if hosts > 1 and not patient.settings.cache.url:
        yield Finding(
            "cache-url-missing",
            Severity.HIGH,
            f"{hosts} hosts share this database, and no Redis is configured",
            ("A host does not learn what another changed: it serves cached values up to their full age.",),
            "Give all processes of all hosts the same Redis.",
            "AUTOFORGE_CACHE_URL=redis://HOST:6379/0",
        )


CHECKS = (durability, memory_mapping, memory, reach, logs, bounds, postgresql, connections)
