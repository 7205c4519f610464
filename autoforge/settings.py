"""Every setting: name, default, one sentence.

A setting is read from the environment: the field ``pool_size`` of :class:`DatabaseSettings` from
``AUTOFORGE_DATABASE_POOL_SIZE``. Where local, staging and production want different values, the environment's preset
supplies the default and the variable still wins.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from autoforge.errors import BadInput

Environment = Literal["local", "staging", "production"]

_HOST_NAME = re.compile(r"[\w.-]+|[0-9a-fA-F:.]+")  # or an IPv6 address
BACKLOG = 2_048
"""Connections that may wait for a worker to accept them."""
DATABASE_PRESETS: dict[str, dict[str, Any]] = {
    "local": {"pool_size": 4, "pool_overflow": 4, "pool_pre_ping": False, "pool_recycle": 3600},
    "staging": {"pool_size": 5, "pool_overflow": 5, "pool_pre_ping": True, "pool_recycle": 1800},
    "production": {"pool_size": 10, "pool_overflow": 10, "pool_pre_ping": True, "pool_recycle": 1800},
}


class DatabaseSettings(BaseSettings):
    """How to reach the database and what it may take."""

    model_config = SettingsConfigDict(env_prefix="AUTOFORGE_DATABASE_", extra="ignore")

    environment: Environment = Field(
        default_factory=lambda: os.environ.get("AUTOFORGE_ENVIRONMENT", "local"),
        validate_default=True,
        description="Which preset supplies the defaults that differ: local, staging or production. "
        "Where this one is not set, AUTOFORGE_ENVIRONMENT says it.",
    )
    url: str = Field(
        "", description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; empty: a file in the data folder."
    )

    pool_size: int = Field(
        4, ge=1, description="Connections kept open for reading (SQLite) or for everything (PostgreSQL)."
    )
    pool_overflow: int = Field(4, ge=0, description="Further PostgreSQL connections, made under load and kept.")
    pool_timeout: float = Field(5.0, gt=0, description="Seconds to queue for a connection before the answer is 503.")
    pool_queue: int = Field(2000, ge=1, description="Readers that may queue for a connection before the answer is 503.")
    pool_recycle: int = Field(
        3600, ge=-1, description="Seconds after which a PostgreSQL connection is replaced; -1: never."
    )
    pool_pre_ping: bool = Field(False, description="Test a PostgreSQL connection before each use.")
    pool_lifo: bool = Field(True, description="Use the most recently used connection first, so that idle ones can go.")
    connect_timeout: float = Field(5.0, gt=0, description="Seconds to wait for a new connection.")
    statement_timeout: float = Field(30.0, gt=0, description="Seconds one statement may take.")
    isolation_level: Literal["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] = Field(
        "READ COMMITTED", description="Isolation of PostgreSQL's writing transactions; reads see one snapshot always."
    )

    synchronous: Literal["FULL", "NORMAL"] = Field(
        "FULL",
        description="SQLite: FULL syncs before a write is acknowledged; NORMAL may lose the last ones on power loss.",
    )
    cache_mb: int = Field(
        6,
        ge=1,
        description="SQLite: megabytes of page cache for the writing connection; each reading one has a third.",
    )
    mmap_mb: int = Field(
        0, ge=0, description="SQLite: megabytes of the file to map into memory; 0 where several processes write."
    )
    warm_mb: int = Field(
        512,
        ge=0,
        description="SQLite: a file of up to so many megabytes is kept in the system's memory, by reading it through "
        "every few seconds; 0: never.",
    )
    inline_deadline: float = Field(
        0.02, gt=0, description="SQLite: seconds a bounded statement may hold the event loop."
    )
    busy_timeout: float = Field(5.0, ge=0, description="SQLite: seconds to wait for another process's lock.")
    write_queue: int = Field(512, ge=1, description="SQLite: writers that may queue before the answer is 503.")
    write_timeout: float = Field(10.0, gt=0, description="SQLite: seconds a writer may queue before the answer is 503.")
    write_batch: int = Field(64, ge=1, description="SQLite: writers that may share one commit.")
    write_batch_age: float = Field(
        0.01, ge=0, description="SQLite: seconds after which a shared commit takes no more writers."
    )
    write_slow: float = Field(1.0, gt=0, description="Seconds after which a writing block is logged as slow.")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        environment = given.get("environment") or os.environ.get("AUTOFORGE_ENVIRONMENT", "local")
        return {**DATABASE_PRESETS.get(environment, {}), **given}


class CacheSettings(BaseSettings):
    """What is kept in memory, and whether several hosts share Redis."""

    model_config = SettingsConfigDict(env_prefix="AUTOFORGE_CACHE_", extra="ignore")

    url: str = Field(
        "",
        description="redis://HOST:PORT/NUMBER or rediss://... (TLS); needed where several hosts share a database. "
        "Empty: the processes of one host share the file of stamps in the data folder.",
    )
    prefix: str = Field("autoforge", min_length=1, description="Begins all keys in Redis; another per installation.")
    entries: int = Field(20_000, ge=1, description="Values that one process keeps in memory.")
    size_mb: int = Field(32, ge=1, description="Megabytes that they may take.")
    value_kb: int = Field(1024, ge=1, description="Kilobytes of the largest value that is put into Redis.")
    connections: int = Field(8, ge=1, description="Connections to Redis of one process.")
    timeout: float = Field(0.5, gt=0, description="Seconds to wait for Redis before doing without it.")
    sweep_seconds: float = Field(
        1.0, gt=0, description="Seconds between looks for changes that a process could not tell Redis of."
    )


class JobsSettings(BaseSettings):
    """How background work is done."""

    model_config = SettingsConfigDict(env_prefix="AUTOFORGE_JOBS_", extra="ignore")

    executor: Literal["inprocess", "none"] = Field(
        "inprocess",
        description="inprocess: the server itself runs jobs; none: only `autoforge worker` processes do.",
    )
    least_workers: int = Field(1, ge=0, description="Workers that a pool keeps when there is nothing to do.")
    most_workers: int = Field(
        8, ge=1, validate_default=True, description="Jobs that one process runs at a time, at most."
    )
    idle_seconds: float = Field(
        10.0, gt=0, description="Seconds without work after which a worker above the least ends."
    )
    claim_ahead: int = Field(256, ge=0, description="Short jobs that a process may claim before a worker is free.")
    poll_seconds: float = Field(1.0, gt=0, description="Seconds between looks for jobs that other processes enqueued.")
    tend_seconds: float = Field(
        0.5, gt=0, description="Seconds between writes of progress, and looks for cancellations."
    )
    lease_seconds: float = Field(
        30.0, gt=0, description="Seconds after which a job of a process that fell silent runs again elsewhere."
    )
    cancel_seconds: float = Field(
        5.0, ge=0, description="Seconds that a job has to end by itself when it is cancelled; then it is interrupted."
    )
    shutdown_seconds: float = Field(
        10.0,
        ge=0,
        description="Seconds that running jobs have to end when the process stops; then they are handed back.",
    )
    keep_days: int = Field(
        30, ge=1, description="Days that ended jobs are kept; those that failed for good, three times that."
    )

    @field_validator("most_workers")
    @classmethod
    def _not_below_the_least(cls, value: int, info: ValidationInfo) -> int:
        if value < (least := info.data.get("least_workers", 0)):
            raise ValueError(f"{value} is less than AUTOFORGE_JOBS_LEAST_WORKERS={least}")
        return value


class Settings(BaseSettings):
    """All settings of a process."""

    model_config = SettingsConfigDict(env_prefix="AUTOFORGE_", extra="ignore")

    data: Path = Field(Path("data"), description="The data folder: embedded database, cache stamps, uploads.")
    secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="At least 32 characters, the same for all processes; empty: a file in the data folder. "
        "Needed to listen on an address that others can reach.",
    )
    host: str = Field("127.0.0.1", description="The address to listen on; one that others can reach needs a secret.")
    sign_in: bool = Field(
        True, description="Whether people have to sign in; without it everybody who reaches this machine is its owner."
    )
    requests_per_minute: int = Field(
        120_000, ge=0, description="Requests per minute for one key or session, reads and writes apart; 0: no limit."
    )
    inactive_days: int = Field(
        365,
        ge=0,
        le=36_500,
        description="Days after which the nightly clean-up removes people who did not come (they can be restored); "
        "0: never.",
    )
    samples: bool = Field(True, description="Put sample data into the workspace on the very first start.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    log_requests: bool = Field(False, description="Log a line for every request, not only for slow ones.")
    watch_every: int = Field(
        10, ge=0, description="One request in so many is looked at for statements that repeat (N+1); 0: none."
    )
    metrics_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="What may scrape /metrics, sent as `Authorization: Bearer ...`; without it an API key of an admin "
        "with the scope server:read, and everybody where only this machine can reach the server.",
    )
    drain_seconds: float = Field(
        2.0,
        ge=0,
        description="A reload (SIGHUP): seconds that an old worker goes on; each answer ends its connection.",
    )
    shutdown_delay_seconds: float = Field(
        0.0,
        ge=0,
        description="Seconds to go on answering after SIGTERM while /ready says 503, so that a load balancer notices.",
    )
    stop_seconds: float = Field(
        60.0, gt=0, description="Seconds that a worker has to finish what it is answering; then it is killed."
    )
    traces: bool = Field(
        False,
        description="Send traces to an OpenTelemetry collector; its standard variables say where to, such as "
        "OTEL_EXPORTER_OTLP_ENDPOINT. Needs the extra autoforge-nexus[otel].",
    )
    public_hosts: str = Field(
        "", description="Host names that people reach the server by, besides its own address; comma-separated."
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks of reverse proxies, comma-separated; only their X-Forwarded-For and "
        "X-Forwarded-Proto are believed.",
    )
    most_body_bytes: int = Field(16 * 1024 * 1024, ge=1024, description="Bytes that a request's body may have.")
    requests_at_once: int | None = Field(
        None,
        ge=0,
        description="Requests that a process works on at a time; more wait in line. 0: as many as come. Unset: 3 on "
        "SQLite, where working is computing, 8 on PostgreSQL, where half of it is waiting. Health, metrics, assets and "
        "prompts from memory need no place, other served prompts go first, streams leave theirs when they begin, and "
        "who waits for SQLite's writer has none meanwhile.",
    )
    burst_seconds: float = Field(
        1.0, gt=0, description="Seconds that a request may wait in line, as long as the line moves."
    )
    patience_seconds: float = Field(
        0.15, gt=0, description="Seconds that it may wait when nobody waited less for so long; then 503."
    )
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    jobs: JobsSettings = Field(default_factory=JobsSettings)
    cache: CacheSettings = Field(default_factory=CacheSettings)

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for network in filter(None, map(str.strip, value.split(","))):
            ip_network(network, strict=False)
        return value

    @field_validator("public_hosts")
    @classmethod
    def _names(cls, value: str) -> str:
        for name in filter(None, map(str.strip, value.split(","))):
            if not _HOST_NAME.fullmatch(name):
                raise ValueError(f"{name} is no host name, such as forge.example.org (no scheme, no port, no path)")
        return value

    def as_environment(self) -> dict[str, str]:
        """What a worker process has to find in its environment to read the same settings."""
        return {
            "AUTOFORGE_DATA": str(self.data),
            "AUTOFORGE_HOST": self.host,
            "AUTOFORGE_SIGN_IN": str(self.sign_in),
            "AUTOFORGE_SAMPLES": str(self.samples),
            "AUTOFORGE_LOG_LEVEL": self.log_level,
            "AUTOFORGE_DATABASE_URL": self.database_url,
            "AUTOFORGE_CACHE_URL": self.cache.url,
        }

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def database_url(self) -> str:
        """The configured address, or the embedded database in the data folder."""
        file = str((self.data / "autoforge.db").resolve())
        return self.database.url or "sqlite:///" + file.replace("%", "%25").replace("?", "%3F")  # it is a URL


def load_settings(*, database_url: str | None = None, cache_url: str | None = None, **given: Any) -> Settings:
    """The settings of the environment with ``given`` on top. BadInput names the variable that is wrong."""
    try:
        database = DatabaseSettings() if database_url is None else DatabaseSettings(url=database_url)
        cache = CacheSettings() if cache_url is None else CacheSettings(url=cache_url)
        return Settings(database=database, cache=cache, **given)
    except ValidationError as error:
        first = error.errors()[0]
        name = _PREFIXES[error.title] + "_".join(str(part) for part in first["loc"]).upper()
        reason = first["msg"].removeprefix("Value error, ")
        raise BadInput.at(name, f"The setting {name} is wrong: {reason}.") from error
    except SettingsError as error:  # a group of settings, such as AUTOFORGE_DATABASE, that is no JSON
        raise BadInput(f"A setting is wrong: {error}.") from error


_PREFIXES = {
    group.__name__: str(group.model_config.get("env_prefix"))
    for group in (Settings, DatabaseSettings, JobsSettings, CacheSettings)
}
