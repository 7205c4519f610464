"""Running the checks: one after the other, each within its time, so that one never takes the others' place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence

from autoforge.errors import AutoforgeError
from autoforge.operations.doctor.finding import Finding, Report, Unseen
from autoforge.operations.doctor.patient import Patient

Check = Callable[[Patient], AsyncIterator[Finding]]


def all_checks() -> Sequence[Check]:
    """Every check of every area, in the order in which they run."""
    from autoforge.operations.doctor import (
        environment,
        indexes,
        integrity,
        live,
        migrations,
        preferences,
        tables,
        totals,
        triggers,
        work,
    )

    areas = (migrations, environment, preferences, tables, live, indexes, integrity, triggers, totals, work)
    return [check for area in areas for check in area.CHECKS]


def name_of(check: Check) -> str:
    """``integrity: heads`` for ``check_heads`` in integrity.py."""
    return f"{check.__module__.rpartition('.')[2]}: {check.__name__.replace('_', ' ')}"


async def review(patient: Patient, *, ignored: Collection[str] = (), checks: Sequence[Check] | None = None) -> Report:
    """Runs all checks, or ``checks``. ``ignored`` are ids of findings that are known and accepted."""
    report, started = Report(), time.perf_counter()

    def note(what: str, why: str) -> None:
        report.unseen.append(Unseen(what, why))

    patient.note = note
    for check in all_checks() if checks is None else checks:
        await _run(check, patient, report)
    report.findings = [one for one in report.findings if one.id not in ignored]
    report.sort()
    report.seconds = time.perf_counter() - started
    return report


async def _run(check: Check, patient: Patient, report: Report) -> None:
    patient.progress = ""
    try:
        async with asyncio.timeout(patient.limits.seconds):
            async for finding in check(patient):
                report.findings.append(finding)
    except TimeoutError:
        seen = patient.progress or "not finished"
        patient.note(name_of(check), f"{patient.limits.seconds:g} s were not enough: {seen}")
    except Exception as error:  # one check that fails must not take the others' findings away
        patient.note(name_of(check), _why(error, patient.progress))
    else:
        report.checks += 1


def _why(error: Exception, progress: str) -> str:
    told = error.detail if isinstance(error, AutoforgeError) else str(getattr(error, "orig", None) or repr(error))
    line = " ".join(told.split())[:300]
    return f"{line} ({progress})" if progress else line
