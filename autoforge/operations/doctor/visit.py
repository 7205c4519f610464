"""A whole visit: open what is to be examined, ask the running server, run all checks."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from autoforge.db.engines import file_of
from autoforge.operations.doctor import host
from autoforge.operations.doctor.finding import Report, plural
from autoforge.operations.doctor.patient import Limits, Patient, opened
from autoforge.operations.doctor.remedies import without_password
from autoforge.operations.doctor.review import review
from autoforge.operations.doctor.traffic import Traffic
from autoforge.settings import Settings


async def examine(settings: Settings, *, ignored: Collection[str] = (), seconds: float = 20.0) -> Report:
    """Everything that can be found out from here. DatabaseUnavailable when there is no database to examine."""
    async with opened(settings) as (database, url):
        where = file_of(url).parent if url.get_backend_name() == "sqlite" else settings.data
        machine = await asyncio.to_thread(host.examined, settings.data, where if where.is_dir() else Path.cwd())
        traffic = await asyncio.to_thread(Traffic.read, settings.data)
        if traffic is not None:
            machine = replace(machine, processes=len(traffic.processes))
        patient = Patient(settings, database, url, machine, traffic, Limits(seconds=seconds))
        report = await review(patient, ignored=ignored)
    report.figures |= {
        "database": without_password(url).render_as_string(),
        "rows": f"{plural(sum(patient.rows.values()), 'row')} in {plural(len(patient.rows), 'table')}",
        "running": "nothing runs, so there are no live figures" if traffic is None else _told(traffic),
    }
    return report


def _told(traffic: Traffic) -> str:
    return ", ".join(f"{one['process']['role']} {one['process']['name']}" for one in traffic.processes)
