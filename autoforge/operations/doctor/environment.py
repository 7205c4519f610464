"""The machine under the installation: SQLite's version, disk, permissions, clock."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from autoforge.db import clock
from autoforge.db.engines import SAFE_SQLITE, version_warnings
from autoforge.operations.doctor import remedies
from autoforge.operations.doctor.finding import Finding, Severity, plural
from autoforge.operations.doctor.patient import Patient

_SERVER_CLOCK = text("SELECT clock_timestamp()")
_MB = 1024 * 1024


async def sqlite_version(patient: Patient) -> AsyncIterator[Finding]:
    if not patient.is_sqlite:
        return
    for warning in version_warnings(patient.host.sqlite):
        several = patient.host.processes > 1
        safe = ".".join(map(str, SAFE_SQLITE))
        yield Finding(
            "sqlite-old",
            Severity.CRITICAL if several else Severity.HIGH,
            f"SQLite {'.'.join(map(str, patient.host.sqlite))} can lose a committed write ({safe} fixed it)",
            (warning, f"{plural(patient.host.processes, 'server process', 'server processes')} on this machine."),
            "Install the newer SQLite; until then let one process write: one worker, no `autoforge worker`, no "
            "commands that write while the server runs.",
            "pip install --upgrade pysqlite3",
        )


async def disk_space(patient: Patient) -> AsyncIterator[Finding]:
    host, limits = patient.host, patient.limits
    share = host.disk_free / host.disk_total if host.disk_total else 1.0
    if host.disk_free >= limits.disk_bytes and share >= limits.disk_share:
        return
    if host.disk_free >= 20 * limits.disk_bytes:  # a tenth of a very large disk is still a lot
        return
    yield Finding(
        "disk-space-low",
        Severity.CRITICAL if host.disk_free < limits.disk_bytes else Severity.HIGH,
        f"{host.disk_free // _MB:,} MB are free on the disk of the data ({share:.0%})",
        ("Without space no write is accepted; SQLite also needs some for its log and for sorting.",),
        "Free space, or move the data directory to a larger disk.",
        f"du -xh --max-depth=2 {remedies.quoted(patient.data)} | sort -h | tail",
    )


async def disk_speed(patient: Patient) -> AsyncIterator[Finding]:
    """Every acknowledged write of the embedded database waits for one sync."""
    took = patient.host.sync_seconds
    if not patient.is_sqlite:
        return
    if took is None:
        patient.note("environment: disk speed", "the folder of the database cannot be written by who runs this")
    elif took > patient.limits.sync_seconds:
        yield Finding(
            "disk-slow",
            Severity.MEDIUM,
            f"Writing and syncing 4 KB takes {took * 1000:.1f} ms",
            (
                f"Median of several syncs in {patient.path.parent}; up to {patient.limits.sync_seconds * 1000:g} ms "
                "is fine.",
                f"Commits are shared by those who wait, but there are at most about {1 / took:.0f} of them per second.",
            ),
            "Move the data directory to a local solid-state disk (no network file system), and see what else writes.",
            "iostat -x 1 5",
        )


async def permissions(patient: Patient) -> AsyncIterator[Finding]:
    secret = patient.data / "secret"
    if (mode := _mode(secret)) is not None and mode & 0o077:
        yield Finding(
            "secret-readable",
            Severity.HIGH,
            f"Others on this machine can read the installation's secret ({stat.filemode(mode)})",
            (f"{secret}: sessions, keys and links are hashed with it.",),
            "Let only the account of the service read it; if others may have read it, make a new one (everybody "
            "signs in again, and API keys are made anew).",
            f"chmod 600 {remedies.quoted(secret)}",
        )
    path = patient.path
    if patient.is_sqlite and (_mode(path) or 0) & stat.S_IROTH and (_mode(path.parent) or 0) & stat.S_IXOTH:
        yield Finding(
            "data-readable",
            Severity.HIGH,
            "Everybody on this machine can read the database",
            (f"{path}: {stat.filemode(_mode(path) or 0)}: prompts, conversations and the addresses of people.",),
            "Let only the account of the service read it.",
            f"chmod o-rwx {path.parent}\nchmod go-rwx {path}*",
        )
    places = [patient.data, *([patient.path] if patient.is_sqlite else [])]
    open_to_all = [path for path in places if (mode := _mode(path)) is not None and mode & stat.S_IWOTH]
    if open_to_all:
        yield Finding(
            "data-writable",
            Severity.HIGH,
            "Everybody on this machine can change the data",
            tuple(f"{path}: {stat.filemode(_mode(path) or 0)}" for path in open_to_all),
            "Let only the account of the service write there.",
            "\n".join(f"chmod o-w {remedies.quoted(path)}" for path in open_to_all),
        )


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode if os.name == "posix" else None
    except OSError:
        return None


async def clock_skew(patient: Patient) -> AsyncIterator[Finding]:
    """Leases, sessions and limits compare times of this machine with times that others stored."""
    if patient.is_sqlite:
        return
    async with patient.read() as session:
        began, started = clock.now(), time.perf_counter()
        theirs: datetime = await session.scalar(_SERVER_CLOCK)
        took = time.perf_counter() - started
    apart = abs((theirs.astimezone(UTC) - began).total_seconds() - took / 2)
    if apart > patient.limits.clock_skew + took:
        yield Finding(
            "clock-skew",
            Severity.HIGH,
            f"This machine's clock and that of the database are {apart:,.1f} s apart",
            (f"Here: {began.isoformat(timespec='milliseconds')}; PostgreSQL: {theirs.isoformat()}.",),
            "Let a time service set the clocks of all machines.",
            "timedatectl set-ntp true",
        )


CHECKS = (sqlite_version, disk_space, disk_speed, permissions, clock_skew)
