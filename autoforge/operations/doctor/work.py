"""Background work that does not get done: dead letters, jobs whose worker is gone, jobs that nobody takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Executable, bindparam, func, literal_column, select

from autoforge.db import clock, named
from autoforge.db import models as m
from autoforge.db.types import Instant
from autoforge.operations.doctor import remedies
from autoforge.operations.doctor.finding import SHOWN, Finding, Severity, examples, plural
from autoforge.operations.doctor.patient import Patient

_J = m.Job
_BEFORE = bindparam("before", type_=Instant)


def _jobs(name: str, *conditions: Any) -> tuple[Executable, Executable]:
    """How many there are, and the first ones."""
    some = select(_J.id, _J.task, _J.title, _J.error, _J.worker, _J.lease_until, _J.run_after, _J.ended_at)
    count = select(func.count()).select_from(_J).where(*conditions)
    return named(f"{name}_count", count), named(name, some.where(*conditions).limit(SHOWN))


_DEAD = _jobs("doctor.dead_jobs", _J.status == literal_column("'dead'"), _J.ended_at.is_not(None))
_LOST = _jobs("doctor.lost_jobs", _J.status == literal_column("'running'"), _J.lease_until < _BEFORE)
_WAITING = _jobs("doctor.waiting_jobs", _J.status == literal_column("'pending'"), _J.run_after < _BEFORE)


async def _found(patient: Patient, pair: tuple[Any, Any], before: Any = None) -> tuple[int, list[Any]]:
    given = {} if before is None else {"before": before}
    async with patient.read() as session:
        count = int(await session.scalar(pair[0], given) or 0)
        return count, list(await session.all(pair[1], given)) if count else []


async def dead_letters(patient: Patient) -> AsyncIterator[Finding]:
    count, rows = await _found(patient, _DEAD)
    if count:
        lines = [f"{row.task} ({row.id}), {row.ended_at:%Y-%m-%d %H:%M}: {_line(row.error)}" for row in rows]
        yield Finding(
            "job-dead",
            Severity.MEDIUM,
            f"{plural(count, 'job has', 'jobs have')} failed for good",
            examples(lines, count),
            "See why, mend the cause, and let them run again; or cancel them.",
            remedies.commands(patient, "jobs list --status dead", *(f"jobs retry {row.id}" for row in rows[:3])),
        )


async def leases(patient: Patient) -> AsyncIterator[Finding]:
    over = max(patient.limits.lease_over, timedelta(seconds=3 * patient.settings.jobs.lease_seconds))
    count, rows = await _found(patient, _LOST, clock.now() - over)
    lines = [f"{row.task} ({row.id}): worker {row.worker}, lease over since {row.lease_until}" for row in rows]
    if count:
        yield Finding(
            "job-lease-expired",
            Severity.HIGH,
            f"{plural(count, 'job runs', 'jobs run')} nowhere although marked as running",
            (*examples(lines, count), f"A lease is renewed in time; these are over for more than {over}."),
            "Workers take such jobs back by themselves: none is running. Start the server or a worker.",
            remedies.command(patient, "worker"),
        )


async def waiting(patient: Patient) -> AsyncIterator[Finding]:
    count, rows = await _found(patient, _WAITING, clock.now() - patient.limits.waiting)
    if count:
        lines = [f"{row.task} ({row.id}): due since {row.run_after}" for row in rows]
        yield Finding(
            "job-waiting",
            Severity.HIGH,
            f"{plural(count, 'job waits', 'jobs wait')} although long due",
            examples(lines, count),
            "No worker takes them: start one, for all queues; or raise AUTOFORGE_JOBS_MOST_WORKERS.",
            remedies.command(patient, "worker"),
        )


def _line(error: str | None) -> str:
    return " ".join((error or "no reason stored").split())[:200]


CHECKS = (dead_letters, leases, waiting)
